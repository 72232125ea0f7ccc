"""What became of requested mail: consistent with what is tracked, for every filter, at every moment."""

import itertools
from datetime import date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.simulator import incidents
from exporter.simulator.account import PROVIDERS, STREAMS, Infrastructure, Stream
from exporter.simulator.delivery import NO_MAIL, Delivery, Sendings
from exporter.simulator.incidents import Incident
from exporter.simulator.traffic import SHANGHAI, Choices, Traffic, added

HOUR, DAY = 3600, 86_400
TUESDAY = date(2026, 4, 21)
MIDNIGHT = datetime(2026, 4, 21, tzinfo=SHANGHAI).timestamp()
SENT = MIDNIGHT + 10 * HOUR
SETTLED = SENT + 40 * DAY
NEWS, NOTIFY, PRODUCT = "news@mail.example.com", "no-reply@notify.example.com", "product@mail.example.com"
WORLDS = (
    (),
    ("bounce_spike:start=-1d,for=5d", "deferred:start=-6h,for=3d,factor=3.3333"),
    ("esp_reject:sender=,start=-1d,for=3d", "flag_lost:start=-5h,factor=0.4", "invalid_list:sender=,start=-1d,for=3d"),
    ("runaway:start=-3h", "holiday:start=-9h", "untracked:start=+2h", "restated:start=+1d,factor=0.7"),
    ("account_frozen:start=+5h,for=9h", "campaigns_stopped:start=+20m", "hourly:start=-1h"),
)
PLACES = (
    {},
    {"sender": NOTIFY},
    {"sender": NOTIFY, "tag": "signup", "esp": "outlook.com"},
    {"domain": "mail.example.com"},
    {"esp": "yahoo.com"},
    {"dedicated_ip_pool_id": "pool-marketing", "esp": "gmail.com"},
)
worlds, places = st.sampled_from(WORLDS), st.sampled_from(PLACES)
days = st.integers(-2, 2).map(lambda age: TUESDAY + timedelta(days=age))
moments = st.floats(-3 * DAY, 5 * DAY, allow_nan=False).map(lambda seconds: SENT + seconds)
MANY = settings(max_examples=80)


@cache
def traffic(*texts: str) -> Traffic:
    """Return the account with those incidents, its starts counted from the newsletter; drawn once."""
    return Traffic(incidents=[incidents.parse(text, SENT) for text in texts])


def values(name: str) -> list[str]:
    """Return every value of a filter in the demo account."""
    if name == "esp":
        return list(PROVIDERS)
    of = Infrastructure if name in Infrastructure._fields else Stream
    return sorted({getattr(each.through if of is Infrastructure else each, name) for each in STREAMS})


@MANY
@given(world=worlds, day=days, now=moments, place=places)
def test_requested_is_never_less_than_delivered_nor_delivered_than_tracked(
    world: tuple[str, ...], day: date, now: float, place: dict[str, str]
) -> None:
    delivery = traffic(*world).delivery(day, now, **place)
    assert delivery.requested >= delivery.delivered + delivery.failed + delivery.invalid
    assert delivery.delivered >= traffic(*world).counts(day, now, **place).emails
    assert all(type(count) is int and count >= 0 for count in delivery)


@MANY
@given(world=worlds, day=days, place=places)
def test_in_the_end_every_mail_is_delivered_failed_or_invalid(
    world: tuple[str, ...], day: date, place: dict[str, str]
) -> None:
    delivery = traffic(*world).delivery(day, SETTLED, **place)
    assert delivery.requested == delivery.delivered + delivery.failed + delivery.invalid


@MANY
@given(world=st.sampled_from(WORLDS[:3]), day=days, seen=st.lists(moments, min_size=2, max_size=6), place=places)
def test_the_counts_of_a_day_only_grow_in_whatever_order_they_are_requested(
    world: tuple[str, ...], day: date, seen: list[float], place: dict[str, str]
) -> None:
    known = {now: traffic(*world).delivery(day, now, **place) for now in seen}
    for earlier, later in itertools.pairwise(sorted(known)):
        assert all(old <= new for old, new in zip(known[earlier], known[later], strict=True))


