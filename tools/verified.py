"""`python -m tools.verified` writes docs/verified.md from tests/recordings/; `make docs` runs it."""

from collections.abc import Sequence
from pathlib import Path

from exporter.simulator.replay import Recording
from tools.artefacts import ROOT, write
from tools.questions import QUESTIONS, RECORDED, answer

FILE = ROOT / "docs" / "verified.md"
FOLDER = ROOT / "tests" / "recordings"
ACCOUNT = "account"

HEAD = """# What has been verified

<!-- Written by `make docs` from tests/recordings/ and tools/questions.py. Edit those. -->

The exporter and its simulator follow the documentation and the official SDK, which leave questions open. This page
lists what recordings of real accounts have shown and what is still unknown.
"""
NONE = """Nothing yet: nobody has run the exporter against the real service.
"""
OPEN = """## Still open

`make test-account` answers these:
"""
GIVE = """## Give a recording

    directmail-exporter doctor --config.file config.yaml --record recording

This shows every request and response before it writes them to files. Nothing is sent. Values not known to be safe are
replaced:

- Key ids, tokens, signatures and nonces are never recorded.
- Senders, tags, domains, IPs and ids are replaced consistently by values of the same form.
- Dates are shifted by a secret number of weeks. The recording's month, region, time zone and page size are kept.
- Counts are kept, unless `--scale-counts` multiplies all of them by a secret factor.

`directmail-exporter simulate --recording recording` replays it.

In a clone, `make test-account CONFIG=config.yaml` makes up to 40 read-only calls to the config's first target and
prints the answers that the recording adds here. Move the folder into `tests/recordings/`, run `make docs` and open a
pull request, or attach the folder to an issue.
"""
RECORDINGS = """## Recordings

Only the source `account` is evidence; the others hold documented and possible responses. The tests replay each one.
"""


def recordings(folder: Path = FOLDER) -> list[Recording]:
    """Return every recording in a folder. Raise RecordingError for a broken one."""
    return [Recording(path.parent) for path in sorted(folder.glob("*/recording.json"))]


def text(folder: Path = FOLDER) -> str:
    """Return the whole of docs/verified.md, made from the recordings in a folder."""
    found = recordings(folder)
    real = [each for each in found if each.manifest["source"] == ACCOUNT]
    still = [question for question in QUESTIONS if not any(answer(question, each) for each in real)]
    lines = [
        f"{HEAD}\n## Seen in real accounts\n",
        answered(real) if real else NONE,
        OPEN,
        "| question | where the answer goes |\n| --- | --- |",
        *(f"| {question.text} | {question.where} |" for question in still if question.how == RECORDED),
        "\nThese need something else:\n",
        "| question | how to find out | where the answer goes |\n| --- | --- | --- |",
        *(f"| {each.text} | {each.how} | {each.where} |" for each in still if each.how != RECORDED),
        f"\n{GIVE}",
        RECORDINGS,
        "| recording | source | made | region | SDK | exporter | calls |\n| --- | --- | --- | --- | --- | --- | --- |",
        *map(_row, found),
    ]
    return "\n".join(lines) + "\n"


def answered(found: Sequence[Recording]) -> str:
    """Return the table of what recordings answer, ready for the page."""
    rows = [
        f"| {question.text} | {reply} | `{each.name}`, {_made(each)} |"
        for question in QUESTIONS
        for each in found
        if (reply := answer(question, each))
    ]
    return "\n".join(["| question | answer | recording |\n| --- | --- | --- |", *rows]) + "\n"


def _made(recording: Recording) -> str:
    manifest = recording.manifest
    return " ".join(filter(None, (manifest["recorded"], manifest["region"]))) or manifest["source"]


def _row(recording: Recording) -> str:
    manifest = recording.manifest
    facts = (manifest[name] or "-" for name in ("source", "recorded", "region", "sdk", "exporter"))
    return f"| `{recording.name}` | {' | '.join(facts)} | {len(recording.calls)} |"


if __name__ == "__main__":
    write({FILE: text()})
