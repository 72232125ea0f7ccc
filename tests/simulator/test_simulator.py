"""The simulator: traffic that behaves like mail, and a server that behaves like the API."""

import itertools
import random
import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import aiohttp
import pytest

from exporter.directmail import signing
from exporter.directmail.client import Client
from exporter.directmail.credentials import Credentials
from exporter.directmail.errors import DirectMailError
from exporter.directmail.limiter import Limiters
from exporter.directmail.model import Filters
from exporter.directmail.statistics.engagement import ENGAGEMENT
from exporter.directmail.transport import open_session
from exporter.simulator import faults, incidents
from exporter.simulator.account import PROVIDERS, STREAMS
from exporter.simulator.behaviour import Behaviour
from exporter.simulator.server import KEY_ID, SECRET, Simulator
from exporter.simulator.traffic import Choices, Counts, Traffic
from tests.support.clock import ScriptedClock

NOW = datetime(2026, 4, 24, 4, tzinfo=UTC).timestamp()
DAY = 86_400
TUESDAY = date(2026, 4, 21)
NEWS, NOTIFY, PRODUCT = "news@mail.example.com", "no-reply@notify.example.com", "product@mail.example.com"


class TestTraffic:
    def test_the_same_seed_gives_the_same_answers_in_any_order(self) -> None:
        questions = [
            (TUESDAY - timedelta(days=age), {"sender": sender, "esp": esp})
            for age in range(3)
            for sender in (NEWS, NOTIFY)
            for esp in ("", "gmail.com")
        ]
        forwards = Traffic()
        first = {str(each): forwards.counts(each[0], NOW, **each[1]) for each in questions}
        random.Random(3).shuffle(questions)
        backwards = Traffic()
        assert {str(each): backwards.counts(each[0], NOW, **each[1]) for each in questions} == first
        assert Traffic(seed=8).counts(TUESDAY, NOW) != forwards.counts(TUESDAY, NOW)

    def test_the_counts_of_a_day_only_grow(self) -> None:
        traffic = Traffic()
        moments = [NOW - 3 * DAY + hours * 3600 for hours in (0, 1, 5, 12, 24, 60, 200, 600)]
        seen = [traffic.counts(TUESDAY, moment) for moment in moments]
        for earlier, later in itertools.pairwise(seen):
            assert all(old <= new for old, new in zip(earlier, later, strict=True))
        assert seen[0] != seen[-1]

    @pytest.mark.parametrize("sender", [NEWS, NOTIFY, PRODUCT])
    @pytest.mark.parametrize("hours", [0.5, 6, 48, 700])
    def test_unique_counts_are_within_their_totals(self, sender: str, hours: float) -> None:
        for esp in PROVIDERS:
            counts = Traffic().counts(TUESDAY, NOW - 3 * DAY + hours * 3600, sender=sender, esp=esp)
            assert counts.unique_opens <= counts.opens
            assert counts.unique_clicks <= counts.clicks
            assert counts.unique_opens <= counts.emails

    def test_providers_add_up_to_the_total_and_tags_to_their_sender(self) -> None:
        traffic = Traffic()
        total = traffic.counts(TUESDAY, NOW, sender=NOTIFY)
        by_esp = [traffic.counts(TUESDAY, NOW, sender=NOTIFY, esp=esp) for esp in PROVIDERS]
        by_tag = [
            traffic.counts(TUESDAY, NOW, sender=NOTIFY, tag=each.tag) for each in STREAMS if each.sender == NOTIFY
        ]
        assert Counts(*map(sum, zip(*by_esp, strict=True))) == total
        assert Counts(*map(sum, zip(*by_tag, strict=True))) == total

    def test_rows_by_the_hour_add_up_to_the_day(self) -> None:
        traffic = Traffic()
        hours = traffic.hours(TUESDAY, NOW, sender=NEWS)
        assert Counts(*map(sum, zip(*hours, strict=True))) == traffic.counts(TUESDAY, NOW, sender=NEWS)

    def test_ratios_are_those_of_real_mail(self) -> None:
        settled = NOW + 25 * DAY
        news = Traffic().counts(TUESDAY, settled, sender=NEWS)
        receipts = Traffic().counts(TUESDAY, settled, sender=NOTIFY, tag="receipt")
        assert 0.15 < news.unique_opens / news.emails < 0.42
        assert 0.01 < news.unique_clicks / news.emails < 0.035
        assert 0.4 < receipts.unique_opens / receipts.emails < 0.75
        assert 1.2 < news.opens / news.unique_opens < 1.8

    def test_a_day_keeps_growing_after_its_end(self) -> None:
        """Between the end of a campaign's day and a day later: 8 to 20 percent more opens."""
        traffic = Traffic()
        end = traffic.day_start(TUESDAY + timedelta(days=1))
        first, second = (traffic.counts(TUESDAY, end + extra, sender=NEWS).unique_opens for extra in (0, DAY))
        assert 1.08 < second / first < 1.20

    def test_the_newsletter_goes_out_on_tuesdays_at_ten(self) -> None:
        traffic = Traffic()
        assert traffic.counts(TUESDAY, NOW, sender=NEWS, tag="weekly-newsletter").emails > 50_000
        assert traffic.counts(TUESDAY + timedelta(days=1), NOW, sender=NEWS, tag="weekly-newsletter").emails == 0
        hours = [hour for hour, row in enumerate(traffic.hours(TUESDAY, NOW, sender=NEWS)) if row.emails]
        assert hours == [10, 11]

    def test_booked_by_event_a_quiet_day_still_has_opens(self) -> None:
        wednesday = TUESDAY + timedelta(days=1)
        by_event = Traffic(choices=Choices(attribution="event")).counts(wednesday, NOW, sender=NEWS)
        by_send = Traffic().counts(wednesday, NOW, sender=NEWS)
        assert (by_send.emails, by_send.opens, by_event.emails) == (0, 0, 0)
        assert by_event.opens > 1000

    def test_hourly_answers_are_those_of_the_last_full_hour(self) -> None:
        hourly, live = Traffic(choices=Choices(hourly=True)), Traffic()
        today = live.today(NOW)
        assert hourly.counts(today, NOW + 20 * 60) == live.counts(today, NOW)
        assert hourly.counts(today, NOW + 10 * 60) == live.counts(today, NOW - 3600)