@MANY
@given(
    world=worlds,
    day=days,
    now=moments,
    place=places,
    by=st.sampled_from(["esp", "sender", "tag", "domain", *Infrastructure._fields]),
)
def test_the_sums_of_a_breakdown_are_the_whole(
    world: tuple[str, ...], day: date, now: float, place: dict[str, str], by: str
) -> None:
    parts = [
        traffic(*world).delivery(day, now, **{**place, by: value})
        for value in values(by)
        if place.get(by, value) == value
    ]
    assert added(NO_MAIL, parts) == traffic(*world).delivery(day, now, **place)


def test_two_accounts_with_one_seed_agree_and_another_seed_is_another_account() -> None:
    requested = [(TUESDAY - timedelta(days=age), SENT + hours * HOUR) for age in range(2) for hours in (9, 1, 30)]
    backwards = {each: Traffic().delivery(*each) for each in reversed(requested)}
    assert {each: traffic().delivery(*each) for each in requested} == backwards
    assert Traffic(seed=8).delivery(*requested[0]) != backwards[requested[0]]


@pytest.mark.parametrize("esp", PROVIDERS)
@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.tag)
def test_the_failed_and_invalid_parts_are_those_of_real_mail(stream: Stream, esp: str) -> None:
    place = {"sender": stream.sender, "tag": stream.tag, "esp": esp}
    month = added(NO_MAIL, (traffic().delivery(TUESDAY - timedelta(days=age), SETTLED, **place) for age in range(28)))
    chance = 3 * (0.02 / month.requested) ** 0.5
    assert 0.01 - chance < month.failed / month.requested < 0.02 + chance
    assert 0.002 - chance < month.invalid / month.requested < 0.01 + chance


def test_a_few_delivered_mails_cannot_be_tracked() -> None:
    delivered, tracked = traffic().delivery(TUESDAY, SETTLED).delivered, traffic().counts(TUESDAY, SETTLED).emails
    assert 0.001 < (delivered - tracked) / delivered < 0.005


def test_no_hour_has_more_tracked_mails_than_delivered_ones_where_two_draws_are_nearly_the_same() -> None:
    """Two means on both sides of the one where the normal curve takes over are not always drawn in their order."""
    lost = incidents.parse("flag_lost:sender=,factor=0.98,start=-10d,for=20d", SENT)
    sendings = Sendings(7, SHANGHAI, [lost])
    places = itertools.product(range(len(STREAMS)), PROVIDERS)
    found = [each for place in places for each in sendings.between(*place, SENT - 10 * DAY, SENT)]
    assert all(each.tracked <= each.delivered for each in found)


def test_mail_that_is_rejected_for_now_fails_hours_later() -> None:
    end = MIDNIGHT + DAY
    at_midnight, later = (traffic().delivery(TUESDAY, end + hours * HOUR, sender=NOTIFY) for hours in (0, 4))
    assert at_midnight.failed < later.failed
    assert (at_midnight.requested, at_midnight.invalid) == (later.requested, later.invalid)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "America/New_York"])
def test_in_every_zone_a_day_has_the_mail_between_its_midnights(zone: str) -> None:
    far = Traffic(choices=Choices(ZoneInfo(zone)))
    begin = far.day_start(TUESDAY)
    assert far.delivery(TUESDAY, begin) == NO_MAIL
    of_day, last = far.delivery(TUESDAY, begin + DAY), far.delivery(TUESDAY, begin + DAY + 6 * HOUR)
    assert 0.97 * last.requested < of_day.requested <= last.requested


def test_mail_is_booked_on_the_day_of_its_request_whatever_the_booking_of_opens() -> None:
    by_event = Traffic(choices=Choices(attribution="event"), incidents=[incidents.parse("deferred:for=2d", SENT)])
    by_send = traffic("deferred:for=2d")
    for age in range(3):
        day = TUESDAY + timedelta(days=age)
        assert by_event.delivery(day, SENT + 2 * DAY) == by_send.delivery(day, SENT + 2 * DAY)


