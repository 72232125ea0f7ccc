"""Incidents and faults as they are written, and what they do to the API."""

import re
from collections import Counter
from typing import Any

import pytest

from exporter.simulator import faults, incidents
from exporter.simulator.behaviour import Behaviour
from exporter.simulator.faults import Fault
from exporter.simulator.incidents import Incident
from exporter.simulator.server import Simulator
from exporter.simulator.traffic import Traffic
from tests.support.clock import ScriptedClock
from tests.support.signed import send

NOW = 1_777_000_000.0
HOUR, DAY = 3600, 86_400
NEWS, NOTIFY = "news@mail.example.com", "no-reply@notify.example.com"
DAYS = {"StartTime": "2026-04-21", "EndTime": "2026-04-21"}


@pytest.mark.parametrize("name", incidents.NAMES)
def test_every_incident_begins_now_with_sensible_defaults(name: str) -> None:
    incident = incidents.parse(name, NOW)
    assert incident.start == NOW
    assert incident.end >= NOW + 8 * HOUR
    Traffic(incidents=[incident])


@pytest.mark.parametrize(
    ("text", "incident"),
    [
        pytest.param(
            "esp_spam:sender=news@mail.example.com,esp=Yahoo.com,start=+2h,for=12h,factor=0.2",
            Incident("esp_spam", NOW + 2 * HOUR, NOW + 14 * HOUR, NEWS, "", "yahoo.com", 0.2),
            id="every-key",
        ),
        pytest.param(
            "runaway:sender=product@mail.example.com",
            Incident("runaway", NOW, NOW + DAY, "product@mail.example.com", "", "", 20.0),
            id="a-sender-of-ones-own-drops-the-usual-tag",
        ),
        pytest.param(
            "esp_spam:tag=promo", Incident("esp_spam", NOW, NOW + DAY, "", "promo", "gmail.com", 0.15), id="a-tag-alone"
        ),
        pytest.param(
            "sender_stopped:sender=,start=-3d,for=30m",
            Incident("sender_stopped", NOW - 3 * DAY, NOW - 3 * DAY + 1800, factor=0.0),
            id="all-senders",
        ),
        pytest.param(
            "frozen:start=2026-04-24T13:06:40+08:00,for=2h",
            Incident("frozen", NOW + 2 * HOUR, NOW + 4 * HOUR),
            id="a-moment",
        ),
        pytest.param("frozen:start=-6h,for=2h,start=-1h", Incident("frozen", NOW - HOUR, NOW + HOUR), id="given-twice"),
        pytest.param(
            "cname_lost", Incident("cname_lost", NOW, NOW + DAY, domain="mail.example.com"), id="a-domain-as-usual"
        ),
        pytest.param(
            "bounce_spike:domain=notify.example.com,tag=receipt",
            Incident("bounce_spike", NOW, NOW + DAY, "", "receipt", "", 0.7, "notify.example.com"),
            id="a-domain-of-ones-own-drops-the-usual-sender",
        ),
        pytest.param("api_slow:factor=30", Incident("api_slow", NOW, NOW + DAY, factor=30.0), id="seconds-of-delay"),
    ],
)
def test_the_given_options_are_used(text: str, incident: Incident) -> None:
    assert incidents.parse(text, NOW) == incident


