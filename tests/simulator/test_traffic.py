"""The simulator's mail against what is published of real mail, and against its own laws."""

import hashlib
import itertools
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from exporter.directmail.statistics.registry import STATISTICS
from exporter.directmail.statistics.statistic import Statistic
from exporter.simulator import incidents
from exporter.simulator.account import PROVIDERS, STREAMS
from exporter.simulator.traffic import SHANGHAI, Choices, Counts, Traffic

HOUR, DAY = 3600, 86_400
TUESDAY = date(2026, 4, 21)
SENT = datetime(2026, 4, 21, 10, tzinfo=SHANGHAI).timestamp()
NEWS, NOTIFY, PRODUCT = "news@mail.example.com", "no-reply@notify.example.com", "product@mail.example.com"


@pytest.fixture(scope="module")
def traffic() -> Traffic:
    """One quiet account for the whole module: what it has drawn it need not draw again."""
    return Traffic()


def total(parts: list[Counts]) -> Counts:
    return Counts(*map(sum, zip(*parts, strict=True)))


def settled(traffic: Traffic, weeks: int, **filters: str) -> Counts:
    """Return the final counts of some weeks before TUESDAY."""
    days = [TUESDAY - timedelta(days=age) for age in range(7 * weeks)]
    return total([traffic.counts(day, SENT + 40 * DAY, **filters) for day in days])


@pytest.mark.parametrize(
    ("hours", "low", "high"),
    [
        pytest.param(1, 0.05, 0.20, id="1h"),
        pytest.param(6, 0.50, 0.62, id="6h"),
        pytest.param(14, 0.70, 0.80, id="midnight"),
        pytest.param(24, 0.73, 0.84, id="24h"),
        pytest.param(62, 0.88, 0.94, id="third-midnight"),
        pytest.param(168, 0.94, 0.98, id="week"),
    ],
)
def test_opens_of_a_campaign_come_as_fast_as_published(traffic: Traffic, hours: int, low: float, high: float) -> None:
    """GetResponse, MailerMailer and inntopia; see the acceptance table of the simulator's design."""
    so_far, final = (traffic.counts(TUESDAY, SENT + age * HOUR, sender=NEWS).unique_opens for age in (hours, 40 * 24))
    assert low < so_far / final < high


@pytest.mark.parametrize(
    ("hours", "low", "high"),
    [
        pytest.param(1, 0.12, 0.34, id="1h"),
        pytest.param(3, 0.44, 0.56, id="3h"),
        pytest.param(24, 0.72, 0.84, id="24h"),
    ],
)
def test_clicks_of_a_campaign_come_sooner_than_its_opens(traffic: Traffic, hours: int, low: float, high: float) -> None:
    so_far, final = (traffic.counts(TUESDAY, SENT + age * HOUR, sender=NEWS) for age in (hours, 40 * 24))
    share = so_far.unique_clicks / final.unique_clicks
    assert low < share < high
    if hours < 24:
        assert share > so_far.unique_opens / final.unique_opens


@pytest.mark.parametrize(
    ("tag", "opens", "clicks"),
    [
        pytest.param("weekly-newsletter", (0.24, 0.32), (0.011, 0.022), id="newsletter"),
        pytest.param("promo", (0.20, 0.30), (0.011, 0.022), id="promo"),
        pytest.param("onboarding", (0.33, 0.45), (0.03, 0.06), id="onboarding"),
        pytest.param("password-reset", (0.58, 0.68), (0.32, 0.42), id="password-reset"),
        pytest.param("receipt", (0.48, 0.58), (0.035, 0.06), id="receipt"),
        pytest.param("signup", (0.52, 0.63), (0.20, 0.27), id="signup"),
    ],
)
def test_the_ratios_of_each_stream_are_those_of_its_kind(
    traffic: Traffic, tag: str, opens: tuple[float, float], clicks: tuple[float, float]
) -> None:
    counts = settled(traffic, 4, tag=tag)
    assert opens[0] < counts.unique_opens / counts.emails < opens[1]
    assert clicks[0] < counts.unique_clicks / counts.emails < clicks[1]
    assert 1.3 < counts.opens / counts.unique_opens < 1.75
    assert 1.25 < counts.clicks / counts.unique_clicks < 2.2


def test_providers_open_as_differently_as_their_readers_and_machines_do(traffic: Traffic) -> None:
    opened = {}
    for esp in PROVIDERS:
        counts = traffic.counts(TUESDAY, SENT + 40 * DAY, tag="weekly-newsletter", esp=esp)
        opened[esp] = counts.unique_opens / counts.emails
    assert 0.64 < opened["icloud.com"] < 0.74
    assert 0.25 < opened["gmail.com"] < 0.35
    assert 0.17 < opened["outlook.com"] < 0.26


