"""`python -m tools.verified` writes docs/verified.md from tests/recordings/; `make docs` runs it."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from exporter.simulator.replay import Recording
from tools.questions import QUESTIONS, answer

ROOT = Path(__file__).parents[1]
FILE = ROOT / "docs" / "verified.md"
FOLDER = ROOT / "tests" / "recordings"
ACCOUNT = "account"

HEAD = """# What has been verified

<!-- Written by `make docs` from tests/recordings/ and tools/questions.py. Edit those. -->

The simulator follows the documentation and the official SDK, which leave questions open. This page lists what
recordings of real accounts have shown and what is still unknown. The tests replay every recording.
"""
NONE = """No recording of a real account has been given yet: nobody has run the exporter against the real service.
"""
GIVE = """
## Give a recording

    directmail-exporter doctor --config.file config.yaml --record recording

This shows every request and response, then writes each to its own file. Nothing is sent. Values not known to be safe
are replaced:

- Key ids, tokens, signatures and nonces are never recorded.
- Senders, tags, domains, IPs and ids are replaced by values of the same form, consistently.
- Dates are shifted by a secret number of weeks. The recording's month, region, time zone and page size are kept.
- Counts are kept; `--scale-counts` multiplies all of them by a secret factor.

`directmail-exporter simulate --recording recording` replays it.

In a clone, `make test-account CONFIG=config.yaml` makes up to 40 read-only calls to the config's first target. It also
prints the rows that the recording adds here. Move the folder into `tests/recordings/`, run `make docs` and
open a pull request, or attach the folder to an issue.
"""


def recordings(folder: Path = FOLDER) -> list[Recording]:
    """Return every recording in a folder. Raise RecordingError for a broken one."""
    return [Recording(path.parent) for path in sorted(folder.glob("*/recording.json"))]


def text(folder: Path = FOLDER) -> str:
    """Return the whole of docs/verified.md, made from the recordings in a folder."""
    found = recordings(folder)
    real = [each for each in found if each.manifest["source"] == ACCOUNT]
    made = [each for each in found if each.manifest["source"] != ACCOUNT]
    seen = answered(real) if real else NONE
    rows = [
        f"| {question.text} | {question.how} | {question.where} |"
        for question in QUESTIONS
        if not any(answer(question, each) for each in real)
    ]
    lines = [
        f"{HEAD}\n## Seen in real accounts\n",
        seen,
        "## Still open\n",
        "| question | how to find out | where the answer goes |\n| --- | --- | --- |",
        *rows,
        GIVE,
        "## Recordings\n",
        "Only recordings of the source `account` are evidence. The others hold documented and possible responses.",
        "Parser, paging, cross-check, doctor and exporter are tested with each.\n",
        "| recording | source | made | region | SDK | exporter | calls |\n| --- | --- | --- | --- | --- | --- | --- |",
        *map(_row, found),
        "",
        *(f"- `{each.name}`: {each.manifest['about']}" for each in found),
        "\n## What the simulated recordings hold\n",
        answered(made).rstrip(),
    ]
    return "\n".join(lines) + "\n"


def answered(found: Sequence[Recording]) -> str:
    """Return the table of what recordings answer, ready for the page."""
    rows = [
        f"| {question.text} | {said} | `{each.name}`, {_made(each)} |"
        for question in QUESTIONS
        for each in found
        if (said := answer(question, each))
    ]
    return "\n".join(["| question | answer | recording |\n| --- | --- | --- |", *rows]) + "\n"


def _made(recording: Recording) -> str:
    manifest = recording.manifest
    return " ".join(filter(None, (manifest["recorded"], manifest["region"]))) or manifest["source"]


def _row(recording: Recording) -> str:
    manifest = recording.manifest
    counted = Counter(call.action for call in recording.calls)
    calls = ", ".join(f"{count} {action}" for action, count in sorted(counted.items()))
    facts = (manifest[name] or "-" for name in ("source", "recorded", "region", "sdk", "exporter"))
    return f"| `{recording.name}` | {' | '.join(facts)} | {calls} |"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