def ratio(counts: Counts) -> float:
    return counts.unique_opens / counts.emails


class TestIncidents:
    @staticmethod
    def both(text: str, day: date = TUESDAY, now: float = NOW, **filters: str) -> tuple[Counts, Counts]:
        """Return the counts without and with an incident that began long ago."""
        planned = incidents.parse(f"{text},start=-20d,for=40d" if ":" in text else f"{text}:start=-20d,for=40d", NOW)
        return Traffic().counts(day, now, **filters), Traffic(incidents=[planned]).counts(day, now, **filters)

    def test_spam_foldering_halves_nothing_but_the_opens_at_one_provider(self) -> None:
        quiet, hit = self.both("esp_spam", sender=NOTIFY, esp="gmail.com")
        assert quiet.emails == hit.emails
        assert ratio(hit) < 0.4 * ratio(quiet)
        other_quiet, other_hit = self.both("esp_spam", sender=NOTIFY, esp="yahoo.com")
        assert other_quiet == other_hit

    def test_partial_foldering_is_milder(self) -> None:
        quiet, hit = self.both("esp_partial", sender=NOTIFY, esp="gmail.com")
        assert 0.4 * ratio(quiet) < ratio(hit) < 0.7 * ratio(quiet)

    def test_a_provider_that_rejects_accepts_almost_nothing(self) -> None:
        quiet, hit = self.both("esp_reject", sender=NOTIFY, esp="gmail.com")
        assert hit.emails < 0.06 * quiet.emails

    @pytest.mark.parametrize("name", ["sender_stopped", "flag_lost", "campaigns_stopped"])
    def test_a_sender_that_stops_sends_nothing(self, name: str) -> None:
        sender = NEWS if name == "campaigns_stopped" else NOTIFY
        assert self.both(name, sender=sender)[1].emails == 0

    def test_tracking_that_is_down_loses_what_happens_meanwhile_for_good(self) -> None:
        quiet, hit = self.both("tracking_down", sender=PRODUCT)
        assert (hit.emails, hit.opens, hit.clicks) == (quiet.emails, 0, 0)
        planned = incidents.parse("tracking_down:start=-3d,for=6h", NOW)
        later = Traffic(incidents=[planned]).counts(TUESDAY, NOW + 20 * DAY, sender=PRODUCT)
        assert 0 < later.opens < Traffic().counts(TUESDAY, NOW + 20 * DAY, sender=PRODUCT).opens

    def test_clicks_that_are_down_leave_the_opens(self) -> None:
        quiet, hit = self.both("clicks_down", sender=NOTIFY)
        assert (hit.opens, hit.clicks, hit.unique_clicks) == (quiet.opens, 0, 0)

    def test_a_runaway_job_sends_twenty_times_as_much(self) -> None:
        quiet, hit = self.both("runaway", sender=NOTIFY, tag="receipt")
        assert 18 < hit.emails / quiet.emails < 22

    def test_scanners_click_without_opening_minds(self) -> None:
        quiet, hit = self.both("scanner", sender=NEWS, esp="outlook.com")
        assert hit.unique_clicks / hit.unique_opens > 2 * quiet.unique_clicks / quiet.unique_opens

    def test_a_bad_subject_hits_every_provider_alike(self) -> None:
        for esp in ("gmail.com", "yahoo.com"):
            quiet, hit = self.both("bad_subject", sender=NEWS, esp=esp)
            assert ratio(hit) < 0.85 * ratio(quiet)

    def test_a_holiday_has_less_mail(self) -> None:
        quiet, hit = self.both("holiday")
        assert hit.emails < 0.5 * quiet.emails

    def test_a_frozen_api_answers_as_of_its_start(self) -> None:
        frozen = Traffic(incidents=[incidents.parse("frozen", NOW)])
        today = frozen.today(NOW)
        assert frozen.counts(today, NOW + 5 * 3600) == Traffic().counts(today, NOW)

    def test_a_restated_day_falls_once(self) -> None:
        restated = Traffic(incidents=[incidents.parse("restated", NOW)])
        before, after = (restated.counts(TUESDAY, NOW + step).opens for step in (-60, 60))
        assert after == pytest.approx(0.98 * before, rel=0.01)

    def test_hourly_can_come_over_the_api_later(self) -> None:
        late = Traffic(incidents=[incidents.parse("hourly", NOW - 3600)])
        assert late.counts(late.today(NOW), NOW + 20 * 60) == Traffic().counts(late.today(NOW), NOW)

    @pytest.mark.parametrize("text", ["alien", "esp_spam:colour=red", "esp_spam:start=soon", "esp_spam:factor=x"])
    def test_unknown_incidents_are_rejected(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"write one of|use sender|write one such as|write a number"):
            incidents.parse(text, NOW)

    @pytest.mark.parametrize("text", ["gremlins", "throttle:often", "hang:1,times=x"])
    def test_unknown_faults_are_rejected(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"write one "):
            faults.parse(text)

    def test_a_fault_strikes_as_often_as_it_is_set(self) -> None:
        fault = faults.parse("throttle:1,times=2,after=1,AccountName=a@x.com")
        hits = [fault.strikes("GetTrackList", {"AccountName": "a@x.com"}, NOW, 0.5) for _ in range(5)]
        assert hits == [False, True, True, False, False]
        assert not fault.strikes("GetTrackList", {}, NOW, 0.5)