def test_receipts_follow_the_day_and_the_week(traffic: Traffic) -> None:
    sent = [row.emails for row in traffic.hours(TUESDAY, SENT + 5 * DAY, tag="receipt")]
    assert 10 * min(sent) < max(sent)
    assert sent.index(min(sent)) in range(2, 6)
    assert sent.index(max(sent)) in range(8, 12)
    by_day = [traffic.counts(TUESDAY - timedelta(days=age), SENT, tag="receipt").emails for age in range(1, 29)]
    weekend = [sent for age, sent in enumerate(by_day, 1) if (TUESDAY - timedelta(days=age)).weekday() >= 5]
    assert sum(weekend) / len(weekend) < 0.9 * sum(by_day) / len(by_day)


def test_days_grow_by_8_to_20_percent_in_the_day_after_a_campaign(traffic: Traffic) -> None:
    """Finding of the published curves: 74 % of the final figure is there at the first midnight, 86 % at the next."""
    grown = []
    for week in range(4):
        day = TUESDAY - timedelta(weeks=week)
        end = traffic.day_start(day + timedelta(days=1))
        first, second = (traffic.counts(day, end + later, sender=NEWS).unique_opens for later in (0, DAY))
        grown.append(second / first)
    assert all(1.08 < growth < 1.20 for growth in grown)


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "UTC", "Asia/Kolkata", "America/New_York"])
def test_from_its_first_minute_on_a_day_has_no_more_openers_than_mails_and_never_less_than_before(zone: str) -> None:
    traffic = Traffic(choices=Choices(ZoneInfo(zone)))
    begin = traffic.day_start(TUESDAY)
    minutes = [*range(0, 180, 7), *range(600, 780, 7), *range(1400, 1500, 7)]
    for stream in STREAMS:
        before = Counts(0, 0, 0, 0, 0)
        for minute in minutes:
            counts = traffic.counts(TUESDAY, begin + 60 * minute, tag=stream.tag)
            assert all(old <= new for old, new in zip(before, counts, strict=True))
            assert counts.unique_opens <= counts.emails
            assert counts.unique_opens <= counts.opens
            assert counts.unique_clicks <= counts.clicks
            before = counts


def test_who_clicks_has_opened_but_for_scanners() -> None:
    """Without scanners no provider may have more clickers than openers at any moment."""
    for esp in ("gmail.com", "icloud.com"):  # two in ten thousand mails are scanned
        for age in range(0, 60, 3):
            counts = Traffic().counts(TUESDAY, SENT - 10 * HOUR + age * HOUR, sender=NOTIFY, esp=esp)
            assert counts.unique_clicks <= counts.unique_opens + 3


@pytest.mark.parametrize(
    ("day", "hours"),
    [pytest.param(date(2026, 3, 8), 23, id="spring"), pytest.param(date(2026, 11, 1), 25, id="autumn")],
)
def test_a_day_on_which_the_clocks_change_is_whole(day: date, hours: int) -> None:
    traffic = Traffic(choices=Choices(ZoneInfo("America/New_York")))
    rows = traffic.hours(day, traffic.day_start(day) + 3 * DAY, sender=NOTIFY)
    assert len(rows) == hours
    assert total(rows) == traffic.counts(day, traffic.day_start(day) + 3 * DAY, sender=NOTIFY)


def test_in_summer_campaigns_still_go_out_at_ten_local_time() -> None:
    zone = ZoneInfo("America/New_York")
    for day in (date(2026, 1, 13), date(2026, 7, 14)):
        traffic = Traffic(choices=Choices(zone))
        rows = traffic.hours(day, traffic.day_start(day) + 3 * DAY, tag="weekly-newsletter")
        assert [hour for hour, row in enumerate(rows) if row.emails] == [10, 11]


def test_both_ways_of_booking_count_the_same_events_in_the_end() -> None:
    """One password mail's events within 40 days, by the day of sending and by their own."""
    planned = [incidents.parse("sender_stopped:start=1d,for=100d", SENT), _stop_before(SENT - 3 * DAY)]
    days = [TUESDAY + timedelta(days=age) for age in range(-4, 41)]
    filters = {"tag": "password-reset", "esp": "gmail.com"}
    by_send, by_event = (
        total([Traffic(7, Choices(attribution=way), planned).counts(day, SENT + 60 * DAY, **filters) for day in days])
        for way in ("send", "event")
    )
    assert by_send == by_event
    assert by_send.opens > 1000


def _stop_before(moment: float) -> incidents.Incident:
    return incidents.Incident("sender_stopped", moment - 100 * DAY, moment, sender=NOTIFY, factor=0.0)


