"""The systemd units, as far as systemd judges them without running; docs/deploy.md says how they were run."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.commands.main import cli
from exporter.process import signals

UNITS = Path(__file__).parents[2] / "deploy" / "systemd"
PROGRAM = "/opt/directmail-exporter/bin/directmail-exporter"
EXPOSURE = 15
"""Tenths: what systemd calls OK ends at 5.0; ours is 1.2, of which 0.8 is that it must reach the network."""


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units, with a program that exists on every machine."""
    for path in UNITS.glob("directmail-exporter.*"):
        (tmp_path / path.name).write_text(path.read_text().replace(PROGRAM, "/bin/true"))
    return tmp_path


def test_systemd_finds_no_mistake_in_the_units(tool: Callable[[str], Path], installed: Path) -> None:
    units = sorted(installed.iterdir())
    assert [unit.suffix for unit in units] == [".service", ".socket"]
    checked = subprocess.run(
        [tool("systemd-analyze"), "verify", "--man=no", *units], capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_the_service_gives_away_no_right_that_it_could_do_without(tool: Callable[[str], Path], installed: Path) -> None:
    unit = installed / "directmail-exporter.service"
    command = [tool("systemd-analyze"), "security", "--offline=true", "--no-pager", f"--threshold={EXPOSURE}", unit]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


def test_a_looser_service_would_be_noticed(tool: Callable[[str], Path], installed: Path) -> None:
    unit = installed / "directmail-exporter.service"
    unit.write_text(unit.read_text().replace("SystemCallFilter=", "#"))
    command = [tool("systemd-analyze"), "security", "--offline=true", "--no-pager", f"--threshold={EXPOSURE}", unit]
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0


def test_the_service_starts_the_program_with_flags_that_it_has() -> None:
    text = (UNITS / "directmail-exporter.service").read_text()
    command = re.search(r"^ExecStart=(.*)$", text, re.MULTILINE)
    assert command is not None
    program, *flags = command[1].split()
    assert program == PROGRAM
    known = {option for parameter in cli.params for option in parameter.opts}
    assert {flag.partition("=")[0] for flag in flags} <= known
    assert "--web.systemd-socket" in flags


def test_a_reload_waits_for_the_start_and_sends_the_right_signal() -> None:
    """systemd queues a reload until a service of this type has reported that it is ready."""
    text = (UNITS / "directmail-exporter.service").read_text()
    assert "\nType=notify\n" in text
    assert f"\nExecReload=kill -{signals.RELOAD.name.removeprefix('SIG')} $MAINPID\n" in text
