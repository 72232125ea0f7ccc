"""Checks of counts and rates: whether they can be true together."""

from exporter.directmail.answers import RATES, Row
from exporter.directmail.rates import FRACTION, PERCENT, UNITS, fitting, implausible, unit_of
from exporter.doctor.evidence import Evidence
from exporter.doctor.findings import NOTE, OK, Answer, Finding


def rates(known: Evidence) -> Finding | None:
    """Return the unit of the API's own rates: percent or fraction of TotalNumber."""
    if known.whole is not None and not known.has_mail:
        return None
    votes, odd = dict.fromkeys(UNITS, 0), dict[str, Answer]()
    for each in known.answers:
        for row in each.page.rows:
            for place, name in enumerate(RATES):
                units = fitting(row, place)
                if units is not None and len(units) == 1:
                    votes[units[0]] += 1
                elif units == ():
                    odd.setdefault(name, each)
    unit = unit_of(votes[PERCENT], votes[FRACTION])
    mend = (
        "Use the ratios, which are made of the counts; directmail_exporter_reported_rate_mismatches_total tells more."
    )
    if odd:
        text = f"{', '.join(odd)} cannot be derived from the counts, neither as percent nor as fraction."
        return Finding("rates", NOTE, text, mend, next(iter(odd.values())).request_id)
    if all(votes.values()):
        text = "Some of the API's own rates are percent, others fractions: they cannot be added up in one unit."
        return Finding("rates", NOTE, text, mend)
    if unit is None:
        return Finding("rates", NOTE, "Cannot tell the unit of the API's rates: there are too few opens and clicks.")
    meaning = {PERCENT: "percent: 100 x count / TotalNumber", FRACTION: "fractions: count / TotalNumber"}[unit]
    return Finding("rates", OK, f"The API's own rates are {meaning}.")


def counts(known: Evidence) -> Finding | None:
    """Return where there is more of something unique than of all, None for nowhere."""
    for each in known.answers:
        for row in each.page.rows:
            for is_odd, (name, unique, total) in zip(implausible(row.counts), _uniques(row), strict=True):
                if is_odd:
                    text = f"The API counts {unique} unique {name} of {total} {name}, asked for {each.question.days}."
                    mend = "Show the RequestId to Alibaba Cloud's support. The exporter passes the numbers on."
                    return Finding("counts", NOTE, text, mend, each.request_id)
    return None


def _uniques(row: Row) -> tuple[tuple[str, int, int], ...]:
    _, opens, unique_opens, clicks, unique_clicks = row.counts
    return ("opens", unique_opens, opens), ("clicks", unique_clicks, clicks)
