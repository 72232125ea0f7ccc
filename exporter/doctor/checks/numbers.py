"""Checks of counts and rates: whether they can be true together."""

from exporter.directmail.rates import FRACTION, PERCENT, UNITS, fitting, implausible, unit_of
from exporter.doctor.evidence import Evidence
from exporter.doctor.findings import NOTE, OK, Finding, Response


def rates(evidence: Evidence) -> Finding | None:
    """Return the unit of the API's own rates: percent or fraction of TotalNumber."""
    statistic = evidence.statistic
    if not statistic.rates or (evidence.whole is not None and not evidence.has_mail):
        return None
    votes, odd = dict.fromkeys(UNITS, 0), dict[str, Response]()
    for each in evidence.responses:
        for row in each.page.rows:
            for place, rate in enumerate(statistic.rates.values()):
                units = fitting(statistic, row, place)
                if units is not None and len(units) == 1:
                    votes[units[0]] += 1
                elif units == ():
                    odd.setdefault(rate.field, each)
    unit = unit_of(votes[PERCENT], votes[FRACTION])
    fix = "Use the ratios, which are computed from the counts; see directmail_exporter_reported_rate_mismatches_total."
    if odd:
        text = f"{', '.join(odd)} do not match the counts, neither as percent nor as fraction."
        return Finding("rates", NOTE, text, fix, next(iter(odd.values())).request_id)
    if all(votes.values()):
        text = "Some of the API's own rates are percent, others fractions: they cannot be added up in one unit."
        return Finding("rates", NOTE, text, fix)
    if unit is None:
        return Finding("rates", NOTE, "The unit of the API's rates is unknown: there are too few opens and clicks.")
    meaning = {PERCENT: "percent: 100 x count / TotalNumber", FRACTION: "fractions: count / TotalNumber"}[unit]
    return Finding("rates", OK, f"The API's own rates are {meaning}.")


def counts(evidence: Evidence) -> Finding | None:
    """Return where there is more of a count than of the one that it is a part of, None for nowhere."""
    statistic = evidence.statistic
    for each in evidence.responses:
        for row in each.page.rows:
            for pair in implausible(statistic, row.counts):
                part, whole = (row.counts[statistic.names.index(name)] for name in pair)
                names = [name.replace("_", " ") for name in pair]
                text = (
                    f"The API counts {part} {names[0]} of {whole} {names[1]}, in the response for {each.request.days}."
                )
                fix = "Report the RequestId to Alibaba Cloud's support. The exporter exposes the numbers unchanged."
                return Finding("counts", NOTE, text, fix, each.request_id)
    return None