def effect(text: str, now: float, day: date = TUESDAY, **place: str) -> dict[str, str]:
    """Return which numbers of a day an incident changes: `+`, `-`, or nothing where they are as in the quiet world."""
    seen = []
    for each in (traffic(), traffic(text)):
        delivery, counts = each.delivery(day, now, **place), each.counts(day, now, **place)
        seen.append({**delivery._asdict(), "emails": counts.emails, "opens": counts.opens, "clicks": counts.clicks})
    quiet, hit = seen
    return {name: "+" if hit[name] > quiet[name] else "-" for name in quiet if hit[name] != quiet[name]}


def changes(text: str) -> dict[str, str]:
    """Return what `requested+ invalid+` means."""
    return {word[:-1]: word[-1] for word in text.split()}


REJECTED = "delivered- failed+ emails- opens- clicks-"
STOPPED = "requested- delivered- failed- invalid- emails- opens- clicks-"
EFFECTS: dict[str, str] = {
    "esp_spam:start=-1d,for=3d": "opens- clicks-",
    "esp_partial:start=-1d": "opens- clicks-",
    "esp_reject:start=-1d": REJECTED,
    "bounce_spike:start=-1d,for=3d": REJECTED,
    "invalid_list:start=-1d,for=3d": "requested+ invalid+",
    "deferred:start=-1d,for=3d": "opens- clicks-",
    "tracking_down:start=-1d,for=3d": "opens- clicks-",
    "clicks_down:start=-1d,for=3d": "clicks-",
    "sender_stopped:start=-1d,for=3d": STOPPED,
    "flag_lost:start=-1d,for=3d": "emails- opens- clicks-",
    "untracked:start=-1d,for=3d": "emails- opens- clicks-",
    "campaigns_stopped:start=-1d": STOPPED,
    "runaway:start=-1d,for=3d": STOPPED.replace("-", "+"),
    "scanner:start=-1d": "opens+ clicks+",
    "bad_subject:start=-1d,for=3d": "opens- clicks-",
    "holiday:start=-1d,for=3d": STOPPED,
    "frozen:start=+3h": STOPPED,
    "hourly:start=-1d": STOPPED,
    "restated:start=+15h,factor=0.9": STOPPED,
    "quota_used:start=-1d,for=40d": "",
    "reputation_fell:start=-1d": "",
    "account_frozen:start=-1d": STOPPED,
    "cname_lost:start=-1d,for=3d": "opens- clicks-",
}
"""What each incident of the mail changes of a Tuesday, with the opens and clicks of the day after."""


def hit_place(incident: Incident) -> dict[str, str]:
    """Return the filters of what an incident hits."""
    named = {"sender": incident.sender, "tag": incident.tag, "esp": incident.esp, "domain": incident.domain}
    return {name: value for name, value in named.items() if value}


def other_places(incident: Incident) -> list[dict[str, str]]:
    """Return filters of mail that an incident does not hit, all of it together."""
    place = hit_place(incident)
    kept: dict[str, str] = {}
    found = []
    for name, value in place.items():
        found += [{**kept, name: other} for other in values(name) if other != value]
        kept[name] = value
    return found


@pytest.mark.parametrize("text", EFFECTS)
def test_an_incident_changes_the_numbers_that_it_should_and_no_others(text: str) -> None:
    incident = incidents.parse(text, SENT)
    moment = SENT + 0.8 * HOUR if incident.name == "hourly" else MIDNIGHT + 2.5 * DAY
    assert effect(text, moment, **hit_place(incident)) == changes(EFFECTS[text])
    for place in other_places(incident):
        assert effect(text, moment, **place) == {}, place


@pytest.mark.parametrize("name", sorted(incidents.NAMES.keys() - {text.partition(":")[0] for text in EFFECTS}))
def test_an_incident_of_the_api_changes_no_mail(name: str) -> None:
    assert incidents.NAMES[name].fault
    assert effect(f"{name}:start=-1d", MIDNIGHT + 2.5 * DAY) == {}


