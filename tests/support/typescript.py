"""Values checked against types that a project publishes in TypeScript, by its own compiler; see `make schema-test`."""

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PACKAGES = ROOT / ".cache" / "schema" / "node_modules"
OPTIONS = {
    "strict": True,
    "noEmit": True,
    "skipLibCheck": True,
    "module": "esnext",
    "moduleResolution": "bundler",
    "types": [],
}


def findings(types: Path, values: Mapping[str, Any], folder: Path) -> dict[str, list[str]]:
    """Return what is wrong with each of the values, by name, as they should be a `Board` of the file of types.

    In the text of a program unknown keys are found as well. The folder is for the program; it has to be empty.
    """
    (folder / "node_modules").symlink_to(PACKAGES)
    shutil.copy(types, folder / "types.ts")
    for name, value in values.items():
        text = f"import type {{ Board }} from './types';\nexport const board: Board = {json.dumps(value, indent=1)};\n"
        (folder / f"{name}.ts").write_text(text)
    program = {"compilerOptions": OPTIONS, "files": ["types.ts", *(f"{name}.ts" for name in values)]}
    (folder / "tsconfig.json").write_text(json.dumps(program))
    command = ["node", PACKAGES / "typescript" / "lib" / "tsc.js", "--project", folder, "--pretty", "false"]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    found = re.findall(r"^(\S+)\.ts\(\d+,\d+\): error \w+: (.*(?:\n .*)*)", ended.stdout, re.MULTILINE)
    assert bool(found) == bool(ended.returncode), ended.stdout + ended.stderr
    assert {name for name, _ in found} <= set(values), ended.stdout
    return {each: [text for name, text in found if name == each] for each in values}
