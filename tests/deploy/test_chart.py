"""The Helm chart, rendered, linted and checked by Helm itself. `make chart-test` runs it."""

import json
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.commands.main import cli
from exporter.config import loader
from exporter.reload import checked
from tests.support.helm import CHART, NAMESPACE, RELEASE, rejection, render, sdk
from tests.support.kubernetes_schemas import VERSIONS, validate
from tools import release

ROOT = Path(__file__).parents[2]
KUSTOMIZATION = ROOT / "deploy" / "kubernetes"
PAGE = (ROOT / "docs" / "chart.md").read_text()
EXAMPLES = [yaml.safe_load(text) for text in re.findall(r"^```yaml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)]
WRONG = yaml.safe_load((Path(__file__).parent / "wrong_values.yaml").read_text())
HELMS = {"helm.sh/chart", "app.kubernetes.io/instance", "app.kubernetes.io/version", "app.kubernetes.io/managed-by"}
"""Labels that Helm's conventions add."""

RIGHT = {
    "defaults": {},
    "three-shards": {"shards": 3},
    "service-monitor": {"podMonitor": {"enabled": False}, "serviceMonitor": {"enabled": True, "scheme": "https"}},
    "monitors-elsewhere": {"podMonitor": {"namespace": "monitoring"}, "prometheusRule": {"namespace": "monitoring"}},
    "no-operator": {"podMonitor": {"enabled": False}, "prometheusRule": {"enabled": False}},
    "emptydir": {"persistence": {"enabled": False}},
    "a-class-of-storage": {"persistence": {"storageClassName": "alicloud-disk-essd", "annotations": {"backup": "no"}}},
    "secret-that-exists": {"secret": {"existingSecret": "mail-keys"}},
    "secret-that-is-made": {"secret": {"create": True, "data": {"access_key_id": "a", "access_key_secret": "b: 'c'"}}},
    "a-role-and-no-secret": {"secret": {"enabled": False}, "serviceAccount": {"annotations": {"role": "mail"}}},
    "an-account-that-exists": {"serviceAccount": {"create": False, "name": "mail"}},
    "config-that-exists": {"existingConfigMap": "mail-config"},
    "nothing-that-is-optional": {
        name: {"enabled": False} for name in ("podMonitor", "prometheusRule", "dashboards", "networkPolicy")
    }
    | {"podDisruptionBudget": {"enabled": False}},
    "route": {
        "route": {
            "main": {
                "enabled": True,
                "parentRefs": [{"name": "public", "namespace": "gateways", "sectionName": "https"}],
                "hostnames": ["mail-metrics.example.com"],
            },
            "redirect": {
                "enabled": True,
                "parentRefs": [{"name": "public", "namespace": "gateways", "sectionName": "http"}],
                "httpsRedirect": True,
            },
        },
        "networkPolicy": {"extraIngress": [{"from": [{"namespaceSelector": {}}], "ports": [{"port": "metrics"}]}]},
    },
    "labels": {
        "commonLabels": {"team": "mail"},
        "podLabels": {"zone": "a"},
        "podMonitor": {"additionalLabels": {"release": "kube-prometheus-stack"}},
        "prometheusRule": {"additionalLabels": {"prometheus": "k8s", "role": "alert-rules"}},
        "dashboards": {"annotations": {"grafana_folder": "Mail"}, "namespace": "monitoring"},
    },
    "other-names": {"nameOverride": "eu-directmail", "fullnameOverride": "mail", "namespaceOverride": "mail-system"},
    "image-from-a-mirror": {
        "global": {"imageRegistry": "registry.example.com", "other": 1},
        "image": {"tag": "0.2.0", "digest": "sha256:" + "0" * 64, "pullPolicy": "Always"},
        "imagePullSecrets": [{"name": "mirror"}],
    },
    "everything-extra": {
        "extraArgs": ["--log.format=json"],
        "extraEnv": [{"name": "TZ", "value": "UTC"}],
        "extraEnvFrom": [{"secretRef": {"name": "proxy"}}],
        "extraVolumes": [{"name": "cache", "emptyDir": {}}],
        "extraVolumeMounts": [{"name": "cache", "mountPath": "/cache"}],
        "extraManifests": [
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-more"}, "data": {}},
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: text}\ndata: {release: '{{ .Release.Name }}'}\n",
        ],
        "nodeSelector": {"kubernetes.io/arch": "amd64"},
        "tolerations": [{"key": "mail", "operator": "Exists"}],
        "affinity": {"podAntiAffinity": {}},
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway"}
        ],
        "priorityClassName": "low",
        "podAnnotations": {"note": "x"},
        "networkPolicy": {"extraEgress": [{"to": [{"ipBlock": {"cidr": "192.0.2.1/32"}}], "ports": [{"port": 80}]}]},
        "podMonitor": {"relabelings": [{"targetLabel": "cluster", "replacement": "eu"}]},
    },
}