def test_a_provider_that_rejects_accepts_almost_nothing_of_the_usual_mail() -> None:
    place = {"sender": NOTIFY, "esp": "gmail.com"}
    quiet, hit = (each.delivery(TUESDAY, SETTLED, **place) for each in (traffic(), traffic("esp_reject:start=-1d")))
    assert hit.requested == quiet.requested
    assert hit.delivered < 0.06 * quiet.delivered


def test_a_spike_of_bounces_affects_every_provider() -> None:
    for esp in PROVIDERS:
        quiet, hit = (
            each.delivery(TUESDAY, SETTLED, sender=NOTIFY, esp=esp)
            for each in (traffic(), traffic("bounce_spike:start=-1d,for=3d"))
        )
        assert hit.delivered / quiet.delivered == pytest.approx(0.7, abs=0.06)


def test_a_bad_list_is_a_fifth_of_the_campaign() -> None:
    campaign = traffic("invalid_list:start=-1d,for=3d").delivery(TUESDAY, SETTLED, sender=NEWS)
    assert 0.17 < campaign.invalid / campaign.requested < 0.23


def test_mail_that_is_deferred_is_requested_now_and_delivered_and_tracked_hours_later() -> None:
    deferred, place = traffic("deferred:start=-2h,for=1d"), {"sender": NEWS, "esp": "yahoo.com"}
    for hours in (0.5, 1.5, 3.5):
        now = SENT + hours * HOUR
        quiet, late = (each.delivery(TUESDAY, now, **place) for each in (traffic(), deferred))
        assert (late.requested, late.invalid) == (quiet.requested, quiet.invalid)
        assert (late.delivered, late.failed) == (0, 0)
        assert deferred.counts(TUESDAY, now, **place) == (0, 0, 0, 0, 0)
        on_time = deferred.delivery(TUESDAY, now + 4 * HOUR, **place)
        assert on_time.delivered == quiet.delivered > 0
    assert deferred.delivery(TUESDAY, SETTLED, **place) == traffic().delivery(TUESDAY, SETTLED, **place)
    assert deferred.counts(TUESDAY, SETTLED, **place).emails == traffic().counts(TUESDAY, SETTLED, **place).emails


def test_both_ways_of_booking_count_the_opens_of_deferred_mail_once() -> None:
    planned = [
        incidents.parse("deferred:start=-4d,for=10d,factor=300,esp=gmail.com", SENT),
        *(
            incidents.parse(text, SENT)
            for text in ("sender_stopped:start=-100d,for=97d", "sender_stopped:start=1d,for=100d")
        ),
    ]
    every_day = [TUESDAY + timedelta(days=age) for age in range(-4, 60)]
    place = {"tag": "password-reset", "esp": "gmail.com"}
    by_send, by_event = (
        [Traffic(7, Choices(attribution=way), planned).counts(day, SENT + 80 * DAY, **place) for day in every_day]
        for way in ("send", "event")
    )
    assert [sum(column) for column in zip(*by_send, strict=True)] == [
        sum(column) for column in zip(*by_event, strict=True)
    ]


def test_a_restated_day_keeps_the_mail_that_is_still_on_its_way() -> None:
    restated = traffic("deferred:esp=gmail.com,factor=6,start=-2h,for=1d", "restated:factor=0.5,start=+850m")
    place = {"sender": NOTIFY, "tag": "receipt", "esp": "gmail.com"}
    before, after, later = (
        restated.delivery(TUESDAY, MIDNIGHT + DAY + seconds, **place) for seconds in (590, 610, 2 * DAY)
    )
    assert before.delivered < 0.9 * before.requested
    for name in ("requested", "delivered", "failed", "invalid"):
        assert 0 <= getattr(before, name) / 2 - getattr(after, name) <= 2
    assert abs(after.requested - later.requested) <= 2


def test_a_subdomain_belongs_to_its_parent_domain_and_to_no_namesake() -> None:
    def requested(**place: str) -> Delivery:
        return traffic().delivery(TUESDAY, SETTLED, **place)

    assert requested(parent_domain="example.com") == requested(parent_domain="com") == requested()
    assert requested(parent_domain="mail.example.com") == requested(domain="mail.example.com")
    assert requested(parent_domain="ail.example.com") == requested(domain="example.com") == NO_MAIL
