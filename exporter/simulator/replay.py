"""Responses from a recording that `doctor --record` wrote: each request gets its recorded response.

Days move with the clock: the day on which the recording began is today. What was not recorded is rejected; nothing is
made up.
"""

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from exporter.simulator.error_responses import ApiError

MANIFEST = "recording.json"
_TIMES = frozenset(("StartTime", "EndTime", "CreateTime", "UtcCreateTime"))
"""Fields that hold days or moments."""


class RecordingError(ValueError):
    """A folder that holds no recording; the message names the file."""


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """A request and its response, as recorded."""

    action: str
    parameters: Mapping[str, str]
    status: int | None
    """None where no response came."""
    headers: Mapping[str, str]
    body: Mapping[str, Any] | None
    text: str
    """The response, where it is not a JSON object."""


class Recording:
    """A recording, and how far its responses were given."""

    def __init__(self, folder: Path) -> None:
        """Raise RecordingError where the folder holds none."""
        self.name = folder.name
        self.manifest = _read(folder / MANIFEST)
        try:
            self.began = datetime.strptime(self.manifest["began"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
            self.zone = ZoneInfo(self.manifest["timezone"])
        except (KeyError, TypeError, ValueError, ZoneInfoNotFoundError):
            raise RecordingError(f"{folder / MANIFEST}: began or timezone is missing or wrong") from None
        self.calls = [_call(path) for path in sorted(folder.glob("*/*.json"), key=lambda path: path.name)]
        self._given: defaultdict[int, int] = defaultdict(int)

    @property
    def today(self) -> date:
        """The day on which it began, in the zone of its target."""
        return self.began.astimezone(self.zone).date()

    def respond(self, action: str, parameters: Mapping[str, str], now: float) -> RecordedCall:
        """Return the response to a request, with days as they are now; of several the next one, the last one again.

        Raise ApiError for a request that was not recorded.
        """
        days = (datetime.fromtimestamp(now, self.zone).date() - self.today).days
        wanted = {name: _moved(name, value, -days) for name, value in parameters.items()}
        found = [call for call in self.calls if call.action == action and call.parameters == wanted]
        if not found and wanted.get("PageNumber", "1") == "1":  # a first page that holds all is of any size
            found = [
                call
                for call in self.calls
                if call.action == action and _sizeless(call.parameters) == _sizeless(wanted) and _is_whole(call.body)
            ]
        if not found:
            raise ApiError(404, "NotRecorded", "The recording has no such request.")
        place = self._given[id(found[0])]
        self._given[id(found[0])] += 1
        call = found[min(place, len(found) - 1)]
        body = None if call.body is None else _moved("", call.body, days)
        return RecordedCall(action, parameters, call.status, call.headers, body, call.text)


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecordingError(f"{path}: {getattr(error, 'strerror', None) or 'not JSON in UTF-8'}") from None
    if not isinstance(document, dict):
        raise RecordingError(f"{path}: not a JSON object")
    return document


def _call(path: Path) -> RecordedCall:
    document = _read(path)
    parameters, headers, body = (document.get(name) for name in ("parameters", "headers", "body"))
    status = document.get("status")
    is_sound = (
        isinstance(document.get("action"), str) and isinstance(parameters, dict) and isinstance(body, dict | None)
    )
    if not is_sound or not isinstance(status, int | None):
        raise RecordingError(f"{path}: action, parameters, status or body is missing or wrong")
    return RecordedCall(
        document["action"], parameters or {}, status, headers or {}, body, str(document.get("text", ""))
    )


def _moved(name: str, value: Any, days: int) -> Any:
    """Return a value of a request or a response, its days moved."""
    if isinstance(value, Mapping):
        return {each: _moved(each, inner, days) for each, inner in value.items()}
    if isinstance(value, list):
        return [_moved(name, each, days) for each in value]
    if name not in _TIMES:
        return value
    text = str(value)
    if text.isascii() and text.isdecimal() and len(text) in (10, 13):
        return type(value)(int(text) + days * 86_400 * (1000 if len(text) == 13 else 1))
    try:
        return (date.fromisoformat(text[:10]) + timedelta(days=days)).isoformat() + text[10:]
    except (ValueError, OverflowError):
        return value


def _sizeless(parameters: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in parameters.items() if name != "PageSize"}


def _is_whole(body: Mapping[str, Any] | None) -> bool:
    """Return whether a response says that it is the only page."""
    return body is not None and body.get("TotalPages", 1) in (0, 1) and not body.get("HasMore")
