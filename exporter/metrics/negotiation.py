"""Chooses the format and coding of a scrape by its Accept and Accept-Encoding headers (RFC 9110, section 12.5).

The more specific range counts, whatever its order: `gzip;q=0` against `*`, `text/plain` against `text/*`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

TEXT, OPENMETRICS = STYLES = "text", "openmetrics"
ESCAPING = frozenset({"allow-utf-8", "underscores", "dots", "values"})
"""Schemes for names beyond the ones Prometheus 2 allows; all names here are allowed, so all schemes give the same."""
_OFFERS = (
    ("text/plain", "0.0.4", TEXT),
    ("text/plain", "1.0.0", TEXT),
    ("application/openmetrics-text", "1.0.0", OPENMETRICS),
)
"""Media type, version and style. The first of a media type is meant where no version is named."""
_DEFAULTS = dict(reversed([(media, version) for media, version, _ in _OFFERS]))
_ITEM = re.compile(r'(?:[^,"]|"(?:\\.|[^"\\])*"?)+')
_PARAMETER = re.compile(r'(?:[^;"]|"(?:\\.|[^"\\])*"?)+')
_WEIGHT = re.compile(r"\d*\.?\d+|\d+\.", re.ASCII)


@dataclass(frozen=True, slots=True)
class Format:
    """A text format of a response."""

    style: str
    """TEXT or OPENMETRICS."""
    content_type: str


def choose_format(accept: str) -> Format:
    """Return the format that an Accept header weighs most, the text format where it takes none that is offered.

    Of equal weights the more specific range wins, then the earlier one. `escaping=` is answered where it was requested.
    """
    ranges = list(_ranges(accept))
    chosen, best, escaping = _OFFERS[0], (0.0, 0, 0), ""
    for offer in _OFFERS:
        fitting = [
            (rank, -place, parameters)
            for place, (media, parameters) in enumerate(ranges)
            if (rank := _specificity(media, parameters.get("version"), offer))
        ]
        if not fitting:
            continue
        rank, place, parameters = max(fitting, key=lambda each: each[:2])
        score = (_weight(parameters), rank, place)
        if score[0] > 0 and score > best:
            chosen, best, escaping = offer, score, parameters.get("escaping", "").lower()
    media, version, style = chosen
    requested = f"; escaping={escaping}" if escaping in ESCAPING else ""
    return Format(style, f"{media}; version={version}; charset=utf-8{requested}")


def accepts_gzip(accept_encoding: str) -> bool:
    """Return whether an Accept-Encoding header takes gzip, and weighs it no less than no coding."""
    weights: dict[str, float] = {}
    for coding, parameters in _ranges(accept_encoding):
        weights[coding.removeprefix("x-")] = _weight(parameters)
    gzip = weights.get("gzip", weights.get("*", 0.0))
    return gzip > 0 and gzip >= weights.get("identity", 0.0)


def _specificity(media: str, version: str | None, offer: tuple[str, str, str]) -> int:
    """Return how closely a range names an offer, 0 where it does not match."""
    offered, its_version, _ = offer
    if its_version != (version or _DEFAULTS[offered]):
        return 0
    if media == offered:
        return 4 if version else 3
    if media == f"{offered.split('/')[0]}/*":
        return 2
    return int(media == "*/*")


def _ranges(header: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield every range with its parameters; names are in small letters, values without quotes."""
    for item in _ITEM.findall(header):
        name, *parameters = [part.strip() for part in _PARAMETER.findall(item)] or [""]
        pairs = (parameter.partition("=")[::2] for parameter in parameters)
        yield name.lower(), {key.strip().lower(): _unquoted(value.strip()) for key, value in pairs}


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value.removesuffix('"')[1:]) if value.startswith('"') else value


def _weight(parameters: dict[str, str]) -> float:
    """Return the weight of a range, 0 to 1; 0 for one that is not a number."""
    text = parameters.get("q", "1")
    return min(float(text), 1.0) if _WEIGHT.fullmatch(text) else 0.0
