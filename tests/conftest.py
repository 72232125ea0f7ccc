"""What every test stands on: no real account, no metadata address, real programs where they are needed."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

os.environ["ALIBABA_CLOUD_ECS_METADATA_DISABLED"] = "true"
for name in (
    "ALIBABA_CLOUD_ACCESS_KEY_ID",
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
    "ALIBABA_CLOUD_SECURITY_TOKEN",
):
    os.environ.pop(name, None)


@pytest.fixture(scope="session")
def tool() -> Callable[[str], Path]:
    """Find a program that is not Python's: a developer's machine may lack it, CI may not."""

    def find(name: str) -> Path:
        path = shutil.which(name)
        if path is None and os.environ.get("CI") == "true":
            pytest.fail(f"{name} is not installed, and CI needs it")
        if path is None:
            pytest.skip(f"{name} is not installed")
        return Path(path)

    return find