async def send(simulator: Simulator, action: str = "GetTrackList", **parameters: str) -> tuple[int, dict[str, Any]]:
    """Send a request as a client does that signs well; names beginning with an underscore change how."""
    changes = {name: parameters.pop(name) for name in list(parameters) if name.startswith("_")}
    at = datetime.fromtimestamp(simulator.clock.time() + float(changes.get("_late", "0")), UTC)
    query = signing.canonical_query(parameters)
    async with simulator.listen() as url, aiohttp.ClientSession() as session:
        headers = {
            "host": url.removeprefix("http://"),
            "x-acs-action": action,
            "x-acs-content-sha256": signing.EMPTY_SHA256,
            "x-acs-date": at.strftime(signing.DATE_FORMAT),
            "x-acs-signature-nonce": changes.get("_nonce", str(random.random())),
            "x-acs-version": "2015-11-23",
        }
        key, secret = changes.get("_key", KEY_ID), changes.get("_secret", SECRET)
        headers["Authorization"] = signing.authorization(key, secret, "POST", query, headers)
        responses = []
        for _ in range(int(changes.get("_times", "1"))):
            async with session.post(f"{url}/?{query}", headers=headers) as response:
                responses.append((response.status, await response.json()))
        return responses[-1]


def made(**options: Any) -> Simulator:
    return Simulator(clock=ScriptedClock(NOW), **options)


DAYS = {"StartTime": "2026-04-21", "EndTime": "2026-04-21"}