@pytest.mark.parametrize(
    ("text", "reported"),
    [
        pytest.param("esp_spm", "unknown incident 'esp_spm'; write one of esp_spam, ", id="name"),
        pytest.param("", "unknown incident ''; write one of", id="nothing"),
        pytest.param("esp_spam:colour=red", "'colour' is not a key of an incident; write one of sender, tag", id="key"),
        pytest.param(
            "cname_lost:domain=example.com",
            "'example.com' is not a domain of the demo account; write one of mail.example.com, notify.example.com",
            id="domain",
        ),
        pytest.param(
            f"cname_lost:domain=mail.example.com,sender={NOTIFY}",
            f"'mail.example.com' is not a domain of {NOTIFY}; write one of notify.example.com",
            id="not-its-domain",
        ),
        pytest.param(
            "runaway:domain=mail.example.com,tag=receipt",
            "'receipt' is not a tag of mail.example.com; write one of weekly-newsletter, promo, onboarding",
            id="not-the-domains-tag",
        ),
        pytest.param("esp_spam:esp=gmial.com", "'gmial.com' is not a provider; write one of gmail.com", id="provider"),
        pytest.param("esp_spam:sender=a@b.c", "'a@b.c' is not a sender of the demo account; write one of", id="sender"),
        pytest.param(
            f"esp_spam:sender={NEWS},tag=receipt", f"'receipt' is not a tag of {NEWS}; write", id="not-its-tag"
        ),
        pytest.param("runaway:tag=invoice", "'invoice' is not a tag of the demo account; write", id="tag"),
        pytest.param("frozen:start=soon", "'soon' is not a time; write one such as 30m", id="start"),
        pytest.param("frozen:start=2026-04-24T11:06:40", "'2026-04-24T11:06:40' has no time zone", id="no-zone"),
        pytest.param("frozen:for=-2h", "'-2h' is not a duration", id="negative-length"),
        pytest.param("runaway:factor=many", "'many' is not a factor; write a number from 0 to 1000", id="factor"),
        pytest.param("runaway:factor=nan", "'nan' is not a factor", id="not-a-number"),
        pytest.param("runaway:factor=-1", "'-1' is not a factor", id="negative"),
        pytest.param("api_5xx:factor=2", "'2' is not a factor; write a number from 0 to 1 ", id="no-probability"),
    ],
)
def test_a_mistake_in_an_incident_names_the_choices(text: str, reported: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(reported)}"):
        incidents.parse(text, NOW)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        pytest.param("throttle", Fault("throttle"), id="always"),
        pytest.param("throttle:0.1", Fault("throttle", 0.1), id="sometimes"),
        pytest.param(
            "hang,times=3,after=2,AccountName=a@b.c,PageNumber=2",
            Fault("hang", times=3, after=2, where={"AccountName": "a@b.c", "PageNumber": "2"}),
            id="where-and-how-often",
        ),
        pytest.param("error:1,action=GetTrackList", Fault("error", action="GetTrackList"), id="only-of-one-operation"),
        pytest.param("slow,seconds=0.5", Fault("slow", seconds=0.5), id="slow"),
        pytest.param(
            "throttle_retry_after,retry_after=9000", Fault("throttle_retry_after", retry_after=9000), id="wait"
        ),
        pytest.param("api_down", Fault("reset"), id="by-its-incident-name"),
    ],
)
def test_faults_are_read_as_written(text: str, fault: Fault) -> None:
    assert faults.parse(text) == fault


@pytest.mark.parametrize(
    ("text", "reported"),
    [
        pytest.param("gremlins", "'gremlins' is not a fault; write one of throttle, ", id="name"),
        pytest.param("throttle:often", "'often' in 'throttle:often' is not a number", id="probability"),
        pytest.param("throttle:1.5", "1.5 is not a probability; write a number from 0 to 1", id="more-than-certain"),
        pytest.param("throttle:nan", "'nan' in 'throttle:nan' is not a number", id="not-a-number"),
        pytest.param("hang,tims=3", "'tims' is not a key of a fault; write one of times, after", id="key"),
        pytest.param("hang,times=few", "'few' in 'hang,times=few' is not a number", id="times"),
        pytest.param("slow,seconds=-1", "'-1' in 'slow,seconds=-1' is not a number", id="negative"),
    ],
)
def test_a_mistake_in_a_fault_names_the_choices(text: str, reported: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(reported)}"):
        faults.parse(text)