pytestmark = pytest.mark.chart

every_right_values = pytest.mark.parametrize("values", RIGHT.values(), ids=RIGHT)


def pod(objects: dict[tuple[str, str], dict[str, Any]]) -> dict[str, Any]:
    (only,) = [each for (kind, _), each in objects.items() if kind == "StatefulSet"]
    template: dict[str, Any] = only["spec"]["template"]
    return template


@every_right_values
def test_what_helm_renders_is_valid(values: dict[str, Any]) -> None:
    objects = render(values)
    assert objects
    for version in VERSIONS:
        for each in objects.values():
            validate(each, version)


@every_right_values
def test_helm_lint_reports_nothing_but_the_missing_icon(values: dict[str, Any]) -> None:
    found = sdk().lint(CHART, values, strict=True, namespace=NAMESPACE)
    names = {"object name does not conform"} if "extraManifests" in values else set()
    problems = [each["error"] for each in found["messages"] if not any(name in each["error"] for name in names)]
    assert (problems, found["errors"]) == (["icon is recommended"], [])


@pytest.mark.parametrize("wrong", WRONG, ids=lambda each: each["mistake"])
def test_wrong_values_are_rejected_with_their_place(wrong: dict[str, Any]) -> None:
    assert wrong["message"] in rejection(wrong["values"])


def test_the_defaults_render_to_the_kustomization() -> None:
    """But for names, the namespace, Helm's labels, and the image's tag and pull policy."""
    rendered = {key: plain(each) for key, each in render().items()}
    renamed = {
        (kind, re.sub(rf"^{RELEASE}-(?=alerts|recording|engagement|exporter)", "directmail-", name)): each
        for (kind, name), each in rendered.items()
    }
    kustomized = {(each["kind"], each["metadata"]["name"]): plain(each) for each in resources(KUSTOMIZATION)}
    assert set(renamed) == set(kustomized)
    for key, each in kustomized.items():
        assert renamed[key] == each | {"metadata": each["metadata"] | {"name": renamed[key]["metadata"]["name"]}}, key


def resources(folder: Path) -> list[dict[str, Any]]:
    """Return what a kustomization lists, folders included."""
    found = []
    for name in yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]:
        path = folder / name
        found += resources(path) if path.is_dir() else [yaml.safe_load(path.read_text())]
    return found


def plain(each: Any) -> Any:
    """Return an object less Helm's labels, the namespace, and the image's tag and pull policy; its config read."""
    if isinstance(each, list):
        return [plain(item) for item in each]
    if not isinstance(each, dict):
        return each
    left_out = HELMS | {"namespace", "imagePullPolicy"}
    made = {key: plain(value) for key, value in each.items() if key not in left_out}
    if "config.yaml" in made:
        made["config.yaml"] = yaml.safe_load(made["config.yaml"])
    if "image" in made:
        made["image"] = made["image"].partition(":")[0]
    for name in [name for name in made if name.endswith(".json")]:
        made[name] = json.loads(made[name])
    return made


@every_right_values
def test_everything_selects_the_pods_that_there_are(values: dict[str, Any]) -> None:
    objects = render(values)
    labels = pod(objects)["metadata"]["labels"].items()
    for (kind, _), each in objects.items():
        spec = each.get("spec", {})
        selector = spec.get("podSelector", spec.get("selector", {}))
        chosen = selector if kind == "Service" else selector.get("matchLabels", {})
        assert chosen.items() <= labels
        if kind == "ServiceMonitor":
            service = next(other for (kind, _), other in objects.items() if kind == "Service")
            assert chosen.items() <= service["metadata"]["labels"].items()
            assert spec["jobLabel"] in service["metadata"]["labels"]


@every_right_values
def test_the_rules_select_the_job(values: dict[str, Any]) -> None:
    job = pod(render(values))["metadata"]["labels"]["app.kubernetes.io/name"]
    selectors = re.findall(r'job=~"([^"]+)"', (ROOT / "prometheus" / "directmail-alerts.rules.yml").read_text())
    assert selectors
    assert all(re.fullmatch(selector, job) for selector in selectors)


@every_right_values
def test_the_pod_starts_the_program_with_flags_that_it_has(values: dict[str, Any]) -> None:
    known = {option for parameter in cli.params for option in parameter.opts}
    (container,) = pod(render(values))["spec"]["containers"]
    assert {argument.partition("=")[0] for argument in container["args"]} <= known


def kinds(objects: dict[tuple[str, str], dict[str, Any]]) -> dict[str, int]:
    """Return how many objects of each kind there are."""
    return dict(Counter(kind for kind, _ in objects))


