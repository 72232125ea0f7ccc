"""How the status page writes values: names without hidden characters, counts, rates, moments, causes."""

import unicodedata
from datetime import UTC, datetime

from markupsafe import Markup

from exporter.config.queries import FILTER_KEYS
from exporter.directmail.errors import DirectMailError
from exporter.directmail.limiter import Limiter
from exporter.directmail.model import Filters

CAUSES = {
    "auth": "Credentials rejected",
    "permission": "Permission missing",
    "throttled": "Throttled by the API",
    "invalid_request": "Request rejected",
    "server": "Error at Alibaba Cloud",
    "network": "Network problem",
    "timeout": "No response in time",
    "parse": "Invalid response",
}
"""What failed in words, by the value of the label `reason`."""


def visible(value: object) -> object:
    """Return text with invisible characters, and those that reverse others, as escapes."""
    if not isinstance(value, str) or isinstance(value, Markup) or value.isprintable():
        return value
    return "".join(f"\\u{ord(each):04x}" if unicodedata.category(each) in ("Cc", "Cf") else each for each in value)


def cause(error: DirectMailError) -> str:
    """Return what failed, in a few words."""
    return CAUSES[error.reason]


def moment(at: float) -> str:
    """Return a time (seconds since the epoch) as people read it."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"


def pairs(filters: Filters) -> list[tuple[str, str]]:
    """Return the filters that are set."""
    return [(key, value) for key, value in zip(FILTER_KEYS, filters, strict=True) if value]


def share(rate: float, limiter: Limiter) -> str:
    """Return a rate as percent of what the limiter allows at most."""
    return f"{min(rate / limiter.configured_per_minute, 1) * 100:.1f}"


def rate(per_minute: float) -> str:
    """Return calls a minute."""
    return count(round(per_minute)) if per_minute >= 100 else f"{per_minute:.3g}"


def count(number: int) -> str:
    """Return a count with thin spaces, which no reader takes for a decimal point."""
    return f"{number:,}".replace(",", "\u202f")


def percent(ratio: float | None) -> str:
    """Return a ratio as percent, a dash where there is none."""
    return "\N{EN DASH}" if ratio is None else f"{ratio * 100:.1f}%"
