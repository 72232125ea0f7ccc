"""Documentation that is compared with what it describes."""

import re
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporter.commands.main import SUBCOMMANDS, cli
from exporter.config import loader
from exporter.plan import validation
from tests.support.command_line import subcommand
from tests.support.own_metrics import CATALOGUE, all_metrics

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()


def test_the_readme_fits_on_one_and_a_half_screens() -> None:
    assert len(README.splitlines()) <= 90


def test_the_readmes_sample_of_metrics_has_metrics_and_labels_that_exist() -> None:
    (sample,) = re.findall(r"^```text\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    families = list(text_string_to_metric_families(sample.replace(",...}", "}")))
    assert {family.name for family in families} <= all_metrics()
    for family in families:
        for each in family.samples:
            assert set(each.labels) <= set(CATALOGUE[family.name]["labels"])


def test_the_readmes_sample_agrees_with_itself() -> None:
    (sample,) = re.findall(r"^```text\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    emails, opens, ratio, _ = (float(line.split()[-1]) for line in sample.splitlines())
    assert round(opens / emails, 4) == ratio


def test_every_picture_and_page_that_the_readme_shows_is_there() -> None:
    shown = re.findall(r"\]\(([^)#]+)\)", README)
    assert "docs/board.png" in shown
    assert [path for path in shown if not (ROOT / path).exists()] == []


def test_the_readme_begins_with_the_two_commands() -> None:
    commands = [line.split()[1] for line in README.splitlines()[:20] if line.startswith("    make")]
    assert commands == ["demo", "test"]


def test_contributing_lists_which_tests_make_test_leaves_out_and_what_runs_them() -> None:
    table = dict(re.findall(r"^\| `make ([\w-]+)` \| `(\w+)` \|", CONTRIBUTING, re.MULTILINE))
    pytest_options = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    marked = {line.partition(":")[0] for line in pytest_options["markers"]}
    assert set(table.values()) == marked == set(re.findall(r"not (\w+)", pytest_options["addopts"]))
    makefile = (ROOT / "Makefile").read_text()
    for target, marker in table.items():
        assert re.search(rf"^{target}:.*\n\t.* -m {marker} ", makefile, re.MULTILINE)


@pytest.mark.parametrize("block", re.findall(r"```yaml\n(targets:.*?)```", README, re.DOTALL))
def test_the_readmes_config_works(block: str) -> None:
    sound, problems = loader.parse(block)
    assert sound is not None
    assert (*problems, *validation.problems(sound)) == ()


def test_the_readme_uses_only_flags_that_exist() -> None:
    known = {option for parameter in cli.params for option in parameter.opts}
    for name in SUBCOMMANDS:
        known |= {option for parameter in subcommand(name).params for option in parameter.opts}
    shown = {
        flag
        for line in README.splitlines()
        if "directmail-exporter" in line
        for flag in re.findall(r" (--[\w.-]+)", line)
    }
    docker = {"--read-only", "--cap-drop"}
    assert shown - docker <= known


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-build.txt", "requirements-dev.txt"])
def test_the_constraints_have_hashes_and_no_address(name: str) -> None:
    text = (ROOT / name).read_text()
    assert "://" not in text
    assert "index-url" not in text
    pins = re.findall(r"^[a-zA-Z0-9][\w.-]*==\S+ \\\n +--hash=sha256:", text, re.MULTILINE)
    assert len(pins) == len(re.findall(r"^[a-zA-Z0-9][\w.-]*==", text, re.MULTILINE)) > 5


def test_dependencies_are_pinned_for_what_the_project_says_it_needs() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    needed = re.findall(r'^    "([a-zA-Z0-9-]+)>=', project.split("dependencies = [")[1].split("]")[0], re.MULTILINE)
    pinned = {line.split("==")[0] for line in (ROOT / "requirements.txt").read_text().splitlines() if "==" in line}
    assert {name.lower() for name in needed} <= pinned


def test_the_example_of_a_scrape_config_is_one(tool: Callable[[str], Path]) -> None:
    checked = subprocess.run(
        [tool("promtool"), "check", "config", ROOT / "prometheus" / "prometheus.yml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr


def test_the_least_versions_are_named_for_all_that_the_rules_and_the_routing_use() -> None:
    page = (ROOT / "docs" / "alerting.md").read_text()
    (line,) = re.findall(r"^Least versions, for (.*?)\.$", page, re.DOTALL | re.MULTILINE)
    features = re.findall(r"`(\w+)`", line)
    programs = re.findall(r"([A-Za-z][A-Za-z ]+?) (\d+\.\d+)", line.partition(":")[2].replace("\n", " "))
    least = {program: tuple(map(int, version.split("."))) for program, version in programs}
    assert least.keys() == {"Prometheus", "vmalert", "Thanos Ruler", "Prometheus operator", "Alertmanager"}
    assert features == ["keep_firing_for", "matchers"]
    written = "".join(path.read_text() for path in (ROOT / "prometheus").glob("*.yml"))
    for feature in features:
        assert f"{feature}:" in written, f"{feature} is not used any more: an older version may do"
    assert least["Prometheus"] == (2, 42), "what the tests run; a newer one must be named with its reason"
