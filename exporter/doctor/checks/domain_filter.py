"""The check of the filter `domain`: a domain's mail beside that of its senders."""

from collections.abc import Iterable, Sequence

from exporter.directmail.listing import OPERATIONS
from exporter.directmail.model import Filters
from exporter.doctor.checks.breakdowns import ENOUGH_MAIL
from exporter.doctor.evidence import Account, Evidence, domain_of
from exporter.doctor.findings import NOTE, OK, PROBLEM, Finding, Response
from exporter.doctor.wording import mails

GROWTH = 0.02
"""How much two sums may differ that are read one after the other, while mail is sent."""


def compared(evidence: Evidence, domain: str, senders: Sequence[str], again: Response | None = None) -> Finding | None:
    """Return whether a domain's mail is that of its senders, None where the API rejected the filter, which is reported.

    `again` is the domain's mail as it was read after that of its senders.
    """
    filters = Filters(domain=domain)
    if filters in evidence.rejected:
        return None
    part, whole = evidence.parts.get(filters), evidence.whole
    found = [evidence.parts.get(Filters(account_name=sender)) for sender in senders]
    shares = [each for each in found if each is not None]
    if part is None or len(shares) < len(found) or not _is_whole([part, *shares, *([whole] if whole else [])]):
        text = f"Unknown whether the filter works: not all of {domain} and its senders could be read."
        return Finding("domain_filter", NOTE, text, "Run the doctor again; compare with the console.")
    of_senders, of_all = sum(each.emails for each in shares), whole.emails if whole else None
    is_between = again is not None and part.emails <= of_senders <= again.emails
    agree = is_between or _near(part.emails, of_senders)
    return _verdict(domain, part, of_senders, of_all, evidence.account, agree=agree)


def _verdict(
    domain: str, part: Response, of_senders: int, of_all: int | None, account: Account, *, agree: bool
) -> Finding:
    sums = f"{domain} has {mails(part.emails)}, its senders have {of_senders}"
    sums += "." if of_all is None else f", the account has {of_all}."
    is_all = of_all is not None and _near(part.emails, of_all)
    listed = account.senders
    if max(part.emails, of_senders) < ENOUGH_MAIL:
        return Finding(
            "domain_filter", NOTE, f"Unknown whether the filter works: there is too little mail. {sums}", _AGAIN
        )
    if agree:
        if not is_all:
            return Finding("domain_filter", OK, f"The filter works. {sums}")
        text = f"Unknown whether the filter works: all mail is from {domain}. {sums}"
        return Finding("domain_filter", NOTE, text, "Nothing to do while the account has one domain.")
    if part.emails < of_senders:
        text = f"The filter returns too little. {sums}"
        return Finding("domain_filter", PROBLEM, text, _DROP, part.request_id)
    if listed is None or listed.total not in (None, len(listed.items)):
        text = f"Unknown whether the filter works: not all senders are known. {sums}"
        return Finding("domain_filter", NOTE, text, f"Allow dm:{OPERATIONS['account_name'].action}, or compare all.")
    if any(domain_of(name).endswith(f".{domain.lower()}") for name in listed.names):
        text = f"The filter returns more than the domain's senders: most likely its subdomains. {sums}"
        return Finding("domain_filter", NOTE, text, _DO_NOT_ADD, part.request_id)
    if is_all:
        text = f"The API ignores the filter. {sums}"
        return Finding("domain_filter", PROBLEM, text, _DROP, part.request_id)
    text = f"The filter returns too much. {sums}"
    return Finding("domain_filter", PROBLEM, text, _DROP, part.request_id)


_DO_NOT_ADD = "Do not add up a domain and its subdomain."
_AGAIN = "Run the doctor again after mail was sent."
_DROP = "Drop the filter domain from the config, and filter by account_name: its numbers would be wrong."


def _near(one: int, other: int) -> bool:
    return abs(one - other) <= GROWTH * max(one, other)


def _is_whole(responses: Iterable[Response]) -> bool:
    """Return whether each response is all on its first page."""
    return all(each.page.total in (None, len(each.page.rows)) for each in responses)
