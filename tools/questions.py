"""What the API's documentation leaves open, and how a recording answers it.

`tools/verified.py` makes docs/verified.md of these rows, `tools/account.py` the table for a single account. A row
without a reader needs more than a recording: it says how to find out.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from exporter.directmail import account, responses
from exporter.directmail.errors import ParseError
from exporter.directmail.listing import OPERATIONS
from exporter.directmail.rates import UNITS, fitting
from exporter.directmail.responses import StatisticPage, number
from exporter.directmail.statistics.engagement import ENGAGEMENT
from exporter.directmail.statistics.registry import STATISTICS
from exporter.directmail.statistics.statistic import Statistic
from exporter.simulator.replay import Recording

Reader = Callable[[Recording], str]
"""Returns a recording's answer in a few words, "" without one."""


RECORDED = "`make test-account`"
"""How a recording answers it."""
NEARLY = 0.98
"""Of the mail without a filter; today's mail grows from one request to the next."""


class Question(NamedTuple):
    """One thing that no documentation says."""

    text: str
    how: str
    """How to find out where no recording has the answer."""
    where: str
    """What the response changes."""
    read: Reader | None = None


class Requested(NamedTuple):
    """A successful request for a statistic."""

    statistic: Statistic
    start: date
    end: date
    filters: Mapping[str, str]
    paging: Mapping[str, str]
    page: StatisticPage

    @property
    def mails(self) -> int:
        """The statistic's base count: of a closed day it does not grow any more."""
        return sum(row.counts[0] for row in self.page.rows)

    @property
    def is_whole(self) -> bool:
        """Whether no further page follows."""
        return self.page.total is None or len(self.page.rows) == self.page.total


def requested(recording: Recording, statistic: Statistic = ENGAGEMENT) -> Iterator[Requested]:
    """Yield the requests for a statistic whose answers make sense."""
    for call in recording.calls:
        if call.action == statistic.action and call.status == 200 and call.body is not None:
            try:
                page = responses.page(statistic, call.body, "")
                start, end = (date.fromisoformat(call.parameters[name]) for name in ("StartTime", "EndTime"))
            except (ParseError, KeyError, ValueError):
                continue
            names = set(statistic.parameters.values())
            filters = {name: value for name, value in call.parameters.items() if name in names}
            paging = {name: value for name, value in call.parameters.items() if name.startswith("Page")}
            yield Requested(statistic, start, end, filters, paging, page)


def _rejected(recording: Recording, action: str, **parameters: str) -> str:
    """Return the status and Code with which a request was rejected, "" where it was not."""
    for call in recording.calls:
        is_it = call.action == action and parameters.items() <= call.parameters.items()
        if is_it and call.body is not None and (code := call.body.get("Code")):
            return f"rejected: HTTP {call.status} {code}"
    return ""


def _day_begins(recording: Recording) -> str:
    for each in requested(recording):
        times = [_moment(row.created) for row in each.page.rows if any(row.counts)]
        known = [at for at in times if at is not None]
        if each.start == each.end and known and not each.filters:
            begin = datetime.combine(each.start, datetime.min.time(), UTC)
            hours = (min(known) - begin).total_seconds() / 3600
            return f"the first record of a day has a CreateTime {hours:+g} h from 00:00Z of its date"
    return ""


def _rows(recording: Recording) -> str:
    for each in requested(recording):
        if not each.filters and each.start < each.end and any(map(any, (row.counts for row in each.page.rows))):
            rows, days = each.page.total or len(each.page.rows), (each.end - each.start).days + 1
            if rows > days:
                return f"more than one a day ({rows} of {days} days)"
            if rows > 1:
                return f"one a day ({rows} of {days} days)"
            return f"one sum of {days} days, or mail on one day only"
    return ""


def _page_size(recording: Recording) -> str:
    found = [
        (each.paging.get("PageSize"), each.page.size) for each in requested(recording) if each.page.size is not None
    ]
    usual = [f"{size} by default" for wanted, size in found if wanted is None]
    wanted, given = max(((int(wanted), size) for wanted, size in found if wanted), default=(0, 0))
    largest = [f"{given} where {wanted} were requested"] if wanted else []
    return ", ".join([*usual[:1], *largest])


def _unit(recording: Recording) -> str:
    votes, signs = dict.fromkeys(UNITS, 0), set()
    for each in requested(recording):
        for row in each.page.rows:
            for place in range(len(ENGAGEMENT.rates)):
                units = fitting(ENGAGEMENT, row, place)
                if units is not None and len(units) == 1:
                    votes[units[0]] += 1
                    signs.add("%" in str(row.written[place]))
    words = [UNITS[unit] for unit, count in votes.items() if count]
    return " and ".join(words) + (" with a sign" if signs == {True} else "") if words else ""


