"""docs/deploy.md, compared with the tree, the program and the manifests."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter import __version__
from exporter.commands.flags import LISTEN_ADDRESS
from exporter.commands.main import cli
from exporter.reload import load

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "deploy.md").read_text()
YAML = re.compile(r"```yaml\n(.*?)```", re.DOTALL)
COMMANDS = re.findall(r"^    (\S.*)$", re.sub(r" \\\n\s*", " ", YAML.sub("", TEXT)), re.MULTILINE)
BLOCKS = [yaml.safe_load(written) for written in YAML.findall(TEXT)]


def block(key: str) -> dict[str, Any]:
    """Return the one YAML block that has this key."""
    (found,) = [each for each in BLOCKS if key in each]
    return dict(found)


def test_every_command_is_of_a_program_in_the_list() -> None:
    programs = {line.split()[0] for line in COMMANDS}
    pip = "/opt/directmail-exporter/bin/pip"
    assert programs == {"make", "docker", "python3", pip, "install", "systemctl", "kubectl"}


def test_every_target_of_make_exists() -> None:
    targets = set(re.findall(r"\bmake ([a-z-]+)", TEXT))
    assert targets >= {"image"}
    makefile = (ROOT / "Makefile").read_text()
    assert [target for target in targets if f"\n{target}:" not in makefile] == []


def test_every_path_that_is_named_is_in_the_tree() -> None:
    paths = set(re.findall(r"(?<![\w/])(?:deploy|docs|benchmarks|prometheus|grafana)/[\w./-]*\w", TEXT))
    paths |= set(re.findall(r"\]\(\.\./([^)#]+)\)", TEXT))
    assert len(paths) > 6
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_every_flag_of_the_program_exists() -> None:
    known = {option for parameter in cli.params for option in parameter.opts}
    shown = set(re.findall(r"(?<=[ `])--(?:config|web|log|shard)[\w.-]*", TEXT))
    assert shown
    assert shown <= known
    assert LISTEN_ADDRESS in TEXT


def test_the_config_for_systemd_has_its_keys_where_the_unit_puts_them(tmp_path: Path) -> None:
    written = block("state_file")
    unit = (ROOT / "deploy" / "systemd" / "directmail-exporter.service").read_text()
    loaded = re.findall(r"^LoadCredential=(\w+):", unit, re.MULTILINE)
    folder = "/run/credentials/directmail-exporter.service"
    assert list(written["targets"][0]["credentials"].values()) == [f"{folder}/{name}" for name in loaded]
    directory = re.search(r"^StateDirectory=(.*)$", unit, re.MULTILINE)
    assert directory is not None
    assert Path(written["state_file"]).parent == Path("/var/lib") / directory[1]
    for name in loaded:
        (tmp_path / name).write_text("x")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(written).replace(folder, str(tmp_path)))
    assert load(tmp_path / "config.yaml").targets


def test_the_overlay_replaces_what_is_in_the_manifests() -> None:
    overlay = block("images")
    stateful = yaml.safe_load((ROOT / "deploy" / "kubernetes" / "statefulset.yaml").read_text())
    (container,) = stateful["spec"]["template"]["spec"]["containers"]
    (image,) = overlay["images"]
    assert (image["name"], image["newTag"]) == (container["image"], __version__)
    (generated,) = overlay["configMapGenerator"]
    configmap = yaml.safe_load((ROOT / "deploy" / "kubernetes" / "configmap.yaml").read_text())
    assert (generated["name"], generated["files"]) == (configmap["metadata"]["name"], list(configmap["data"]))


def test_the_patch_for_shards_hits_the_flag() -> None:
    (patch,) = block("patches")["patches"]
    operations = {each["path"]: each["value"] for each in yaml.safe_load(patch["patch"])}
    stateful = yaml.safe_load((ROOT / "deploy" / "kubernetes" / "statefulset.yaml").read_text())
    assert patch["target"] == {"kind": stateful["kind"], "name": stateful["metadata"]["name"]}
    for path in operations:
        place: Any = stateful
        for part in path.strip("/").split("/"):
            place = place[int(part)] if isinstance(place, list) else place[part]
        assert place in (1, "--shard=auto/1")
    assert operations["/spec/template/spec/containers/0/args/2"] == f"--shard=auto/{operations['/spec/replicas']}"


@pytest.mark.parametrize("metric", re.findall(r"`(directmail_\w+)`", TEXT))
def test_every_metric_exists(metric: str) -> None:
    assert f"`{metric}`" in (ROOT / "docs" / "metrics.md").read_text()
