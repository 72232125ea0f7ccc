"""Checks of pages: how large they are, and whether they fit together."""

from exporter.directmail.responses import StatisticPage
from exporter.doctor.evidence import Evidence
from exporter.doctor.findings import NOTE, OK, PROBLEM, Finding

_REPORT = "Numbers of more than one page cannot be read: please report this, with the RequestId to Alibaba Cloud too."


def page_size(evidence: Evidence) -> Finding | None:
    """Return whether the server gives pages as large as those requested, and how many a day takes."""
    if not evidence.days or not evidence.statistic.is_paged:
        return None
    day, requested = evidence.days[-1], evidence.target.page_size
    page = day.page
    given = page.size
    calls = _expected_pages(page) or page.pages or 1
    takes = f"{day.request.start} takes {calls} call{'s' * (calls != 1)}"
    if given is None:
        return Finding("page_size", NOTE, f"Unknown: the response has no PageSize; {takes}.")
    if given < requested:
        text = f"The API returns {given} rows a page instead of the requested {requested}; {takes}."
        return Finding(
            "page_size", NOTE, text, f"Set page_size: {given} to match; reading works either way.", day.request_id
        )
    if calls > 1:
        fix = "Raise page_size if calls are scarce."
        return Finding("page_size", NOTE, f"The API returns {given} rows a page; {takes}.", fix)
    return Finding("page_size", OK, f"The API returns {given} rows a page, as requested; {takes}.")


def pages(evidence: Evidence) -> Finding | None:
    """Return whether pages fit together: their numbers, and the week's second page with its first."""
    first, second = evidence.whole, evidence.second_page
    if first is None or not evidence.statistic.is_paged:
        return None
    for each in (*evidence.responses, *((second,) if second else ())):
        page = each.page
        expected = _expected_pages(page)
        if expected is not None and page.pages is not None and max(page.pages, 1) != expected:
            text = f"{page.total} rows at {page.size} a page are {expected} pages, but the response says {page.pages}."
            fix = "Nothing to do: the exporter keeps reading until both agree or a page is empty."
            return Finding("pages", NOTE, text, fix, each.request_id)
    if second is None:
        return Finding("pages", OK, "The numbers of rows and pages agree; there was no second page to check.")
    if second.page.total != first.page.total:
        before, after = ("no number" if each.page.total is None else each.page.total for each in (first, second))
        text = f"The rows changed between two calls: {before}, then {after}."
        return Finding("pages", NOTE, text, "Nothing to do if it passes: such reads are repeated.")
    if not second.page.rows:
        return Finding(
            "pages", PROBLEM, "The second page is empty, although there is more.", _REPORT, second.request_id
        )
    if second.page.number not in (None, 2):
        text = f"The API returns page {second.page.number} instead of page 2."
        return Finding("pages", PROBLEM, text, _REPORT, second.request_id)
    return Finding("pages", OK, "The second page follows the first.")


def _expected_pages(page: StatisticPage) -> int | None:
    """Return the pages that Total and PageSize come to, at least 1; None where one is missing."""
    if page.total is None or not page.size:
        return None
    return max(1, -(-page.total // page.size))