@pytest.mark.parametrize(
    ("parameters", "status", "code"),
    [
        pytest.param({**DAYS, "_key": "Nobody"}, 404, "InvalidAccessKeyId.NotFound", id="unknown-key"),
        pytest.param({**DAYS, "_secret": "Wrong"}, 400, "SignatureDoesNotMatch", id="wrong-secret"),
        pytest.param({**DAYS, "_late": "-1000"}, 400, "InvalidTimeStamp.Expired", id="late"),
        pytest.param({**DAYS, "_late": "1000"}, 400, "InvalidTimeStamp.Expired", id="early"),
        pytest.param({**DAYS, "_nonce": "n", "_times": "2"}, 400, "SignatureNonceUsed", id="nonce-twice"),
        pytest.param({"EndTime": "2026-04-21"}, 400, "MissingParameter", id="no-start"),
        pytest.param({**DAYS, "EndTime": ""}, 400, "InvalidDate.NotFound", id="empty-end"),
        pytest.param({**DAYS, "StartTime": "21.4.2026"}, 400, "InvalidDate.Malformed", id="malformed"),
        pytest.param({**DAYS, "StartTime": "2026-03-01"}, 400, "InvalidStartTime.Malformed", id="too-old"),
        pytest.param(
            {"StartTime": "2026-04-10", "EndTime": "2026-04-21"}, 400, "InvalidBetweenTime.Malformed", id="too-long"
        ),
        pytest.param({**DAYS, "TagName": "promo"}, 400, "MissingParameter", id="tag-without-sender"),
        pytest.param({**DAYS, "AccountName": "x@y.z"}, 404, "InvalidMailAddress.NotFound", id="unknown-sender"),
        pytest.param({**DAYS, "Esp": "aol.com"}, 400, "InvalidEsp.Malformed", id="unknown-provider"),
    ],
)
async def test_a_wrong_request_has_its_documented_code(parameters: dict[str, str], status: int, code: str) -> None:
    assert_status, response = await send(made(), **parameters)
    assert (assert_status, response["Code"]) == (status, code)
    assert response["RequestId"]


async def test_an_answer_has_the_documented_form() -> None:
    status, response = await send(made(), **DAYS, AccountName=NEWS)
    (row,) = response["data"]["stat"]
    assert status == 200
    assert (response["PageNo"], response["PageSize"], response["Total"], response["TotalPages"]) == (1, 10, 1, 1)
    assert all(isinstance(value, str) for value in row.values())
    assert int(row["TotalNumber"]) == Traffic().counts(TUESDAY, NOW, sender=NEWS).emails


async def test_calls_beyond_the_limit_are_throttled() -> None:
    simulator = made(behaviour=Behaviour(calls_per_minute=1))
    assert (await send(simulator, **DAYS))[0] == 200
    status, response = await send(simulator, **DAYS)
    assert (status, response["Code"]) == (400, "Throttling.User")


@pytest.mark.parametrize(
    ("rate_format", "like"), [("31.42", r"^\d+\.\d\d$"), ("31.42%", r"^\d+\.\d\d%$"), ("0.3142", r"^[01]\.\d{4}$")]
)
async def test_rates_come_in_the_unit_that_was_chosen(rate_format: str, like: str) -> None:
    _, response = await send(made(behaviour=Behaviour(rate_format=rate_format)), **DAYS)
    assert re.match(like, response["data"]["stat"][0]["RcptOpenRate"])


@pytest.mark.parametrize(
    ("action", "path", "count"),
    [
        ("QueryMailAddressByParam", ("data", "mailAddress"), 3),
        ("QueryTagByParam", ("data", "tag"), 6),
        ("ConfigSetList", ("ConfigSets",), 2),
        ("DedicatedIpList", ("Ips",), 2),
        ("DedicatedIpPoolList", ("IpPools",), 2),
    ],
)
async def test_sibling_operations_list_what_the_account_has(action: str, path: tuple[str, ...], count: int) -> None:
    _, response = await send(made(), action)
    found: Any = response
    for step in path:
        found = found[step]
    assert len(found) == count


async def test_our_own_client_reads_all_pages_of_hourly_rows() -> None:
    class Keys:
        async def get(self) -> Credentials:
            return Credentials(KEY_ID, SECRET)

        def rejected(self) -> None:
            raise AssertionError

    clock = ScriptedClock(NOW, skip_sleeps=True)
    simulator = Simulator(clock=clock, behaviour=Behaviour(rows="hour", largest_page=5))
    async with simulator.listen() as url, open_session() as session:
        client = Client(
            session, url, Keys(), Limiters(60, clock), clock, timeout=5, page_size=100, observe=lambda *seen: None
        )
        response = await client.read(ENGAGEMENT, Filters(account_name=NOTIFY), TUESDAY)
        with pytest.raises(DirectMailError, match=r"InvalidMailAddress\.NotFound"):
            await client.read(ENGAGEMENT, Filters(account_name="nobody@example.com"), TUESDAY)
    assert response.pages == 5
    assert response.totals == Traffic().counts(TUESDAY, NOW, sender=NOTIFY)
