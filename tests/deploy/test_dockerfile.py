"""The Dockerfile as it is written; tests/deploy/test_image.py builds and runs it."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def test_hadolint_finds_nothing_to_complain_of() -> None:
    linter = Path(sys.executable).with_name("hadolint")
    checked = subprocess.run([linter, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout) == (0, "")


def test_both_stages_use_one_base_with_a_supported_python() -> None:
    assert re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE) == ["${BASE}", "${BASE}"]
    (base,) = re.findall(r"^ARG BASE=(\S+)$", DOCKERFILE, re.MULTILINE)
    version = re.fullmatch(r"python:(3\.\d+)-slim-[a-z]+", base)
    assert version is not None
    assert f'"Programming Language :: Python :: {version[1]}"' in (ROOT / "pyproject.toml").read_text()


def test_everything_that_is_installed_has_a_hash() -> None:
    steps = re.findall(r"bin/pip [^&\n]*", DOCKERFILE)
    assert len(steps) == 5
    assert all("--require-hashes" in step or "--no-index" in step for step in steps)
    assert all("--no-build-isolation" in step for step in steps if " wheel " in step)


def test_no_instruction_of_a_running_container_needs_a_shell() -> None:
    runtime = DOCKERFILE.split("\nFROM ")[-1]
    assert "\nRUN " not in runtime
    commands = re.findall(r"(?:ENTRYPOINT|CMD) (.)", runtime)
    assert commands == ["[", "[", "["]


def test_the_wheel_is_built_with_what_the_project_declares() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert set(project["build-system"]["requires"]) <= set((ROOT / "requirements-build.in").read_text().splitlines())


def test_what_the_wheel_carries_is_there_when_it_is_built() -> None:
    """In the context of the build, and copied into the stage."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    needed = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    context = re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    copied = [
        name for names in re.findall(r"^COPY (?!--)(.+) \S+$", DOCKERFILE, re.MULTILINE) for name in names.split()
    ]
    for name in map(Path, needed):
        for known in (context, copied):
            assert any(name.is_relative_to(each) for each in known), name
