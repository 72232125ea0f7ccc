"""compose.yaml: valid, pinned, locked down, and made of the files that the other tests check."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.commands import demo
from exporter.commands.main import cli
from exporter.simulator import incidents

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "compose.yaml"
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE.read_text())["services"]


def interpolated(text: str, **environment: str) -> str:
    """Return the text as Compose reads it: `${A:-default}`, and `${A:+text}` where A has a value."""

    def value(match: re.Match[str]) -> str:
        name, kind, text = match.groups()
        given = environment.get(name, "")
        return (given or text) if kind == "-" else (given and text)

    return re.sub(r"\$\{(\w+):([-+])([^}]*)\}", value, text)


def mounts(service: str, **environment: str) -> dict[str, str]:
    """Return what a service mounts from this folder: source by the place in the container."""
    found = {}
    for each in SERVICES[service].get("volumes", []):
        if isinstance(each, dict):
            assert each["type"] == "bind"
            found[interpolated(each["target"], **environment)] = interpolated(each["source"], **environment)
        elif each.startswith("./"):
            source, place, *_ = each.split(":")
            found[place] = source
    return found


def test_compose_is_valid() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("service", SERVICES)
def test_what_a_service_mounts_exists_and_is_read_only(service: str) -> None:
    for source in mounts(service).values():
        assert (ROOT / source).is_dir(), f"{source} is a file: one that an editor replaces would stay the old one"
    for written in SERVICES[service].get("volumes", []):
        assert (
            written["read_only"]
            if isinstance(written, dict)
            else not written.startswith(".") or written.endswith(":ro")
        )


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_locked_down_and_has_a_health_check(service: str) -> None:
    settings = SERVICES[service]
    assert settings["read_only"] is True
    assert settings["cap_drop"] == ["ALL"]
    assert settings["security_opt"] == ["no-new-privileges:true"]
    assert settings["healthcheck"]["test"][0] == "CMD"
    assert all(port.startswith("127.0.0.1:") for port in settings.get("ports", []))


@pytest.mark.parametrize("service", [name for name in SERVICES if "build" not in SERVICES[name]])
def test_an_image_has_a_version(service: str) -> None:
    assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+\.\d+", SERVICES[service]["image"])


def test_prometheus_and_alertmanager_run_with_the_files_that_are_tested() -> None:
    assert mounts("prometheus") == {"/etc/prometheus": "./prometheus"}
    named = yaml.safe_load((ROOT / "prometheus" / "prometheus.yml").read_text())["rule_files"]
    assert named
    assert all((ROOT / "prometheus" / name).is_file() for name in named)
    assert mounts("alertmanager") == {"/etc/alertmanager": "./prometheus"}
    for service in ("prometheus", "alertmanager"):
        (file,) = [flag.split("=")[1] for flag in SERVICES[service]["command"] if flag.startswith("--config.file=")]
        assert (ROOT / "prometheus" / Path(file).name).is_file()
        assert str(Path(file).parent) in mounts(service)


def test_the_addresses_in_those_files_hold_because_the_services_share_a_network() -> None:
    assert all(SERVICES[name]["network_mode"] == "service:prometheus" for name in ("exporter", "alertmanager"))


def test_grafana_queries_the_prometheus_beside_it_by_default() -> None:
    provisioned = yaml.safe_load((ROOT / "grafana/provisioning/datasources/prometheus.yml").read_text())
    assert [source["url"] for source in provisioned["datasources"]] == ["$PROMETHEUS_URL"]
    given = SERVICES["grafana"]["environment"]["PROMETHEUS_URL"]
    assert interpolated(given) == "http://prometheus:9090"
    assert interpolated(given, PROMETHEUS_URL="http://192.0.2.1:9090") == "http://192.0.2.1:9090"


def test_the_exporter_runs_the_demo_by_default() -> None:
    name, *arguments = shlex.split(interpolated(SERVICES["exporter"]["command"]))
    assert name == "demo"
    given = demo.command.make_context(name, arguments).params
    assert given["listen"] == "0.0.0.0:10058"
    assert [incidents.parse(text, 0.0).name for text in given["incidents"]] == ["esp_spam"]


@pytest.mark.parametrize("folder", ["config", "./config", "/srv/mail"])
def test_one_variable_gives_it_the_folder_of_a_config(folder: str) -> None:
    command = shlex.split(interpolated(SERVICES["exporter"]["command"], DIRECTMAIL_CONFIG=folder))
    given = cli.make_context("directmail-exporter", command).params
    ((place, source),) = mounts("exporter", DIRECTMAIL_CONFIG=folder).items()
    assert (Path(place), source) == (given["config_file"].parent, folder)
    assert given["config_file"].name == "config.yaml"
    assert given["auto_reload"]
