"""Suggests config lines: time zone, page size, and filters that the account can use or not."""

from collections.abc import Iterator, Sequence

from exporter.directmail.model import Filters
from exporter.doctor.checks.breakdowns import ENOUGH_MAIL
from exporter.doctor.checks.days import offsets
from exporter.doctor.evidence import Evidence
from exporter.doctor.findings import NOTE, OK, Finding
from exporter.doctor.wording import zone_offset

CHINA = "Asia/Shanghai"
_DOUBTFUL = ("esp", "dedicated_ip", "dedicated_ip_pool_id")
"""Filters that an account may not be able to use; `domain` has a check of its own."""


def lines(found: Sequence[Evidence]) -> Finding:
    """Return the target's config lines that fit the responses, each with a reason where it differs from the config."""
    first, target = found[0], found[0].target
    zone, why_zone = _zone(first)
    size, why_size = _page_size(first)
    shown = [f"timezone: {zone}{why_zone}", f"page_size: {size}{why_size}"]
    useless = False
    for key, queries, verdict in _filters(found):
        useless = useless or verdict != WORKS
        what = f"works in {queries}" if verdict == WORKS else f"{verdict}: remove it from {queries}"
        shown.append(f"# {key}: {what}")
    block = "\n".join(shown)
    if useless or (zone, size) != (target.timezone.key, target.page_size):
        text = "The config of the target differs from what was found."
        return Finding("settings", NOTE, text, f"Set these lines:\n{block}")
    return Finding("settings", OK, "The config matches what was found.", f"As configured:\n{block}")


WORKS = "works"


def _zone(evidence: Evidence) -> tuple[str, str]:
    """Return the time zone that fits, and a comment."""
    zone, seen = evidence.target.timezone, offsets(evidence)
    if evidence.tomorrow is not None and evidence.tomorrow.has_mail:
        return CHINA, f"  # the API's days start earlier than in {zone.key}; compare with the console"
    if seen is None:
        return zone.key, "  # unknown; compare a day with the console"
    least, most = seen
    ours, china = zone_offset(zone, evidence.began_at), 8.0
    if least <= ours < most:
        return zone.key, "" if most - least <= 1 else "  # fits; so do others"
    if least <= china < most:
        return CHINA, f"  # {zone.key} does not fit"
    return zone.key, "  # does not fit; compare a day with the console"


def _page_size(evidence: Evidence) -> tuple[int, str]:
    """Return the page size that fits, and a comment."""
    requested = evidence.target.page_size
    given = evidence.days[-1].page.size if evidence.days and evidence.statistic.is_paged else None
    if given is not None and 0 < given < requested:
        return given, f"  # the maximum of the API, which ignores {requested}"
    return requested, "" if given is not None else "  # unknown"


def _filters(found: Sequence[Evidence]) -> Iterator[tuple[str, str, str]]:
    """Yield each unreliable filter that was requested, the queries that have it, and a verdict."""
    for key in _DOUBTFUL:
        verdicts = [
            verdict for evidence in found for filters in evidence.parts if (verdict := _verdict(evidence, filters, key))
        ]
        if verdicts:
            combinations = [each for evidence in found for each in evidence.plan.combinations]
            queries = dict.fromkeys(each.query for each in combinations if getattr(each.filters, key))
            yield key, ", ".join(queries), WORKS if WORKS in verdicts else verdicts[0]


def _verdict(evidence: Evidence, filters: Filters, key: str) -> str:
    """Return what a response says about a filter of its request, "" for nothing."""
    if not getattr(filters, key):
        return ""
    part, rest = evidence.parts[filters], evidence.parts.get(filters._replace(**{key: ""}))
    if filters in evidence.rejected:
        return "rejected"
    if part is None or rest is None or rest.emails < ENOUGH_MAIL:
        return ""
    if not part.has_mail:
        return "returns nothing"
    if [row.counts for row in part.page.rows] == [row.counts for row in rest.page.rows]:
        return "is ignored" if key == "esp" else ""
    return WORKS
