"""What good answers tell of the account and of what the API's documentation leaves open. Pure functions."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from exporter.config.durations import format_duration
from exporter.directmail.answers import RATES, Page, Row
from exporter.directmail.rates import FRACTION, PERCENT, UNITS, fitting, implausible, unit_of
from exporter.doctor.findings import NOTE, OK, PROBLEM, Answer, Finding
from exporter.plan.combinations import describe

CLOCK_NOTE, CLOCK_PROBLEM = 60.0, 900.0
"""Seconds. The API refuses requests that are more than 15 minutes off."""
ENOUGH_MAIL = 100
"""Mails of which some must pass a filter that works."""
_WESTMOST, _EASTMOST = -12.0, 14.25
"""Hours from UTC between which the zones are, the last exclusive."""


def clock(ahead: tuple[float, float] | None) -> Finding:
    """Return whether the clock agrees with the API's; `ahead` is the least and the most seconds that it is ahead."""
    if ahead is None:
        return Finding("clock", NOTE, "Cannot tell: the answers have no Date.")
    off = 0.0 if ahead[0] <= 0 <= ahead[1] else min(ahead, key=abs)
    if abs(off) < CLOCK_NOTE:
        return Finding("clock", OK, "This machine's clock agrees with the API's.")
    text = f"This machine's clock is {_seconds(off)} {'ahead of' if off > 0 else 'behind'} the API's."
    mend = "Set the clock, for instance with NTP; the API refuses requests that are more than 15 minutes off."
    return Finding("clock", PROBLEM if abs(off) > CLOCK_PROBLEM else NOTE, text, mend)


def speed(slowest: float, timeout: float) -> Finding:
    """Return whether answers come well within the timeout."""
    if slowest <= timeout / 2:
        return Finding("speed", OK, f"The slowest answer began after {slowest:.1f} s.")
    text = f"The slowest answer began after {slowest:.1f} s; the target's timeout is {timeout:g} s."
    return Finding("speed", NOTE, text, "Raise the target's timeout, or look at the network.")


def one_day(whole: Answer, days: Sequence[Answer], zone: ZoneInfo) -> Finding:
    """Return whether a question about one day (StartTime = EndTime) answers; `whole` is of a longer stretch."""
    seen = [each for each in days if each.has_mail]
    if seen:
        best = max(seen, key=lambda each: each.emails)
        text = f"A question about one day answers: {best.question.start} has {_mails(best.emails)}."
        return Finding("one_day", OK, text)
    if not whole.has_mail:
        return Finding("one_day", NOTE, "Cannot tell: there was no mail to ask for.")
    asked = [each.question.start for each in days]
    missed = [day for day in asked if any(_day_of(row, zone) == day for row in whole.page.rows if any(row.counts))]
    text = f"Asked for {' and '.join(map(str, asked))} alone the API has nothing, asked for the week it has "
    text += _mails(whole.emails)
    if len(whole.page.rows) == 1 or not missed:
        return Finding("one_day", NOTE, f"Cannot tell: {_small(text)}. Nothing may have been sent on those days.")
    mend = "Check the target's timezone. If it is right, the API may not count EndTime's day: please report this."
    return Finding("one_day", PROBLEM, f"{text}, some of it of {missed[0]}.", mend, days[-1].request_id)


def no_mail(whole: Answer) -> Finding:
    """Return what an account without any mail may mean."""
    start, end = whole.question.start, whole.question.end
    mend = "Check the region (accounts are per region), and that the mail is sent with tracking on (ClickTrace 1)."
    return Finding("freshness", NOTE, f"The account has no mail from {start} to {end}.", mend, whole.request_id)


def freshness(answers: Sequence[Answer], now: float) -> Finding:
    """Return how old the newest record with mail is, as far as its CreateTime tells."""
    rows = [row for each in answers for row in each.page.rows if any(row.counts)]
    times = [at for row in rows if (at := moment(row.created)) is not None]
    if not times:
        return Finding("freshness", NOTE, "Cannot tell: no record has a CreateTime that can be read.")
    newest = max(times)
    if newest > now + CLOCK_NOTE:
        text = f"The newest record is of {utc(newest)}, which is {_seconds(newest - now)} from now: not UTC, it seems."
        return Finding("freshness", NOTE, text, "Nothing to do: the exporter does not use CreateTime.")
    text = f"The newest record is of {utc(newest)}, {_seconds(now - newest)} ago."
    if any(len(rows) == 1 and moment(rows[0].created) == newest for rows in _rows_of_days(answers)):
        text += " It is its day's only one, so its CreateTime may be the day's beginning and not its age."
    if now - newest < 2 * 86_400:
        return Finding("freshness", OK, text)
    return Finding("freshness", NOTE, text, "Nothing to do if nothing was sent since; else compare with the console.")