def volumes(objects: dict[tuple[str, str], dict[str, Any]]) -> dict[str, Any]:
    """Return the pod's volumes by name."""
    return {each["name"]: each for each in pod(objects)["spec"]["volumes"]}


def test_all_that_is_optional_can_be_left_out() -> None:
    always = {"StatefulSet": 1, "Service": 1, "ServiceAccount": 1, "ConfigMap": 1}
    assert kinds(render(RIGHT["nothing-that-is-optional"])) == always
    more = {"PodMonitor": 1, "PrometheusRule": 2, "ConfigMap": 3, "NetworkPolicy": 1, "PodDisruptionBudget": 1}
    assert kinds(render()) == always | more


def test_either_monitor_scrapes_the_exporter() -> None:
    by_service = kinds(render(RIGHT["service-monitor"]))
    assert (by_service["ServiceMonitor"], "PodMonitor" in by_service) == (1, False)
    no_operator = kinds(render(RIGHT["no-operator"]))
    assert not {"ServiceMonitor", "PodMonitor", "PrometheusRule"} & set(no_operator)


def test_state_is_a_claim_or_a_folder_that_lasts_as_long_as_the_pod() -> None:
    kept, passing = render(RIGHT["a-class-of-storage"]), render(RIGHT["emptydir"])
    (claim,) = kept["StatefulSet", RELEASE]["spec"]["volumeClaimTemplates"]
    assert (claim["metadata"]["name"], claim["spec"]["storageClassName"]) == ("state", "alicloud-disk-essd")
    assert "state" not in volumes(kept)
    assert "volumeClaimTemplates" not in passing["StatefulSet", RELEASE]["spec"]
    assert "emptyDir" in volumes(passing)["state"]


def test_the_secret_is_one_that_exists_or_is_made_or_there_is_none() -> None:
    exists, made, none = (
        render(RIGHT[each]) for each in ("secret-that-exists", "secret-that-is-made", "a-role-and-no-secret")
    )
    assert volumes(exists)["keys"]["secret"]["secretName"] == "mail-keys"
    ((_, name), secret), *others = [item for item in made.items() if item[0][0] == "Secret"]
    assert (secret["stringData"], others) == (RIGHT["secret-that-is-made"]["secret"]["data"], [])
    assert volumes(made)["keys"]["secret"]["secretName"] == name
    assert not any(kind == "Secret" for kind, _ in (*exists, *none))
    assert "keys" not in volumes(none)
    assert none["ServiceAccount", RELEASE]["metadata"]["annotations"] == {"role": "mail"}


def test_account_and_config_that_exist_are_used() -> None:
    account, config = render(RIGHT["an-account-that-exists"]), render(RIGHT["config-that-exists"])
    assert (pod(account)["spec"]["serviceAccountName"], "ServiceAccount" in kinds(account)) == ("mail", False)
    assert volumes(config)["config"]["configMap"]["name"] == "mail-config"
    assert ("ConfigMap", RELEASE) not in config


def test_a_route_leads_to_the_service_or_to_https() -> None:
    objects = render(RIGHT["route"])
    main, redirect = objects["HTTPRoute", RELEASE]["spec"], objects["HTTPRoute", f"{RELEASE}-redirect"]["spec"]
    assert main["parentRefs"] == RIGHT["route"]["route"]["main"]["parentRefs"]
    (port,) = objects["Service", RELEASE]["spec"]["ports"]
    assert [each["backendRefs"] for each in main["rules"]] == [[{"name": RELEASE, "port": port["port"]}]]
    (rule,) = redirect["rules"]
    assert [each["requestRedirect"]["scheme"] for each in rule["filters"]] == ["https"]
    assert "HTTPRoute" not in kinds(render())


def test_common_labels_are_everywhere_and_labels_of_one_kind_are_there() -> None:
    objects = render(RIGHT["labels"])
    for key, each in objects.items():
        assert each["metadata"]["labels"]["team"] == "mail", key
    assert {"team": "mail", "zone": "a"}.items() <= pod(objects)["metadata"]["labels"].items()
    wanted = RIGHT["labels"]
    for (kind, name), each in objects.items():
        labels = each["metadata"]["labels"].items()
        if kind == "PrometheusRule":
            assert wanted["prometheusRule"]["additionalLabels"].items() <= labels
        if kind == "PodMonitor":
            assert wanted["podMonitor"]["additionalLabels"].items() <= labels
        if name.endswith("-dashboard"):
            assert (each["metadata"]["annotations"], each["metadata"]["namespace"]) == (
                {"grafana_folder": "Mail"},
                "monitoring",
            )
            assert {"grafana_dashboard": "1"}.items() <= labels