def _end_time(recording: Recording) -> str:
    mails = {(each.start, each.end): each.mails for each in requested(recording) if not each.filters and each.is_whole}
    for (start, end), both in mails.items():
        first, last = mails.get((start, start)), mails.get((end, end))
        if (end - start).days == 1 and first and last:
            words = {first + last: "its day is included", first: "its day is not included"}
            return words.get(both, "two days together are not the sum of the two")
    return ""


def _oldest(recording: Recording) -> str:
    day = (recording.today - timedelta(days=30)).isoformat()
    matching = [each for each in requested(recording) if each.start.isoformat() == day]
    return "accepted" if matching else _rejected(recording, ENGAGEMENT.action, StartTime=day)


def _span(recording: Recording) -> str:
    spans = [(each.end - each.start).days for each in requested(recording)]
    longest = max(spans, default=0)
    start = (recording.today - timedelta(days=7)).isoformat()
    rejected = _rejected(recording, ENGAGEMENT.action, StartTime=start, EndTime=recording.today.isoformat())
    words = [f"{longest} days from StartTime to EndTime are accepted"] if longest else []
    return ", ".join([*words, *([f"7 {rejected}"] if rejected else [])])


def _of_filter(name: str) -> Reader:
    """Return the reader that compares answers with a filter to those without it."""

    def read(recording: Recording) -> str:
        if rejected := next(
            (outcome for each in _values(recording, name) if (outcome := _of(recording, name, each))), ""
        ):
            return rejected
        found = [each for each in requested(recording) if each.is_whole]
        whole = {(each.start, each.end, frozenset(each.filters.items())): each.mails for each in found}
        for each in found:
            without = frozenset((key, value) for key, value in each.filters.items() if key != name)
            beside = whole.get((each.start, each.end, without), 0)
            if name in each.filters and beside:
                if not each.mails:
                    return "nothing passes, while there is mail without it"
                return (
                    "ignored, or nearly all mail passes"
                    if each.mails > NEARLY * beside
                    else "a part of the mail passes"
                )
        return ""

    return read


def _values(recording: Recording, name: str) -> list[str]:
    return [call.parameters[name] for call in recording.calls if name in call.parameters]


def _of(recording: Recording, name: str, value: str) -> str:
    return _rejected(recording, ENGAGEMENT.action, **{name: value})


def _clock_text(recording: Recording) -> str:
    for item in _items(recording, "domain"):
        text, seconds = _moment(item.get("CreateTime")), number(item.get("UtcCreateTime"))
        if text is not None and seconds is not None:
            hours = round((text.timestamp() - seconds) / 60) / 60
            return f"{hours:+g} h from UTC, compared with UtcCreateTime"
    return ""


def _daily_count(recording: Recording) -> str:
    pairs = [
        [number(item.get(name)) for name in ("DailyCount", "DailyReqCount")]
        for item in _items(recording, "account_name")
    ]
    known = [(limit, used) for limit, used in pairs if limit is not None and used]
    if not known:
        return ""
    return (
        "equal to DailyReqCount" if all(limit == used for limit, used in known) else "not the requested mail: a limit"
    )


def _user_status(recording: Recording) -> str:
    for call in recording.calls:
        if call.action == account.SUMMARY and call.body is not None:
            status = number(call.body.get("UserStatus"))
            if status is not None:
                return f"{status}: {'a sum of several' if status.bit_count() > 1 else 'one state, or none'}"
    return ""


def _others(recording: Recording) -> str:
    words = []
    for value in ("others", "Others"):
        matching = [each for each in requested(recording) if each.filters.get("Esp") == value]
        outcome = f"accepted, {'with' if any(one.mails for one in matching) else 'without'} mail" if matching else ""
        if outcome := outcome or _of(recording, "Esp", value):
            words.append(f"`{value}` {outcome}")
    return ", ".join(words)


def _retry_after(recording: Recording) -> str:
    waits = [
        " and ".join(sorted({"x-acs-retry-after", "Retry-After"} & call.headers.keys())) or "none"
        for call in recording.calls
        if str((call.body or {}).get("Code", "")).startswith("Throttling") or call.status == 429
    ]
    return ", ".join(sorted(set(waits)))


def _errors(recording: Recording) -> str:
    codes = {f"{call.status} `{call.body['Code']}`" for call in recording.calls if call.body and call.body.get("Code")}
    return ", ".join(sorted(codes))


