"""Checks of days: whether one answers alone, where it begins, how fresh its records are."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from exporter.directmail.responses import Row, printable
from exporter.doctor.checks.clock import CLOCK_NOTE
from exporter.doctor.created import day_of, moment
from exporter.doctor.evidence import Evidence
from exporter.doctor.findings import NOTE, OK, PROBLEM, Finding, Response
from exporter.doctor.wording import mails, offset, span, utc, zone_offset

_WESTMOST, _EASTMOST = -12.0, 14.25
"""Hours from UTC between which the zones are, the last exclusive."""


def one_day(evidence: Evidence) -> Finding | None:
    """Return whether a request about one day (StartTime = EndTime) answers, beside one about the week."""
    whole, days, zone, ahead = evidence.whole, evidence.days, evidence.target.timezone, evidence.account.clock_ahead
    if whole is None or not days:
        return None
    seen = [each for each in days if each.has_mail]
    if seen:
        best = max(seen, key=lambda each: each.emails)
        text = f"A request for one day works: {best.request.start} has {mails(best.emails)}."
        return Finding("one_day", OK, text)
    if not whole.has_mail:
        return Finding("one_day", NOTE, "Unknown: there was no mail to request.")
    requested = [each.request.start for each in days]
    seen_days = {day_of(row.created, zone, ahead) for row in whole.page.rows if any(row.counts)}
    missed = [day for day in requested if day in seen_days]
    text = f"Requests for {' and '.join(map(str, requested))} alone return nothing, the request for the week returns "
    text += mails(whole.emails)
    if len(whole.page.rows) == 1 or not missed:
        return Finding("one_day", NOTE, f"Unknown: {_small(text)}. Perhaps no mail was sent on those days.")
    fix = "Check the target's timezone. If it is right, the API may not count EndTime's day: please report this."
    return Finding("one_day", PROBLEM, f"{text}, some of it of {missed[0]}.", fix, days[-1].request_id)


def freshness(evidence: Evidence) -> Finding:
    """Return how old the newest record with mail is, as far as its CreateTime shows."""
    responses, now, ahead = evidence.responses, evidence.ended_at, evidence.account.clock_ahead
    if evidence.whole is not None and not evidence.has_mail:
        return _no_mail(evidence.whole)
    rows = [row for each in responses for row in each.page.rows if any(row.counts)]
    times = [at for row in rows if (at := moment(row.created, ahead)) is not None]
    if not times:
        return _no_moment(rows)
    newest = max(times)
    if newest > now + CLOCK_NOTE:
        text = f"The newest record is of {utc(newest)}, which is {span(newest - now)} from now: "
        text += "the records use another time zone than the list of domains."
        return Finding("freshness", NOTE, text, "Nothing to do: the exporter does not use CreateTime.")
    text = f"The newest record is of {utc(newest)}, {span(now - newest)} ago."
    if any(len(rows) == 1 and moment(rows[0].created, ahead) == newest for rows in _rows_of_days(responses)):
        text += " It is the only record of its day, so its CreateTime may be the start of the day."
    if now - newest < 2 * 86_400:
        return Finding("freshness", OK, text)
    return Finding(
        "freshness", NOTE, text, "Nothing to do if no mail was sent since; otherwise compare with the console."
    )


def timezone(evidence: Evidence) -> Finding | None:
    """Return the finding on where the API's days begin."""
    zone, now, days, tomorrow = evidence.target.timezone, evidence.began_at, evidence.days, evidence.tomorrow
    if datetime.fromtimestamp(evidence.ended_at, zone).date() != evidence.today:
        return None  # after midnight the next day may have mail
    ours = zone_offset(zone, now)
    if tomorrow is not None and tomorrow.has_mail:
        local = datetime.fromtimestamp(now, zone)
        least = ours + 24 - (local.hour + local.minute / 60)
        text = (
            f"The API has mail for {tomorrow.request.start}, which has not started in {zone}: its days start earlier."
        )
        fix = f"Set timezone to one that is {offset(least)} or further east"
        fix += "; try Asia/Shanghai first." if least <= 8 else "."
        return Finding("timezone", PROBLEM, text, fix, tomorrow.request_id)
    seen = offsets(evidence)
    if seen is None:
        text = f"The end of the API's day is unknown; no response contradicts {zone}."
        return Finding("timezone", NOTE, text, "Compare a day's numbers with the Direct Mail console.")
    least, most = seen
    fitting = _stretch(least, most)
    if least <= ours < most:
        text = f"{zone} ({offset(ours)}) fits the CreateTimes of a day's records; {fitting} fits too."
        if most - least <= 1:
            text = f"{zone} fits the CreateTimes of a day's records: the day begins at {fitting}."
        return Finding("timezone", OK, text)
    text = f"The CreateTimes of a day's records fit {fitting}, not {zone} ({offset(ours)})."
    fix = "Compare a day's numbers with the console and set timezone. If they agree, nothing is wrong: "
    fix += "the records use another time zone than the list of domains."
    return Finding("timezone", NOTE, text, fix, days[-1].request_id)