def test_the_image_is_that_of_the_mirror_by_its_digest() -> None:
    spec = pod(render(RIGHT["image-from-a-mirror"]))["spec"]
    (container,) = spec["containers"]
    assert re.fullmatch(r"registry\.example\.com/\S+:0\.2\.0@sha256:0{64}", container["image"])
    assert (container["imagePullPolicy"], spec["imagePullSecrets"]) == ("Always", [{"name": "mirror"}])


def test_everything_extra_is_in_the_pod() -> None:
    values = RIGHT["everything-extra"]
    spec = pod(render(values))["spec"]
    (container,) = spec["containers"]
    assert values["extraArgs"] == container["args"][-1:]
    assert values["extraEnv"][0] in container["env"]
    assert values["extraEnvFrom"] == container["envFrom"]
    assert values["extraVolumeMounts"][0] in container["volumeMounts"]
    assert values["extraVolumes"][0] in spec["volumes"]
    for name in ("nodeSelector", "tolerations", "affinity", "priorityClassName"):
        assert spec[name] == values[name]
    (spread,) = spec["topologySpreadConstraints"]
    assert values["topologySpreadConstraints"][0].items() <= spread.items()


def test_one_value_sets_the_number_of_shards() -> None:
    each = render({"shards": 3})["StatefulSet", RELEASE]["spec"]
    assert each["replicas"] == 3
    assert "--shard=auto/3" in each["template"]["spec"]["containers"][0]["args"]


def test_an_upgrade_changes_no_immutable_field(tmp_path: Path) -> None:
    """A StatefulSet's selector, service and claims are forever: the next version of the chart has the same."""
    newer = tmp_path / "chart"
    shutil.copytree(CHART, newer)
    about = newer / "Chart.yaml"
    about.write_text(re.sub(r"(?m)^(version|appVersion): .*$", r"\1: 99.0.0", about.read_text()))
    old, new = render()["StatefulSet", RELEASE]["spec"], render(chart=newer)["StatefulSet", RELEASE]["spec"]
    assert old["template"] != new["template"]
    fixed = ("selector", "serviceName", "podManagementPolicy", "volumeClaimTemplates")
    assert {key: old[key] for key in fixed} == {key: new[key] for key in fixed}


def test_the_packed_chart_is_the_chart(tmp_path: Path) -> None:
    assert render(chart=release.pack_chart(tmp_path, 0)) == render()


def test_a_release_of_another_name_has_names_of_its_own() -> None:
    ours, other = render(), render(release="eu")
    assert not {name for _, name in ours} & {name for _, name in other}
    assert ("StatefulSet", "eu-directmail-exporter") in other


def test_addresses_in_the_rules_can_be_set() -> None:
    values = {"runbookUrl": "https://wiki.example.org/mail", "dashboardUrl": "https://grafana.example.org/"}
    objects = render({"prometheusRule": values})
    groups = objects["PrometheusRule", f"{RELEASE}-alerts"]["spec"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert rules
    for rule in rules:
        assert rule["annotations"]["runbook_url"].startswith("https://wiki.example.org/mail#directmail")
        assert rule["annotations"]["dashboard_url"].startswith("https://grafana.example.org/d/directmail-")
    plainly = render()["PrometheusRule", f"{RELEASE}-alerts"]["spec"]["groups"]
    assert [rule["expr"] for group in plainly for rule in group["rules"]] == [rule["expr"] for rule in rules]


def test_templates_in_extra_manifests_are_rendered() -> None:
    objects = render(RIGHT["everything-extra"])
    assert objects["ConfigMap", "text"]["data"] == {"release": RELEASE}
    assert ("ConfigMap", f"{RELEASE}-more") in objects


def test_the_config_reaches_the_pod_as_it_was_written() -> None:
    config = {"targets": [{"name": "a", "region": "cn-hangzhou", "queries": [{"name": "q", "tag_name": "007"}]}]}
    written = render({"config": config})["ConfigMap", RELEASE]["data"]["config.yaml"]
    assert yaml.safe_load(written)["targets"] == config["targets"]


def test_every_key_of_the_schema_is_in_the_values_and_explained() -> None:
    """A key that only the schema knows would be found by nobody; `enabled` is for a parent chart."""
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert set(schema["properties"]) - {"enabled"} == set(values)
    for name, each in schema["properties"].items():
        if "properties" in each and name not in ("podSecurityContext", "securityContext", "affinity", "config"):
            assert set(each["properties"]) == set(values[name]), name


@pytest.mark.parametrize("values", EXAMPLES, ids=lambda each: next(iter(each)))
def test_every_example_of_the_page_renders(values: dict[str, Any]) -> None:
    objects = render(values)
    for each in objects.values():
        validate(each, VERSIONS[-1])
    if "config" in values:
        sound, problems = loader.parse(yaml.safe_dump(values["config"]))
        files = {problem for problem in problems if "cannot be read" in problem.text}
        assert checked("values", sound, tuple(set(problems) - files))