def _lists(recording: Recording) -> str:
    known = {each.action for each in OPERATIONS.values()} | {account.SUMMARY, account.DOMAIN}
    good = {call.action for call in recording.calls if call.status == 200}
    return ", ".join(sorted(good & known))


def _delivery(recording: Recording) -> str:
    spans = [(each.end - each.start).days for each in requested(recording, STATISTICS["delivery"])]
    return f"{max(spans)} days from StartTime to EndTime are accepted" if spans else ""


def _items(recording: Recording, key: str) -> Iterator[Mapping[str, Any]]:
    """Yield the items of the lists of a filter's values."""
    operation = OPERATIONS[key]
    for call in recording.calls:
        if call.action == operation.action and call.body is not None:
            found: Any = call.body
            for step in operation.items:
                found = found.get(step) if isinstance(found, Mapping) else None
            yield from (each for each in found or () if isinstance(each, Mapping))


def _moment(text: Any) -> datetime | None:
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return at if at.tzinfo else None


_SEMANTICS = "[semantics.md](semantics.md)"
_NOTHING = "nothing: the exporter requests single days"
_CONFIGURATION = "[configuration.md](configuration.md)"
QUESTIONS: tuple[Question, ...] = (
    Question("Where does a day begin?", "a day's numbers beside the console's", "default of `timezone`", _day_begins),
    Question("Rows: one a day, one an hour, one sum?", RECORDED, "simulator's `--rows` default", _rows),
    Question("How many rows a page, by default and at most?", RECORDED, "default of `page_size`", _page_size),
    Question("Are the rates percent or fractions?", RECORDED, "HELP of `directmail_track_reported_open_rate`", _unit),
    Question("Is EndTime's day included?", RECORDED, f"{_SEMANTICS}; the exporter requests single days", _end_time),
    Question("Is the day 30 days ago still given?", RECORDED, "`OLDEST_AGE` in `exporter/plan/pacing.py`", _oldest),
    Question("Is a span of 7 days the longest?", RECORDED, _NOTHING, _span),
    Question("The longest span of the delivery statistic: 7 or 31 days?", RECORDED, _NOTHING, _delivery),
    Question("Does `Esp` work without dedicated IPs?", RECORDED, _CONFIGURATION, _of_filter("Esp")),
    Question("Is it `others` or `Others`?", RECORDED, _CONFIGURATION, _others),
    Question("Does the filter `Domain` work?", RECORDED, "simulator's `--domain-filter` default", _of_filter("Domain")),
    Question(
        "Is the text of a CreateTime in China time, in every region?",
        RECORDED,
        "simulator's `--clock-text` default",
        _clock_text,
    ),
    Question(
        "Is a sender's DailyCount the mail that it used, or its limit?",
        RECORDED,
        "simulator's `--sender-counts` default",
        _daily_count,
    ),
    Question(
        "Is UserStatus a code, or bits that add up?",
        "an account in two states, such as frozen and overdue",
        "simulator's `--user-status` default",
        _user_status,
    ),
    Question(
        "Which header says how long to wait when it throttles?",
        "a recording while it throttles",
        "simulator's `--retry-after` default",
        _retry_after,
    ),
    Question(
        "Error codes: which are sent, with which status?",
        "a wrong key, a missing policy, an unknown sender, a tag without a sender",
        "[troubleshooting.md](troubleshooting.md)",
        _errors,
    ),
    Question("Do the operations for lists and the account answer?", RECORDED, "[discovery.md](discovery.md)", _lists),
    Question(
        "How many calls are allowed, and do other operations share them?",
        "`directmail_exporter_throttled` over a day, with all else that uses the account",
        "default of `rate_limit_per_minute`",
    ),
    Question("How fresh are the numbers?", "doctor, `freshness`; how long after a test mail `today` moves", _SEMANTICS),
    Question("Do closed days settle, or go down?", "`directmail_exporter_count_decreases_total`", _SEMANTICS),
    Question(
        "Is an open counted on the day of sending or of opening?",
        "open yesterday's mail today; see which day grows",
        "simulator's `--attribution` default",
    ),
    Question(
        "Is a recipient who opens twice unique once per row, per mail or per day?",
        "open one mail twice on two days",
        _SEMANTICS,
    ),
    Question(
        "Does the filter `Domain` match subdomains?",
        "a domain's numbers against the sum of its senders'",
        _CONFIGURATION,
    ),
    Question("Do the ESP values add up to the whole?", "sum of `by_esp` against `by_sender`", _CONFIGURATION),
)


def answer(question: Question, recording: Recording) -> str:
    """Return what a recording answers, "" for nothing."""
    return question.read(recording) if question.read is not None else ""