@pytest.mark.parametrize(
    ("options", "reported"),
    [
        pytest.param({"rows": "week"}, "'week' is not a value of rows; write one of day, hour, sum", id="rows"),
        pytest.param({"rate_format": "31"}, "write one of 31.42, 31.42%, 0.3142", id="rate-format"),
        pytest.param({"domain_filter": "no"}, "write one of exact, ignored, subdomains", id="domain-filter"),
        pytest.param({"no_dedicated_ips": "no"}, "write one of error, empty, whole", id="no-dedicated-ips"),
        pytest.param({"clock_text": "z"}, "write one of utc, china", id="clock-text"),
        pytest.param({"user_status": "bit"}, "write one of codes, bits", id="user-status"),
        pytest.param({"sender_counts": "all"}, "write one of used, limit", id="sender-counts"),
    ],
)
def test_a_mistake_in_a_switch_names_the_choices(options: dict[str, Any], reported: str) -> None:
    with pytest.raises(ValueError, match=reported):
        Behaviour(**options)


@pytest.mark.parametrize(
    ("text", "status", "code"),
    [
        pytest.param("api_throttle:factor=1", 400, "Throttling.User", id="throttle"),
        pytest.param("api_5xx:factor=1", 500, "InternalError", id="5xx"),
        pytest.param("key_revoked", 404, "InvalidAccessKeyId.NotFound", id="key-revoked"),
        pytest.param("ram_denied", 403, "Forbidden.RAM", id="ram-denied"),
    ],
)
async def test_an_incident_of_the_api_lasts_as_long_as_configured(text: str, status: int, code: str) -> None:
    clock = ScriptedClock(NOW)
    separator = "," if ":" in text else ":"
    planned = incidents.parse(f"{text}{separator}start=+1h,for=1h", NOW)
    simulator = Simulator(Traffic(incidents=[planned]), clock=clock)
    async with simulator.listen():
        seen = []
        for _ in range(3):
            reply = await send(simulator, DAYS)
            seen.append((reply.status, reply.document.get("Code")))
            clock.jump(wall=HOUR)
    assert seen == [(200, None), (status, code), (200, None)]


async def test_an_incident_of_the_api_can_be_one_senders_alone() -> None:
    planned = incidents.parse(f"api_5xx:factor=1,sender={NEWS}", NOW)
    simulator = Simulator(Traffic(incidents=[planned]), clock=ScriptedClock(NOW))
    async with simulator.listen():
        assert (await send(simulator, {**DAYS, "AccountName": NEWS})).status == 500
        assert (await send(simulator, {**DAYS, "AccountName": NOTIFY})).status == 200


async def test_an_incident_of_the_api_can_be_one_domains_alone() -> None:
    planned = incidents.parse("api_5xx:factor=1,domain=mail.example.com", NOW)
    simulator = Simulator(Traffic(incidents=[planned]), clock=ScriptedClock(NOW))
    async with simulator.listen():
        assert (await send(simulator, {**DAYS, "Domain": "mail.example.com"})).status == 500
        assert (await send(simulator, {**DAYS, "Domain": "notify.example.com"})).status == 200


async def test_two_faults_by_chance_both_strike() -> None:
    chances = [Fault("throttle", 0.3), Fault("http_503", 0.3)]
    simulator = Simulator(clock=ScriptedClock(NOW), faults=chances, behaviour=Behaviour(calls_per_minute=1000))
    async with simulator.listen():
        for _ in range(100):
            await send(simulator, action="QueryTagByParam")
    outcomes = Counter(seen.outcome for seen in simulator.requests)
    assert 15 < outcomes["throttle"] < 45
    assert 8 < outcomes["http_503"] < 35
    assert outcomes["OK"] > 25


async def test_a_fault_of_one_operation_spares_the_others() -> None:
    simulator = Simulator(clock=ScriptedClock(NOW), faults=[Fault("error", action="QueryTagByParam")])
    async with simulator.listen():
        assert (await send(simulator, DAYS)).status == 200
        assert (await send(simulator, action="QueryTagByParam")).status == 500