def timezone(zone: ZoneInfo, now: float, days: Sequence[Answer], tomorrow: Answer | None) -> Finding:
    """Return what is known of where the API's days begin; `tomorrow` is None where the API takes no such question."""
    ours = _hours(datetime.fromtimestamp(now, zone).utcoffset())
    if tomorrow is not None and tomorrow.has_mail:
        local = datetime.fromtimestamp(now, zone)
        least = ours + 24 - (local.hour + local.minute / 60)
        text = f"The API has mail for {tomorrow.question.start}, which has not begun in {zone}: its days begin earlier."
        mend = f"Set timezone to one that is {_offset(least)} or further east"
        mend += "; Asia/Shanghai is the first to try." if least <= 8 else "."
        return Finding("timezone", PROBLEM, text, mend, tomorrow.request_id)
    span = _offsets(days, now)
    if span is None:
        text = f"Cannot tell where the API's day ends; nothing that it answers speaks against {zone}."
        return Finding("timezone", NOTE, text, "Compare a day's numbers with the Direct Mail console.")
    least, most = span
    fitting = _stretch(least, most)
    if least <= ours < most:
        text = f"{zone} ({_offset(ours)}) fits the CreateTimes of a day's records; so does {fitting}."
        if most - least <= 1:
            text = f"{zone} fits the CreateTimes of a day's records: the day begins at {fitting}."
        return Finding("timezone", OK, text)
    text = f"The CreateTimes of a day's records fit {fitting}, not {zone} ({_offset(ours)})."
    mend = "Compare a day's numbers with the console and set timezone; or CreateTime is not UTC, and all is well."
    return Finding("timezone", NOTE, text, mend, days[-1].request_id)


def page_size(asked: int, day: Answer) -> Finding:
    """Return whether the server gives pages as large as those asked for, and how many a day takes."""
    page = day.page
    given = page.size
    calls = _expected_pages(page) or page.pages or 1
    takes = f"{day.question.start} takes {calls} call{'s' * (calls != 1)}"
    if given is None:
        return Finding("page_size", NOTE, f"Cannot tell: the answer has no PageSize; {takes}.")
    if given < asked:
        text = f"Asked for {asked} rows a page the server gives {given}; {takes}."
        return Finding("page_size", NOTE, text, f"Nothing breaks. Set page_size: {given} to say so.", day.request_id)
    if calls > 1:
        mend = "Raise page_size if calls are scarce."
        return Finding("page_size", NOTE, f"The server gives {given} rows a page; {takes}.", mend)
    return Finding("page_size", OK, f"The server gives {given} rows a page, as asked; {takes}.")


def pages(answers: Iterable[Answer], first: Answer, second: Answer | None) -> Finding:
    """Return whether pages fit together: their numbers, and a second page with its first."""
    for each in (*answers, *((second,) if second else ())):
        page = each.page
        expected = _expected_pages(page)
        if expected is not None and page.pages is not None and max(page.pages, 1) != expected:
            text = f"{page.total} rows at {page.size} a page are {expected} pages, but the answer says {page.pages}."
            mend = "Nothing to do: the exporter reads on until both are satisfied or a page is empty."
            return Finding("pages", NOTE, text, mend, each.request_id)
    if second is None:
        return Finding("pages", OK, "The numbers of rows and pages agree; there was no second page to look at.")
    if second.page.total != first.page.total:
        text = f"The rows changed between two calls: {first.page.total}, then {second.page.total}."
        return Finding("pages", NOTE, text, "Nothing to do if it passes: such answers are read again.")
    if not second.page.rows:
        return Finding(
            "pages", PROBLEM, "The second page is empty, although there is more.", _REPORT, second.request_id
        )
    if second.page.number not in (None, 2):
        text = f"Asked for page 2 the API gives page {second.page.number}."
        return Finding("pages", PROBLEM, text, _REPORT, second.request_id)
    return Finding("pages", OK, "The second page follows the first.")


def rates(answers: Iterable[Answer]) -> Finding:
    """Return the unit of the API's own rates: percent or fraction of TotalNumber."""
    votes, odd = dict.fromkeys(UNITS, 0), dict[str, Answer]()
    for each in answers:
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


def counts(answers: Iterable[Answer]) -> Finding | None:
    """Return where there is more of something unique than of all, None for nowhere."""
    for each in answers:
        for row in each.page.rows:
            for is_odd, (name, unique, total) in zip(implausible(row.counts), _uniques(row), strict=True):
                if is_odd:
                    text = f"The API counts {unique} unique {name} of {total} {name}, asked for {each.question.days}."
                    mend = "Show the RequestId to Alibaba Cloud's support. The exporter passes the numbers on."
                    return Finding("counts", NOTE, text, mend, each.request_id)
    return None


