"""Write the generated files of `deploy/`, rules and dashboards for Kubernetes and Helm: `python -m tools.manifests`."""

import json
from pathlib import Path

import yaml

from tools import project
from tools.artefacts import ROOT, write

FOLDER = ROOT / "deploy" / "kubernetes" / "monitoring"
WRITTEN = ("podmonitor.yaml",)
"""What in the folder is written by hand."""
CHART = ROOT / "deploy" / "chart"
FIRST_KUBERNETES = "1.27"
"""The first whose API has every field that the manifests use."""
NOTE = "# Generated from {source} by `make manifests`; change that.\n"


def files() -> dict[Path, str]:
    """Return the text of every generated file by its path."""
    rules, dashboards = sorted(ROOT.glob("prometheus/*.rules.yml")), sorted(ROOT.glob("grafana/*.json"))
    made = {FOLDER / f"{_name(path)}-rules.yaml": _rules(path) for path in rules}
    made |= {FOLDER / f"{_name(path)}-dashboard.yaml": _dashboard(path) for path in dashboards}
    names = sorted([*WRITTEN, *(path.name for path in made)])
    made[FOLDER / "kustomization.yaml"] = (
        NOTE.format(source="what lies beside it")
        + "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n"
        + "".join(f"  - {name}\n" for name in names)
    )
    made |= {CHART / "files" / path.name: path.read_text(encoding="utf-8") for path in rules}
    made |= {CHART / "files" / path.name: _one_line(path) + "\n" for path in dashboards}
    made[CHART / "Chart.yaml"] = _chart()
    return made


def stale() -> set[Path]:
    """Return the generated files whose source is gone."""
    there = {*FOLDER.iterdir(), *(CHART / "files").iterdir()}
    return there - set(files()) - {FOLDER / name for name in WRITTEN}


def _name(path: Path) -> str:
    return path.name.partition(".")[0]


def _rules(path: Path) -> str:
    """Return a rule file as a PrometheusRule, comments and all: its text, two columns to the right."""
    head = _head(path, "monitoring.coreos.com/v1", "PrometheusRule", _name(path))
    lines = path.read_text(encoding="utf-8").splitlines()
    return head + "spec:\n" + "".join(f"  {line}\n" if line else "\n" for line in lines)


def _dashboard(path: Path) -> str:
    """Return a dashboard as a ConfigMap that Grafana's sidecar loads; on one line, for it must stay small."""
    return (
        _head(path, "v1", "ConfigMap", f"{_name(path)}-dashboard", grafana_dashboard="1")
        + f"data:\n  {path.name}: |\n    {_one_line(path)}\n"
    )


def _one_line(path: Path) -> str:
    """Return a dashboard without the blanks that are there for readers."""
    return json.dumps(json.loads(path.read_text(encoding="utf-8")), separators=(",", ":"), ensure_ascii=False)


def _chart() -> str:
    """Return the chart's description, which says what pyproject.toml says; chart and program have one version."""
    known, version = project.project(), project.version()
    chart = {
        "apiVersion": "v2",
        "name": known["name"],
        "description": known["description"],
        "type": "application",
        "version": version,
        "appVersion": version,
        "kubeVersion": f">={FIRST_KUBERNETES}.0-0",
        "home": known["urls"]["Homepage"],
        "sources": [known["urls"]["Source"]],
        "keywords": known["keywords"],
    }
    return NOTE.format(source="pyproject.toml") + yaml.safe_dump(
        chart, sort_keys=False, default_flow_style=None, width=120
    )


def _head(path: Path, version: str, kind: str, name: str, **labels: str) -> str:
    """Return the lines before the content."""
    metadata = {"name": name, "labels": {"app.kubernetes.io/name": "directmail-exporter", **labels}}
    document = {"apiVersion": version, "kind": kind, "metadata": metadata}
    return NOTE.format(source=path.relative_to(ROOT)) + yaml.safe_dump(document, sort_keys=False)


if __name__ == "__main__":
    for path in stale():
        path.unlink()
    write(files())
