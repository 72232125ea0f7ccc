"""The manifests: valid for Kubernetes, in step with the program and with the rules and dashboards they are made of."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from exporter.commands.main import cli
from exporter.reload import load
from tests.support.kubernetes_schemas import VERSIONS, validate
from tools import manifests

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"
FILES = sorted(path for path in FOLDER.rglob("*.yaml") if path.name != "kustomization.yaml")
LARGEST = 256 * 1024
"""Bytes of the annotation in which kubectl keeps what it applied; a ConfigMap itself may have 1 MiB."""


def document(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(path.read_text())
    return loaded


def pod() -> dict[str, Any]:
    template: dict[str, Any] = document(FOLDER / "statefulset.yaml")["spec"]["template"]
    return template


def container() -> dict[str, Any]:
    (only,) = pod()["spec"]["containers"]
    found: dict[str, Any] = only
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_manifest_is_valid(path: Path) -> None:
    for version in VERSIONS:
        validate(document(path), version)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        pytest.param("statefulset.yaml", "readOnlyRootFilesystem", "readOnlyRootFileSystem", id="typo-in-a-pod"),
        pytest.param("service.yaml", "port: 10058", "port: metrics", id="wrong-type"),
        pytest.param("monitoring/podmonitor.yaml", "interval: 1m", "interval: 1 minute", id="no-duration"),
        pytest.param("monitoring/podmonitor.yaml", "jobLabel", "joblabel", id="typo-in-a-monitor"),
        pytest.param("monitoring/directmail-alerts-rules.yaml", "expr:", "expression:", id="typo-in-a-rule"),
        pytest.param("monitoring/directmail-alerts-rules.yaml", "for: 1h", "for: an hour", id="no-duration-in-a-rule"),
    ],
)
def test_a_mistake_would_be_found(name: str, old: str, new: str) -> None:
    text = (FOLDER / name).read_text()
    assert old in text
    with pytest.raises((jsonschema.ValidationError, kubernetes_validate.ValidationError)):
        validate(yaml.safe_load(text.replace(old, new)), VERSIONS[-1])


def test_what_is_generated_is_what_the_sources_give() -> None:
    made = manifests.files()
    assert {path: path.read_text() for path in made} == made, "run make manifests"
    assert manifests.stale() == set(), "run make manifests"


def test_every_rule_file_is_in_the_manifests_as_prometheus_reads_it() -> None:
    sources = sorted(ROOT.glob("prometheus/*.rules.yml"))
    assert sources
    for path in sources:
        made = document(manifests.FOLDER / f"{path.name.removesuffix('.rules.yml')}-rules.yaml")
        assert made["spec"] == document(path)


def test_every_dashboard_is_in_the_manifests_and_small_enough() -> None:
    sources = sorted(ROOT.glob("grafana/*.json"))
    assert sources
    for path in sources:
        made = document(manifests.FOLDER / f"{path.stem}-dashboard.yaml")
        assert json.loads(made["data"][path.name]) == json.loads(path.read_text())
        assert made["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert len(json.dumps(made)) < LARGEST


def test_the_kustomization_has_everything_but_the_example_of_a_secret() -> None:
    for folder, left_out in ((FOLDER, {"secret.example.yaml", "openshift"}), (FOLDER / "monitoring", set())):
        there = {path.name for path in folder.iterdir()} - {"kustomization.yaml"}
        assert set(document(folder / "kustomization.yaml")["resources"]) == there - left_out


def test_yamllint_finds_nothing_to_complain_of() -> None:
    linter = Path(sys.executable).with_name("yamllint")
    checked = subprocess.run([linter, "--strict", "deploy"], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (checked.returncode, checked.stdout) == (0, "")


def test_everything_selects_the_pods_and_the_port_that_there_are() -> None:
    labels = pod()["metadata"]["labels"].items()
    selectors = [
        document(FOLDER / "service.yaml")["spec"]["selector"],
        document(FOLDER / "statefulset.yaml")["spec"]["selector"]["matchLabels"],
        document(FOLDER / "poddisruptionbudget.yaml")["spec"]["selector"]["matchLabels"],
        document(FOLDER / "networkpolicy.yaml")["spec"]["podSelector"]["matchLabels"],
        document(FOLDER / "monitoring" / "podmonitor.yaml")["spec"]["selector"]["matchLabels"],
    ]
    assert all(selector and selector.items() <= labels for selector in selectors)
    (port,) = container()["ports"]
    assert port == {"name": "metrics", "containerPort": 10058}
    (endpoint,) = document(FOLDER / "monitoring" / "podmonitor.yaml")["spec"]["podMetricsEndpoints"]
    (served,) = document(FOLDER / "service.yaml")["spec"]["ports"]
    (allowed,) = document(FOLDER / "networkpolicy.yaml")["spec"]["ingress"][0]["ports"]
    probes = [container()[f"{kind}Probe"]["httpGet"]["port"] for kind in ("startup", "liveness", "readiness")]
    assert {endpoint["port"], served["targetPort"], allowed["port"], *probes} == {"metrics"}


class TestOpenShift:
    """Clusters that choose the user id of a pod themselves."""

    def test_the_component_takes_every_fixed_id_out_and_nothing_else(self) -> None:
        component = document(FOLDER / "openshift" / "kustomization.yaml")
        (patch,) = component["patches"]
        workload = document(FOLDER / "statefulset.yaml")
        assert patch["target"] == {"kind": workload["kind"], "name": workload["metadata"]["name"]}
        for step in yaml.safe_load(patch["patch"]):
            assert step["op"] == "remove"
            *way, last = step["path"].strip("/").split("/")
            holder = workload
            for key in way:
                holder = holder[key]
            del holder[last]
        assert workload["spec"]["template"]["spec"]["securityContext"] == {
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        for version in VERSIONS:
            validate(workload, version)

    def test_dns_is_allowed_on_every_port_of_the_dns_pods(self) -> None:
        rules = document(FOLDER / "networkpolicy.yaml")["spec"]["egress"]
        ports = {(each["port"], each["protocol"]) for rule in rules for each in rule["ports"]}
        assert {(port, protocol) for port in (53, 5353) for protocol in ("UDP", "TCP")} <= ports

    def test_the_state_folder_of_the_image_is_writable_for_group_0(self) -> None:
        mount = next(Path(each["mountPath"]) for each in container()["volumeMounts"] if each["name"] == "state")
        dockerfile = (ROOT / "Dockerfile").read_text()
        assert f"--mode=775 /state/{mount.name}\n" in dockerfile
        assert re.search(rf"^COPY .*--chown=\d+:0 /state {mount.parent}$", dockerfile, re.MULTILINE)


def test_no_file_is_mounted_alone() -> None:
    """A file mounted by subPath would never change."""
    assert not any("subPath" in mount for mount in container()["volumeMounts"])


def test_pods_are_scraped_before_they_are_ready() -> None:
    service = document(FOLDER / "service.yaml")["spec"]
    assert service["publishNotReadyAddresses"] is True
    assert service["clusterIP"] == "None"
    assert document(FOLDER / "statefulset.yaml")["spec"]["serviceName"] == "directmail-exporter"
    assert container()["readinessProbe"]["httpGet"]["path"] == "/-/ready"
    assert container()["livenessProbe"]["httpGet"]["path"] == "/-/healthy"


def test_the_rules_select_the_job_of_the_scrapes() -> None:
    monitor = document(FOLDER / "monitoring" / "podmonitor.yaml")["spec"]
    job = pod()["metadata"]["labels"][monitor["jobLabel"]]
    selectors = re.findall(r'job=~"([^"]+)"', (ROOT / "prometheus" / "directmail-alerts.rules.yml").read_text())
    assert selectors
    assert all(re.fullmatch(selector, job) for selector in selectors)


def test_a_pod_meets_the_restricted_standard_of_pod_security() -> None:
    everywhere, here = pod()["spec"]["securityContext"], container()["securityContext"]
    assert everywhere["runAsNonRoot"] is True
    assert everywhere["seccompProfile"] == {"type": "RuntimeDefault"}
    assert here == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert f"USER {everywhere['runAsUser']}:{everywhere['runAsGroup']}\n" in (ROOT / "Dockerfile").read_text()


def test_the_config_of_the_example_fits_the_volumes_and_the_secret(tmp_path: Path) -> None:
    text = document(FOLDER / "configmap.yaml")["data"]["config.yaml"]
    mounts = {each["name"]: each["mountPath"] for each in container()["volumeMounts"]}
    keys = document(FOLDER / "secret.example.yaml")["stringData"]
    written = yaml.safe_load(text)
    assert written["state_file"].startswith(mounts["state"] + "/")
    named = set(written["targets"][0]["credentials"].values())
    assert named == {f"{mounts['keys']}/{key}" for key in keys}
    assert f"--config.file={mounts['config']}/config.yaml" in container()["args"]
    for key, value in keys.items():
        (tmp_path / key).write_text(value)
    (tmp_path / "config.yaml").write_text(text.replace(mounts["keys"], str(tmp_path)))
    assert load(tmp_path / "config.yaml").targets


def test_the_pod_starts_the_program_with_flags_that_it_has() -> None:
    known = {option for parameter in cli.params for option in parameter.opts}
    assert {argument.partition("=")[0] for argument in container()["args"]} <= known


def test_there_are_as_many_pods_as_shards() -> None:
    replicas = document(FOLDER / "statefulset.yaml")["spec"]["replicas"]
    assert f"--shard=auto/{replicas}" in container()["args"]


def test_the_memory_is_what_the_benchmark_measured_with_room_above_it() -> None:
    measured = dict(
        re.findall(r"resident memory, ([\d,]+) series \| (\d+) MB", (ROOT / "benchmarks" / "README.md").read_text())
    )
    resources = container()["resources"]
    assert int(resources["requests"]["memory"].removesuffix("Mi")) > int(measured["10,000"])
    assert int(resources["limits"]["memory"].removesuffix("Mi")) > 1.5 * int(measured["100,000"])
