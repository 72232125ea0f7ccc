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

The simulator follows the documentation and the official SDK. What neither says, only a real account can tell.
This page lists what recordings of real accounts have shown, and what is still open.
The tests replay every recording.
"""
NONE = """No recording of a real account has been given yet: nobody has run the exporter against the real service.
"""
GIVE = """
## Give a recording

    directmail-exporter doctor --config.file config.yaml --record recording

It writes each request and answer of the examination to a file of its own, after all of it was shown. Nothing is sent.
What is not known to be safe is replaced:

- Key ids, tokens, signatures and nonces are never recorded.
- Senders, tags, domains, IPs and ids become stand-ins of the same shape; the same value always gets the same one.
- Dates are shifted by a secret number of weeks. The month of the recording is named, so this hides days, not months.
  So are region, zone and page size.
- Counts are kept; `--scale-counts` multiplies all of them by a secret factor.

`directmail-exporter simulate --recording recording` answers from it.

In a clone, `make test-account CONFIG=config.yaml` makes up to 40 read-only calls to the config's first target. It also
prints the rows that the recording adds to this page. Move the folder into `tests/recordings/`, run `make docs` and
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
        "Only those of the source `account` are evidence. The others hold what the documentation shows, and what may",
        "be the case. Parser, paging, cross-check, doctor and exporter are tested with each.\n",
        "| recording | source | made | region | SDK | exporter | calls |\n| --- | --- | --- | --- | --- | --- | --- |",
        *map(_row, found),
        "",
        *(f"- `{each.name}`: {each.manifest['about']}" for each in found),
        "\n## What the made-up ones hold\n",
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