def newest_closed_day(whole: Response, today: date, zone: ZoneInfo, ahead: float | None) -> date:
    """Return the last day before today that has mail by its CreateTime; yesterday where that is unknown.

    `ahead` is how many seconds the texts are ahead of UTC, None where that is not known.
    """
    days = [day_of(row.created, zone, ahead) for row in whole.page.rows if any(row.counts)]
    closed = [day for day in days if day is not None and whole.request.start <= day < today]
    return max(closed) if len(days) > 1 and closed else today - timedelta(days=1)


def offsets(evidence: Evidence) -> tuple[float, float] | None:
    """Return the hours from UTC, the last exclusive, at which every record is of the day that was requested.

    None where no record shows it, or where they contradict each other.
    """
    least, most, seen = _WESTMOST, _EASTMOST, False
    for each in evidence.days:
        begin = datetime.combine(each.request.start, datetime.min.time(), UTC).timestamp()
        times = [moment(row.created, evidence.account.clock_ahead) for row in each.page.rows if any(row.counts)]
        for at in times:
            if at is None or at > evidence.began_at + CLOCK_NOTE:
                return None  # its clock is not known, or another one than was measured
            least, most, seen = max(least, (begin - at) / 3600), min(most, (begin + 86_400 - at) / 3600), True
    return (least, most) if seen and least < most else None


def _no_mail(whole: Response) -> Finding:
    """Return what an account without any mail may mean."""
    start, end = whole.request.start, whole.request.end
    fix = "Check the region (accounts are per region), and that the mail is sent with tracking on (ClickTrace 1)."
    return Finding("freshness", NOTE, f"The account has no mail from {start} to {end}.", fix, whole.request_id)


def _no_moment(rows: Sequence[Row]) -> Finding:
    """Return why the age of records with mail is unknown."""
    written = max((row.created for row in rows if row.created), default="")
    if not written or moment(written, 0.0) is None:
        return Finding("freshness", NOTE, "Unknown: no record has a valid CreateTime.")
    text = f"Unknown: the newest record says {printable(written, 40)}, in an unknown time zone."
    return Finding("freshness", NOTE, text, "See clock_text.")


def _rows_of_days(responses: Iterable[Response]) -> Iterator[list[Row]]:
    """Yield the rows of each request about one day."""
    for each in responses:
        if each.request.start == each.request.end:
            yield each.page.rows


def _small(text: str) -> str:
    return text[:1].lower() + text[1:]


def _stretch(least: float, most: float) -> str:
    """Return the zones between two offsets, the last exclusive, in words."""
    if most - least <= 1:
        return offset(least)
    if most == _EASTMOST:
        return f"any zone from {offset(least)} eastward"
    return f"any zone from {offset(least)} to before {offset(most)}"