def filtered(part: Answer, whole: Answer | None) -> Finding:
    """Return what the answer to a filtered question says beside one with fewer filters, None for none."""
    filters = part.question.filters
    name = describe(filters)
    alone = filters.account_name and not any(filters[1:])
    check = "sender" if alone else "filters"
    if part.has_mail:
        same = whole is not None and [row.counts for row in whole.page.rows] == [row.counts for row in part.page.rows]
        if same and filters.esp:
            text = f"{name}: the same numbers as without esp. All mail goes there, or the API ignores the filter."
            return Finding(check, NOTE, text, "Compare with the console.", part.request_id)
        return Finding(check, OK, f"{name}: {_mails(part.emails)}.")
    if whole is None or not whole.has_mail:
        text = f"{name}: nothing, and no other mail to compare with."
        return Finding(check, NOTE, text, "Run the doctor again when mail was sent.", part.request_id)
    beside = describe(whole.question.filters) if any(whole.question.filters) else "the account"
    text = f"{name}: nothing, while {beside} has {_mails(whole.emails)}."
    dedicated = [key for key in ("esp", "dedicated_ip", "dedicated_ip_pool_id") if getattr(filters, key)]
    if dedicated:
        mend = f"{' and '.join(dedicated)} is documented for users of dedicated IPs. Without them drop the query: it "
        mend += "would show 0. With them compare the value with the console."
        return Finding(check, PROBLEM if whole.emails >= ENOUGH_MAIL else NOTE, text, mend, part.request_id)
    mend = "Nothing to do if nothing was sent; else check the spelling in the console."
    return Finding(check, NOTE, text, mend, part.request_id)


def newest_closed_day(whole: Answer, today: date, zone: ZoneInfo) -> date:
    """Return the last day before today that has mail by its CreateTime; yesterday where nothing tells."""
    days = [_day_of(row, zone) for row in whole.page.rows if any(row.counts)]
    closed = [day for day in days if day is not None and whole.question.start <= day < today]
    return max(closed) if len(days) > 1 and closed else today - timedelta(days=1)


def moment(created: str | None) -> float | None:
    """Return a CreateTime as seconds since the epoch: ISO 8601 with its zone, or seconds or milliseconds."""
    if created is None:
        return None
    if created.isdecimal() and created.isascii() and len(created) in (10, 13):
        return int(created) / (1000 if len(created) == 13 else 1)
    try:
        at = datetime.fromisoformat(created.strip())
    except ValueError:
        return None
    return at.timestamp() if at.tzinfo is not None else None


_REPORT = "Numbers of more than one page cannot be read: please report this, with the RequestId to Alibaba Cloud too."


def _day_of(row: Row, zone: ZoneInfo) -> date | None:
    at = moment(row.created)
    return None if at is None else datetime.fromtimestamp(at, zone).date()


def _offsets(days: Sequence[Answer], now: float) -> tuple[float, float] | None:
    """Return the hours from UTC, the last exclusive, at which every record is of the day that was asked for."""
    least, most, seen = _WESTMOST, _EASTMOST, False
    for each in days:
        begin = datetime.combine(each.question.start, datetime.min.time(), UTC).timestamp()
        times = [moment(row.created) for row in each.page.rows if any(row.counts)]
        for at in times:
            if at is None or at > now + CLOCK_NOTE:
                return None  # what is ahead of now is not UTC
            least, most, seen = max(least, (begin - at) / 3600), min(most, (begin + 86_400 - at) / 3600), True
    return (least, most) if seen and least < most else None


def _rows_of_days(answers: Iterable[Answer]) -> Iterator[list[Row]]:
    """Yield the rows of each question about one day."""
    for each in answers:
        if each.question.start == each.question.end:
            yield each.page.rows


def _uniques(row: Row) -> tuple[tuple[str, int, int], ...]:
    _, opens, unique_opens, clicks, unique_clicks = row.counts
    return ("opens", unique_opens, opens), ("clicks", unique_clicks, clicks)


def _expected_pages(page: Page) -> int | None:
    """Return the pages that Total and PageSize come to, at least 1; None where one is missing."""
    if page.total is None or not page.size:
        return None
    return max(1, -(-page.total // page.size))


def _mails(count: int) -> str:
    return f"{count} mail{'s' * (count != 1)}"


def _seconds(seconds: float) -> str:
    seconds = abs(seconds)
    return f"{seconds:.0f} s" if seconds < 120 else format_duration(round(seconds / 60) * 60)


def _small(text: str) -> str:
    return text[:1].lower() + text[1:]


def utc(at: float) -> str:
    """Return seconds since the epoch as people read them."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _hours(offset: timedelta | None) -> float:
    return (offset or timedelta()).total_seconds() / 3600


def _offset(hours: float) -> str:
    minutes = round(abs(hours) * 60)
    return f"UTC{'-' if hours < 0 else '+'}{minutes // 60:02}:{minutes % 60:02}"


def _stretch(least: float, most: float) -> str:
    """Return the zones between two offsets, the last exclusive, in words."""
    if most - least <= 1:
        return _offset(least)
    if most == _EASTMOST:
        return f"any zone from {_offset(least)} eastward"
    return f"any zone from {_offset(least)} to before {_offset(most)}"
