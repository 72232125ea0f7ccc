"""Flags, sub-commands, exit statuses, and what a mistake looks like."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from exporter import __version__
from tests.support.command_line import run
from tests.support.processes import get, program

ROOT = Path(__file__).parents[2]
EXAMPLE = str(ROOT / "config.example.yaml")


def test_the_version_is_told() -> None:
    assert __version__ in run("--version").output


def test_help_names_every_flag_of_the_contract() -> None:
    text = run("--help").output
    for flag in (
        "--config.file",
        "--config.check",
        "--web.listen-address",
        "--web.telemetry-path",
        "--web.enable-lifecycle",
        "--web.max-requests",
        "--log.level",
        "--log.format",
        "--version",
    ):
        assert flag in text
    for command in ("demo", "simulate"):
        assert command in text


def test_a_check_prints_the_plan_and_ends_well() -> None:
    result = run("--config.file", EXAMPLE, "--config.check")
    assert result.exit_code == 0
    for words in (
        "combinations",
        "series",
        "cells",
        "calls a minute",
        "calls a day",
        "poll interval",
        "30d filled after",
    ):
        assert words in result.output


def test_a_check_of_discovery_tells_what_limits_allow_and_that_values_are_not_known(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        "windows: [today]\nmax_series: 200\ntargets:\n  - name: a\n    region: us-east-1\n    queries:\n"
        "      - name: account\n      - name: tags\n        account_name: {discover: true, limit: 3}\n"
        "        tag_name: {discover: true}\n        esp: [gmail.com, others]\n"
    )
    result = run("--config.file", str(path), "--config.check")
    assert result.exit_code == 0
    for words in (
        "QueryMailAddressByParam, QueryTagByParam, every 1h",
        "not known before it runs",
        "10 more combinations; the rest is left out",
        "at most 1200 combinations by its limits (3 of account_name, 200 of tag_name)",
    ):
        assert words in result.output


def test_a_broken_config_is_one_line_a_mistake_and_status_1(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("windows: [8d, forever]\ntargets:\n  - name: a b\n    region: mars\n    queries: [{name: q}]\n")
    result = run("--config.file", str(path))
    assert result.exit_code == 1
    lines = result.output.splitlines()
    assert [line.split(": ")[1] for line in lines] == ["windows", "targets[0].name", "targets[0].region"]
    assert all(line.startswith(f"{path}: ") for line in lines)


def test_a_broken_web_config_is_told_in_the_same_way(tmp_path: Path) -> None:
    path = tmp_path / "web.yml"
    path.write_text("basic_auth_users: {alice: plain}\n")
    result = run("--config.file", EXAMPLE, "--web.config.file", str(path))
    assert result.exit_code == 1
    assert result.output.startswith(f"{path}: basic_auth_users.alice: is not a bcrypt hash; make one with htpasswd")


def test_mistakes_of_the_plan_are_told_together_with_those_of_the_schema(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        "max_series: 10\ntargets:\n  - name: a\n    region: us-east-1\n    queries: [{name: q}]\n"
        "  - name: b\n    region: mars\n    queries: [{name: q}]\n"
    )
    result = run("--config.file", str(path))
    assert "targets[1].region" in result.output
    assert "max_series: the queries would expose" in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["--no-such-flag"], id="unknown-flag"),
        pytest.param(["--log.level", "loud"], id="unknown-level"),
        pytest.param(["--web.max-requests", "0"], id="no-requests-at-all"),
        pytest.param(["--web.telemetry-path", "metrics"], id="path-without-slash"),
        pytest.param(["simulate", "--timezone", "Mars/Phobos"], id="unknown-zone"),
        pytest.param(["simulate", "--fault", "gremlins"], id="unknown-fault"),
        pytest.param(["demo", "--incident", "alien_spam"], id="unknown-incident"),
        pytest.param(["demo", "--timezone", "Mars/Phobos"], id="unknown-zone-of-the-demo"),
        pytest.param(["demo", "--speed", "0"], id="time-that-stands-still"),
        pytest.param(["no-such-command"], id="unknown-command"),
    ],
)
def test_wrong_flags_are_status_2(arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2


@pytest.mark.parametrize(
    "command",
    [["--config.file", EXAMPLE, "--web.listen-address"], ["demo", "--listen"], ["simulate", "--listen"]],
)
def test_a_port_in_use_is_one_line_and_status_1(command: list[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = subprocess.run(
            [sys.executable, "-m", "exporter", *command, address],
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
        )
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == f"cannot listen on {address}: address already in use"
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1", "127.0.0.1:port", "[::1"])
def test_an_address_that_is_none_tells_how_to_write_one(address: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "exporter", "--config.file", EXAMPLE, "--web.listen-address", address],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert ended.returncode == 1
    assert "write host:port, [v6 address]:port or :port" in ended.stderr
    assert "Traceback" not in ended.stderr


async def test_the_simulator_answers_until_it_is_ended() -> None:
    async with program("simulate", "--listen", "127.0.0.1:0") as simulator:
        url = (await simulator.line_with("GetTrackList:")).split()[1]
        status, text = await get(url)
        assert (status, "IncompleteSignature" in text) == (400, True)
        assert await simulator.end() == 0


def test_starting_loads_nothing_that_it_may_not_need() -> None:
    loaded = "[m for m in sys.modules if m.startswith('exporter.simulator')]"
    code = f"import sys, exporter.commands.main, exporter.app; print({loaded})"
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, env=os.environ
    )
    assert ended.stdout.strip() == "[]"
