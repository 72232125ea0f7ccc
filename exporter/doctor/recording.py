"""A recording of an examination: each request with its response, sanitised, in files that people can read.

`recording.json` says where it comes from; each call is a file of its own in a folder of its operation. The simulator
answers from such a folder (`exporter/simulator/replay.py`). Headers of requests, and with them key ids, tokens,
signatures and nonces, are never recorded.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from yarl import URL

from exporter import __version__
from exporter.clock import Clock
from exporter.config.model import Target
from exporter.config.regions import REGIONS
from exporter.directmail.decoding import decode, text_of
from exporter.directmail.errors import ParseError
from exporter.directmail.transport import Reply
from exporter.doctor.findings import Finding
from exporter.doctor.sanitizing import Sanitizer

MANIFEST = "recording.json"
SDK_VERSION = "1.11.1"
"""The official SDK whose models the requests follow; a test compares it with the installed one."""
HEADERS = ("x-acs-retry-after", "Retry-After")
"""Headers of responses that are kept; their values are numbers."""
CONTENT_TYPES = ("application/json", "text/xml", "application/xml", "text/html", "text/plain")
LONGEST_TEXT = 2000
"""Maximum characters kept of a response that is not a JSON object."""


class Call(NamedTuple):
    """A request as it was sent, and what came back."""

    action: str
    parameters: Mapping[str, str]
    reply: Reply | None
    """None where no response came."""
    at: float
    """When it came, in seconds since the epoch."""


class CallRecorder:
    """Keeps what a client is recorded to have sent and got, in order."""

    def __init__(self, clock: Clock) -> None:
        self.kept: list[Call] = []
        self._clock = clock

    def __call__(self, action: str, parameters: Mapping[str, str], reply: Reply | None) -> None:
        """Add a call."""
        self.kept.append(Call(action, dict(parameters), reply, self._clock.time()))


class Origin(NamedTuple):
    """Where a recording comes from."""

    source: str
    """`account`, `documentation` or `simulator`; only the first is evidence of what the API does."""
    about: str
    """A sentence for people."""


ACCOUNT = Origin("account", "A real account, recorded by `directmail-exporter doctor --record`.")


def files(
    target: Target,
    calls: Sequence[Call],
    findings: Sequence[Finding],
    sanitizer: Sanitizer,
    origin: Origin = ACCOUNT,
) -> dict[str, str]:
    """Return the files of a recording by their paths, the manifest first; nothing where nothing was requested."""
    if not calls:
        return {}
    began = calls[0].at
    hosts = {host: region for region, row in REGIONS.items() for host in row}
    manifest = {
        "format": 1,
        "source": origin.source,
        "about": origin.about,
        "recorded": f"{datetime.fromtimestamp(began, UTC):%Y-%m}",
        "exporter": __version__,
        "sdk": SDK_VERSION,
        "region": hosts.get(URL(target.endpoint).host or "", ""),
        "timezone": target.timezone.key,
        "page_size": target.page_size,
        "began": sanitizer.moment(began),
        "findings": [[each.check, each.level] for each in findings],
    }
    made = {MANIFEST: manifest}
    for place, call in enumerate(calls, 1):
        made[f"{call.action}/{place:02}.json"] = _call(call, sanitizer)
    return {name: readable(document) + "\n" for name, document in made.items()}


def write(folder: Path, made: Mapping[str, str]) -> None:
    """Write the files. Raise OSError where that fails."""
    for name, text in made.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def document_of(reply: Reply) -> dict[str, Any]:
    """Return the document of a response as it came. Raise ParseError where there is none."""
    return decode(text_of(reply.body))


def readable(value: Any, indent: str = "") -> str:
    """Return JSON in which a row, which holds no other list or object, is one line."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if not any(isinstance(each, dict | list) and each for each in inner):
        return json.dumps(value, ensure_ascii=False)
    deeper = indent + "  "
    if isinstance(value, dict):
        lines = [f"{json.dumps(name, ensure_ascii=False)}: {readable(each, deeper)}" for name, each in value.items()]
    else:
        lines = [readable(each, deeper) for each in value]
    begin, end = "{}" if isinstance(value, dict) else "[]"
    return begin + ",".join(f"\n{deeper}{line}" for line in lines) + f"\n{indent}{end}"


def _call(call: Call, sanitizer: Sanitizer) -> dict[str, Any]:
    made = {
        "action": call.action,
        "at": sanitizer.moment(call.at),
        "parameters": sanitizer.parameters(call.parameters),
    }
    if call.reply is None:
        return {**made, "status": None}
    return {**made, "status": call.reply.status, "headers": _headers(call.reply), **_body(call.reply, sanitizer)}


def _headers(reply: Reply) -> dict[str, str]:
    kind = reply.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    found = {"Content-Type": kind} if kind in CONTENT_TYPES else {}
    return found | {name: value for name in HEADERS if (value := reply.headers.get(name, "")).isdecimal()}


def _body(reply: Reply, sanitizer: Sanitizer) -> dict[str, Any]:
    try:
        return {"body": sanitizer.document(document_of(reply))}
    except (ParseError, RecursionError):
        return {"text": sanitizer.words(text_of(reply.body)[:LONGEST_TEXT])}