@pytest.mark.parametrize("attribution", ["send", "event"])
def test_losses_that_overlap_are_lost_once(attribution: str) -> None:
    texts = ("tracking_down:sender=no-reply@notify.example.com,start=-2d,for=3d", "clicks_down:start=-1d,for=4d")
    planned = [incidents.parse(text, SENT + DAY) for text in texts]
    traffic = Traffic(7, Choices(attribution=attribution), planned)
    before = Counts(0, 0, 0, 0, 0)
    for hours in range(0, 240, 8):
        counts = traffic.counts(TUESDAY, SENT - 10 * HOUR + hours * HOUR, sender=NOTIFY, esp="gmail.com")
        assert all(old <= new for old, new in zip(before, counts, strict=True))
        before = counts
    assert before.emails > 0


def test_on_a_holiday_readers_are_slow_and_read_later() -> None:
    holiday = incidents.Incident("holiday", SENT - 10 * HOUR, SENT + 14 * HOUR)
    quiet, slow = Traffic(), Traffic(incidents=[holiday])
    of_day, later = (
        [each.counts(TUESDAY, SENT + age * HOUR, tag="weekly-newsletter").unique_opens for each in (quiet, slow)]
        for age in (8, 40 * 24)
    )
    assert of_day[1] < 0.95 * of_day[0]
    assert later[0] == later[1]


def test_a_restated_day_falls_in_its_hours_too() -> None:
    restated = Traffic(incidents=[incidents.parse("restated:factor=0.5", SENT + 2 * DAY)])
    before, after = (total(restated.hours(TUESDAY, SENT + 2 * DAY + step, sender=NEWS)) for step in (-60, 60))
    assert after.emails == pytest.approx(before.emails / 2, rel=0.01)


def test_switches_with_unknown_values_are_rejected() -> None:
    with pytest.raises(ValueError, match="write one of send, event"):
        Choices(attribution="sent")


def test_responses_are_constant_within_a_tick_and_change_after_it(traffic: Traffic) -> None:
    now = datetime(2026, 4, 21, 3, tzinfo=UTC).timestamp()
    seen = [traffic.counts(TUESDAY, now + seconds) for seconds in (0, 9.9, 10, 60)]
    assert seen[0] == seen[1]
    assert all(old.emails < new.emails for old, new in itertools.pairwise(seen[1:]))


MANY_INCIDENTS = (
    *("runaway:start=-1h", "holiday:start=-8h", "esp_reject:sender=", "flag_lost:factor=0.3,sender=,start=-2h"),
    *("esp_spam:sender=,start=-3h", "scanner:start=-1d", "bad_subject:start=-1h", "tracking_down:start=+2h"),
    *("clicks_down:start=+1h", "restated:start=+30h"),
)


@pytest.mark.parametrize(
    ("seed", "attribution", "texts", "digest"),
    [
        pytest.param(7, "send", (), "ad9df0477944bc83", id="quiet"),
        pytest.param(8, "send", (), "b99e4000cbd1e962", id="another-seed"),
        pytest.param(7, "send", MANY_INCIDENTS, "07fd179a41a75576", id="many-incidents"),
        pytest.param(7, "event", MANY_INCIDENTS[:5], "2f690870a3703e58", id="many-incidents-by-event"),
        pytest.param(3, "send", ("frozen:start=+4h", "sender_stopped:start=+30m"), "116dd509b49132d1", id="frozen"),
    ],
)
def test_measured_pages_rely_on_numbers_that_never_change(
    seed: int, attribution: str, texts: tuple[str, ...], digest: str
) -> None:
    """A digest of opens and clicks as they were before the simulator knew of delivery."""
    traffic = Traffic(seed, Choices(attribution=attribution), [incidents.parse(text, SENT) for text in texts])
    places = [{"tag": stream.tag} for stream in STREAMS] + [{"esp": esp} for esp in PROVIDERS]
    moments = (SENT + 1800, SENT + 5 * HOUR, SENT + 2 * DAY)
    seen = [tuple(traffic.counts(TUESDAY, now, **place)) for now in moments for place in places]
    assert hashlib.sha256(repr(seen).encode()).hexdigest()[:16] == digest


@pytest.mark.parametrize("statistic", STATISTICS.values(), ids=STATISTICS)
def test_every_statistic_has_totals_in_the_order_of_its_counts(traffic: Traffic, statistic: Statistic) -> None:
    counts = statistic.counts._make(traffic.totals(statistic.action, TUESDAY, SENT + DAY, sender=NEWS))
    assert all(counts)
    assert all(getattr(counts, part) <= getattr(counts, whole) for part, whole in statistic.at_most)
