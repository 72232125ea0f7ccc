"""docs/getting-started.md and docs/doctor.md, compared with the program that they lead through."""

import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import promql_parser
import pytest
import yaml

from exporter.commands.main import SUBCOMMANDS, cli
from exporter.config import loader
from exporter.doctor.findings import LEVELS
from exporter.metrics import tables
from exporter.reload import load
from tests.support.command_line import subcommand
from tests.support.own_metrics import own_metrics
from tests.support.rule_files import ALERTS

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "getting-started.md").read_text()
DOCTOR = (ROOT / "docs" / "doctor.md").read_text()
PROSE = re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL)
COMMANDS = [
    line.strip() for line in re.findall(r"^    \S.*$", PROSE, re.MULTILINE) if not line.startswith("    target ")
]
OURS = [line for line in COMMANDS if line.startswith("directmail-exporter")]


def block(language: str, number: int = 0) -> str:
    return re.findall(rf"```{language}\n(.*?)\n```", TEXT, re.DOTALL)[number]


def test_the_smallest_config_loads_with_its_secret_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text(block("yaml"))
    _, missing = loader.read(tmp_path / "config.yaml")
    assert {problem.place.rpartition(".")[2] for problem in missing} == {
        "access_key_id_file",
        "access_key_secret_file",
    }
    (tmp_path / "secrets").mkdir()
    for path in re.findall(r"> (secrets/\w+)", TEXT):
        (tmp_path / path).write_text("text")
    assert [target.name for target in load(tmp_path / "config.yaml").targets] == ["marketing"]


@pytest.mark.parametrize("line", OURS)
def test_every_command_of_ours_exists_with_its_flags(line: str) -> None:
    _, *words = shlex.split(line)
    command = subcommand(words.pop(0)) if words[0] in SUBCOMMANDS else cli
    with command.make_context("directmail-exporter", words, resilient_parsing=False):
        pass


def test_every_other_command_is_one_of_the_shell_or_of_this_repository() -> None:
    programs = {line.split()[0] for line in COMMANDS if line not in OURS}
    of_prometheus = {"promtool", "prometheus", "prometheus-alertmanager"}
    known = {"mkdir", "(umask", "export", "python3", ".venv/bin/pip", ".", "curl", *of_prometheus}
    assert programs == known
    made = set(re.findall(r"`make ([\w-]+)`", TEXT))
    assert made <= set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for name in re.findall(r"--requirement (\S+)", TEXT):
        assert (ROOT / name).exists()


def test_every_check_of_the_doctor_is_explained_and_no_other() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "exporter" / "doctor").rglob("*.py"))
    found = set(re.findall(r'(?:Finding|find|_finding)\(\s*"(\w+)"', sources))
    found |= set(re.findall(r'check = "(\w+)" if alone else "(\w+)"', sources)[0])
    assert set(re.findall(r"^\| `(\w+)` \| [^|]+ \|$", DOCTOR, re.MULTILINE)) == found


def test_every_runbook_that_the_doctor_names_exists() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "exporter" / "doctor").rglob("*.py"))
    named = set(re.findall(r"DirectMail[A-Z]\w+", sources)) - {"DirectMailError"}
    assert {"DirectMailAccountRestricted", "DirectMailDomainVerificationLost"} <= named
    runbooks = (ROOT / "docs" / "runbooks.md").read_text()
    assert named <= set(re.findall(r"^## (\w+)$", runbooks, re.MULTILINE))


def test_the_example_of_a_report_has_the_words_of_one() -> None:
    shown = re.findall(r"^      (\w+) +(\w+) ", TEXT, re.MULTILINE)
    assert shown
    assert {level for level, _ in shown} <= set(LEVELS)
    sources = "".join(path.read_text() for path in (ROOT / "exporter" / "doctor").rglob("*.py"))
    for words in (
        "may not call",
        "Attach this policy to it",
        "The rest was not tried.",
        "agrees with the API's",
    ):
        assert words in TEXT
        assert words in sources


def test_prometheus_accepts_the_scrape_config(tool: Callable[[str], Path], tmp_path: Path) -> None:
    path = tmp_path / "prometheus.yml"
    path.write_text(block("yaml", 1))
    checked = subprocess.run([tool("promtool"), "check", "config", path], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    (job,) = yaml.safe_load(path.read_text())["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["127.0.0.1:10058"]}]


def test_the_past_the_scrape_config_and_the_config_of_prometheus_have_the_same_labels() -> None:
    """Else the past is other series than those scraped."""
    (backfill,) = (line for line in OURS if " backfill " in line)
    configs = (block("yaml", 1), (ROOT / "prometheus" / "prometheus.yml").read_text())
    for (job,) in (yaml.safe_load(config)["scrape_configs"] for config in configs):
        ((instance,),) = (each["targets"] for each in job["static_configs"])
        assert re.findall(r"--label (\S+)", backfill) == [f"job={job['job_name']}", f"instance={instance}"]


def test_the_first_alert_fires_when_the_page_says_so() -> None:
    name, minutes = re.findall(r"After (\d+) minutes `(\w+)` fires", TEXT)[0][::-1]
    (alert,) = (rule for rule in ALERTS if rule["alert"] == name)
    assert alert["for"] == f"{minutes}m"


def test_the_steps_are_in_the_order_in_which_they_are_done() -> None:
    steps = ("Install", "policy", "config", "plan", "doctor", "30 days", "Run", "Scrape", "Rules", "alert")
    headings = re.findall(r"^## (\d+)\. (.+)$", TEXT, re.MULTILINE)
    assert [int(number) for number, _ in headings] == list(range(1, len(headings) + 1))
    for step, (_, heading) in zip(steps, headings, strict=False):
        assert step in heading
    referred = re.findall(r"(policy|[Ss]crape)[\w ]* step (\d+)", TEXT)
    assert referred
    for word, number in referred:
        assert word in dict(headings)[number].replace("Scrape", "scrape")


@pytest.mark.parametrize("query", block("promql").splitlines())
def test_every_query_of_the_first_look_parses_and_uses_metrics_that_exist(query: str) -> None:
    promql_parser.parse(query)
    names = own_metrics() | {family.name for family in tables.families()}
    assert set(re.findall(r"directmail_\w+", query)) <= names


def test_every_metric_setting_and_file_that_is_named_exists() -> None:
    names = own_metrics() | {family.name for family in tables.families()}
    assert set(re.findall(r"`(directmail_\w+)`", TEXT)) <= names
    example = (ROOT / "config.example.yaml").read_text()
    settings = ("timezone", "page_size", "rate_limit_per_minute", "poll_interval", "refresh", "timeout")
    for key in settings:
        assert f"`{key}`" in DOCTOR
        assert f"{key}:" in example
    for link in re.findall(r"\]\(([^)#]+)", TEXT):
        assert (ROOT / "docs" / link).exists()


def test_it_links_to_all_that_only_a_real_account_can_show() -> None:
    assert "doctor.md" in TEXT
    table = DOCTOR.split("## What only your account can tell")[1]
    for unknown in ("day begin", "Percent or fraction", "calls are allowed", "fresh", "settle"):
        assert unknown in table
