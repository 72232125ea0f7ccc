"""Write the generated manifests, rules and dashboards as Kubernetes takes them: `python -m tools.manifests`."""

import json
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "deploy" / "kubernetes" / "monitoring"
WRITTEN = ("podmonitor.yaml",)
"""What in the folder is written by hand."""
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
    return made


def _name(path: Path) -> str:
    return path.name.partition(".")[0]


def _rules(path: Path) -> str:
    """Return a rule file as a PrometheusRule, comments and all: its text, two columns to the right."""
    head = _head(path, "monitoring.coreos.com/v1", "PrometheusRule", _name(path))
    lines = path.read_text(encoding="utf-8").splitlines()
    return head + "spec:\n" + "".join(f"  {line}\n" if line else "\n" for line in lines)


def _dashboard(path: Path) -> str:
    """Return a dashboard as a ConfigMap that Grafana's sidecar loads; on one line, for it must stay small."""
    board = json.loads(path.read_text(encoding="utf-8"))
    text = json.dumps(board, separators=(",", ":"), ensure_ascii=False)
    return (
        _head(path, "v1", "ConfigMap", f"{_name(path)}-dashboard", grafana_dashboard="1")
        + f"data:\n  {path.name}: |\n    {text}\n"
    )


def _head(path: Path, version: str, kind: str, name: str, **labels: str) -> str:
    """Return the lines before the content."""
    metadata = {"name": name, "labels": {"app.kubernetes.io/name": "directmail-exporter", **labels}}
    document = {"apiVersion": version, "kind": kind, "metadata": metadata}
    return NOTE.format(source=path.relative_to(ROOT)) + yaml.safe_dump(document, sort_keys=False)


if __name__ == "__main__":
    for stale in set(FOLDER.glob("*.yaml")) - set(files()) - {FOLDER / name for name in WRITTEN}:
        stale.unlink()
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")
