"""The page on other systems: every config in it is well-formed, as far as programs here can tell."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.support.boards import FILES, load, queries, selectors
from tests.support.kubernetes_schemas import SCHEMAS, closed

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "integrations.md").read_text()
SECTIONS = {part.partition("\n")[0]: part for part in PAGE.split("\n## ")[1:]}
BLOCKS = {name: re.findall(r"^```yaml\n(.*?)^```", text, re.DOTALL | re.MULTILINE) for name, text in SECTIONS.items()}
(SCRAPE,) = re.findall(r"^```yaml\n(.*?)^```", PAGE.partition("\n## ")[0], re.DOTALL | re.MULTILINE)
"""The scrape config that the sections share."""
CONFIGS = {
    "alone": SCRAPE,
    **{name: SCRAPE + text for name, blocks in BLOCKS.items() for text in blocks if text.startswith(("global", "rem"))},
}
"""Configs of Prometheus, by the section that adds to the shared one."""
GROUPS = SCHEMAS["PrometheusRule"]["properties"]["spec"]

TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
POD_MONITORING = closed(
    ["apiVersion", "kind", "metadata", "spec"],
    apiVersion={"const": "monitoring.googleapis.com/v1"},
    kind={"const": "PodMonitoring"},
    metadata=closed(["name"], name={"type": "string"}),
    spec=closed(
        ["selector", "endpoints"],
        selector=closed([], matchLabels=TEXTS),
        endpoints={"type": "array", "items": closed(["port"], port={"type": "string"}, interval={"type": "string"})},
    ),
)
"""By hand from Google's definition, the fields that the page uses."""


def rules() -> str:
    return (ROOT / "prometheus" / "directmail-alerts.rules.yml").read_text()


def shortened() -> str:
    """Return the alerts after the command of the page."""
    (command,) = re.findall(r"sed -i '(.*)' directmail-alerts\.rules\.yml", PAGE)
    return subprocess.run(["sed", command], input=rules(), capture_output=True, text=True, check=True).stdout


def job(document: dict[str, Any]) -> str:
    (only,) = document["scrape_configs"]
    name: str = only["job_name"]
    return name


def test_every_system_has_its_config() -> None:
    assert len(SECTIONS) == 7
    assert [name for name, blocks in BLOCKS.items() if len(blocks) != 1] == ["VictoriaMetrics"]
    assert list(CONFIGS) == [
        "alone",
        "Thanos",
        "Mimir",
        "Grafana Cloud",
        "Alibaba Cloud Managed Service for Prometheus",
    ]


@pytest.mark.parametrize("name", CONFIGS)
def test_prometheus_reads_a_config_and_the_rules_select_its_job(
    tool: Callable[[str], Path], tmp_path: Path, name: str
) -> None:
    text = CONFIGS[name]
    path = tmp_path / "prometheus.yml"
    secrets = re.sub(r"/run/secrets/(\S+)", rf"{tmp_path}/\1", text)
    for secret in re.findall(rf"{tmp_path}/(\S+)", secrets):
        (tmp_path / secret).write_text("x")
    path.write_text(secrets)
    checked = subprocess.run([tool("promtool"), "check", "config", path], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert all(re.fullmatch(selector, job(yaml.safe_load(text))) for selector in re.findall(r'job=~"([^"]+)"', rules()))


def test_what_is_kept_for_a_bill_by_series_has_all_that_rules_and_dashboards_query() -> None:
    """But what the rules record: they run where the series arrive."""
    (document,) = map(yaml.safe_load, BLOCKS["Grafana Cloud"])
    (kept,) = document["remote_write"][0]["write_relabel_configs"]
    files = (ROOT / "prometheus").glob("*.rules.yml")
    every = [rule for file in files for group in yaml.safe_load(file.read_text())["groups"] for rule in group["rules"]]
    requested = [rule["expr"] for rule in every] + [each.expr for path in FILES for each in queries(load(path))]
    names = {selector.name for expr in requested for selector, _ in selectors(expr)} - {
        rule.get("record") for rule in every
    }
    scraped = {name for name in names if not name.startswith("ALERTS")}
    assert {"directmail_up", "process_open_fds", "up"} <= scraped
    assert [name for name in sorted(scraped) if not re.fullmatch(kept["regex"], name)] == []


def test_the_collector_is_given_what_its_pipeline_names() -> None:
    config = yaml.safe_load(BLOCKS["OpenTelemetry Collector"][0])
    (pipeline,) = config["service"]["pipelines"].values()
    for kind in ("receivers", "exporters"):
        assert set(pipeline[kind]) == set(config[kind])
    assert job(config["receivers"]["prometheus"]["config"]) == "directmail"


def test_googles_definition_fits_and_its_name_is_a_job_that_the_rules_select() -> None:
    document = yaml.safe_load(BLOCKS["Google Cloud Managed Service for Prometheus"][0])
    jsonschema.validate(document, POD_MONITORING)
    assert "directmail" in document["metadata"]["name"]
    assert document["spec"]["endpoints"][0]["port"] == "metrics"


def test_without_keep_firing_for_the_alerts_are_otherwise_the_same() -> None:
    written, short = yaml.safe_load(rules()), yaml.safe_load(shortened())
    assert any("keep_firing_for" in rule for group in written["groups"] for rule in group["rules"])
    for group in written["groups"]:
        for rule in group["rules"]:
            rule.pop("keep_firing_for", None)
    assert short == written
    jsonschema.validate(short, GROUPS)


def test_an_older_vmalert_accepts_the_rules_without_it(tool: Callable[[str], Path], tmp_path: Path) -> None:
    """Debian's; newer ones know the field."""
    (tmp_path / "alerts.rules.yml").write_text(shortened())
    recording = ROOT / "prometheus" / "directmail-recording.rules.yml"
    (tmp_path / recording.name).write_text(recording.read_text())
    command = [tool("vmalert"), "-dryRun", f"-rule={tmp_path}/*.rules.yml"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_vmagent_reads_its_scrape_config(tool: Callable[[str], Path], tmp_path: Path) -> None:
    path = tmp_path / "scrape.yml"
    path.write_text(SCRAPE)
    command = [tool("vmagent"), "-dryRun", f"-promscrape.config={path}", "-promscrape.config.strictParse"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert checked.returncode == 0, checked.stderr
