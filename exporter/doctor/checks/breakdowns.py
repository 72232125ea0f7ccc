"""Checks a filter: compares a response with one with fewer filters."""

from exporter.doctor.failures import of_dedicated_ips
from exporter.doctor.findings import NOTE, OK, PROBLEM, Finding, Response
from exporter.doctor.wording import mails
from exporter.plan.combinations import describe

ENOUGH_MAIL = 100
"""With this many mails, a filter that works must match some."""


def compared(part: Response, whole: Response | None) -> Finding:
    """Return the finding on a filtered response compared with one with fewer filters, None for none."""
    filters = part.request.filters
    name = describe(filters)
    alone = filters.account_name and not any(filters[1:])
    check = "sender" if alone else "filters"
    if part.has_mail:
        same = whole is not None and [row.counts for row in whole.page.rows] == [row.counts for row in part.page.rows]
        if same and filters.esp:
            text = f"{name}: the same numbers as without esp. All mail goes there, or the API ignores the filter."
            return Finding(check, NOTE, text, "Compare with the console.", part.request_id)
        return Finding(check, OK, f"{name}: {mails(part.emails)}.")
    if whole is None or not whole.has_mail:
        text = f"{name}: no mail, and no other mail to compare with."
        return Finding(check, NOTE, text, "Run the doctor again after mail was sent.", part.request_id)
    beside = describe(whole.request.filters) if any(whole.request.filters) else "the account"
    text = f"{name}: no mail, while {beside} has {mails(whole.emails)}."
    if fix := of_dedicated_ips(filters):
        return Finding(check, PROBLEM if whole.emails >= ENOUGH_MAIL else NOTE, text, fix, part.request_id)
    fix = "Nothing to do if no mail was sent; otherwise check the spelling in the console."
    return Finding(check, NOTE, text, fix, part.request_id)
