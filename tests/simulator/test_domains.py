"""The sender domains: what is verified, when they were made, and what a lost record does to their mail."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from exporter.simulator import incidents
from exporter.simulator.behaviour import Behaviour
from exporter.simulator.faults import Fault
from exporter.simulator.server import Simulator
from exporter.simulator.traffic import Traffic
from tests.support.clock import ScriptedClock
from tests.support.signed import send

NOW = datetime(2026, 4, 24, 4, tzinfo=UTC).timestamp()
NEWS, NOTIFY, PRODUCT = "news@mail.example.com", "no-reply@notify.example.com", "product@mail.example.com"
MAIL, NOTICES = "mail.example.com", "notify.example.com"
STATUSES = ("DomainStatus", "CnameAuthStatus", "MxAuthStatus", "SpfAuthStatus", "ConfirmStatus")


def made(*texts: str, **options: Any) -> Simulator:
    planned = [incidents.parse(text, NOW) for text in texts]
    return Simulator(Traffic(incidents=planned), clock=ScriptedClock(NOW), **options)


async def requested(simulator: Simulator, action: str, parameters: Mapping[str, str] | None = None) -> dict[str, Any]:
    async with simulator.listen():
        return (await send(simulator, parameters, action=action)).document


async def domains(simulator: Simulator, **parameters: str) -> dict[str, dict[str, Any]]:
    document = await requested(simulator, "QueryDomainByParam", parameters)
    return {item["DomainName"]: item for item in document["data"]["domain"]}


async def described(simulator: Simulator, domain: str) -> dict[str, Any]:
    return await requested(simulator, "DescDomain", {"DomainId": (await domains(simulator))[domain]["DomainId"]})


async def test_every_domain_of_a_healthy_account_is_verified() -> None:
    document = await requested(made(), "QueryDomainByParam")
    found = document["data"]["domain"]
    assert [item["DomainName"] for item in found] == [MAIL, NOTICES]
    assert (document["PageNumber"], document["PageSize"], document["TotalCount"]) == (1, 10, 2)
    assert {item[name] for item in found for name in STATUSES} == {"0"}
    assert {item["IcpStatus"] for item in found} == {"1"}, "where 1 is well"
    assert len({item["DomainId"] for item in found}) == 2


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        pytest.param({"KeyWord": "notify"}, [NOTICES], id="word"),
        pytest.param({"PageNo": "2", "PageSize": "1"}, [NOTICES], id="second-page"),
        pytest.param({"Status": "1"}, [NOTICES], id="not-verified"),
        pytest.param({"Status": "0"}, [MAIL], id="verified"),
    ],
)
async def test_the_list_has_filters_and_pages(parameters: dict[str, str], found: list[str]) -> None:
    simulator = made()
    simulator.inventory.unverified = {NOTICES: frozenset({"ownership"})}
    assert list(await domains(simulator, **parameters)) == found


@pytest.mark.parametrize(
    ("clock_text", "ahead"), [pytest.param("utc", 0, id="utc"), pytest.param("china", 8, id="china-with-a-z")]
)
async def test_a_creation_time_is_given_as_text_and_as_seconds(clock_text: str, ahead: int) -> None:
    for item in (await domains(made(behaviour=Behaviour(clock_text=clock_text)))).values():
        text = datetime.strptime(item["CreateTime"], "%Y-%m-%dT%H:%MZ").replace(tzinfo=UTC)
        true = datetime.fromtimestamp(item["UtcCreateTime"], UTC)
        assert timedelta() <= true + timedelta(hours=ahead) - text < timedelta(minutes=1)
        assert true.timestamp() < NOW


@pytest.mark.parametrize(
    ("clock_text", "created"),
    [pytest.param("utc", "2026-04-20T16:00Z", id="utc"), pytest.param("china", "2026-04-21T00:00Z", id="china")],
)
async def test_rows_of_opens_write_their_time_with_the_same_clock(clock_text: str, created: str) -> None:
    days = {"StartTime": "2026-04-21", "EndTime": "2026-04-21"}
    document = await requested(made(behaviour=Behaviour(clock_text=clock_text)), "GetTrackList", days)
    assert [row["CreateTime"] for row in document["data"]["stat"]] == [created]


async def test_a_description_adds_what_the_list_lacks() -> None:
    simulator = made()
    listed, found = (await domains(simulator))[MAIL], await described(simulator, MAIL)
    shared = found.keys() & listed.keys()
    assert {name: found[name] for name in shared} == {name: listed[name] for name in shared}
    assert {*STATUSES, "CreateTime", "DomainId"} - shared == {"ConfirmStatus"}
    assert (found["DkimAuthStatus"], found["DmarcAuthStatus"]) == ("0", 0)
    assert found["TlDomainName"] == "example.com"


@pytest.mark.parametrize(
    ("check", "field"),
    [
        pytest.param("ownership", "DomainStatus", id="ownership"),
        pytest.param("spf", "SpfAuthStatus", id="spf"),
        pytest.param("mx", "MxAuthStatus", id="mx"),
        pytest.param("cname", "CnameAuthStatus", id="cname"),
        pytest.param("dkim", "DkimAuthStatus", id="dkim"),
        pytest.param("dmarc", "DmarcAuthStatus", id="dmarc"),
    ],
)
async def test_a_check_that_fails_is_a_one_in_its_field_and_in_no_other(check: str, field: str) -> None:
    simulator = made()
    simulator.inventory.unverified = {MAIL: frozenset({check})}
    found = await described(simulator, MAIL)
    failing = {name for name, value in found.items() if name.endswith("Status") and str(value) == "1"}
    assert failing - {"IcpStatus"} == {field}
    assert (await described(simulator, NOTICES))[field] in ("0", 0)
    listed = (await domains(simulator))[MAIL]
    assert listed["ConfirmStatus"] == ("1" if check == "ownership" else "0")


@pytest.mark.parametrize(
    ("parameters", "status", "code"),
    [
        pytest.param({}, 400, "MissingParameter", id="no-id"),
        pytest.param({"DomainId": "1"}, 404, "InvalidDomain.NotFound", id="unknown-id"),
    ],
)
async def test_a_wrong_id_is_rejected(parameters: dict[str, str], status: int, code: str) -> None:
    simulator = made()
    async with simulator.listen():
        reply = await send(simulator, parameters, action="DescDomain")
    assert (reply.status, reply.document["Code"]) == (status, code)


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        pytest.param("cname_lost", {MAIL}, id="usual"),
        pytest.param("cname_lost:domain=notify.example.com", {NOTICES}, id="another-domain"),
        pytest.param(f"cname_lost:sender={NOTIFY}", {NOTICES}, id="a-senders-domain"),
        pytest.param("cname_lost:domain=", {MAIL, NOTICES}, id="all-domains"),
        pytest.param("cname_lost:start=+1m", set(), id="not-yet"),
    ],
)
async def test_a_lost_cname_shows_at_its_domain(text: str, lost: set[str]) -> None:
    found = await domains(made(text))
    assert {name for name, item in found.items() if item["CnameAuthStatus"] == "1"} == lost
    assert {item["DomainStatus"] for item in found.values()} == {"0"}


def test_a_lost_cname_kills_the_links_of_every_sender_of_its_domain() -> None:
    lost = Traffic(incidents=[incidents.parse("cname_lost:start=-5d,for=9d", NOW)])
    for sender, is_hit in ((NEWS, True), (PRODUCT, True), (NOTIFY, False)):
        quiet, hit = (each.counts(date(2026, 4, 21), NOW, sender=sender) for each in (Traffic(), lost))
        assert hit.emails == quiet.emails
        assert (hit.opens, hit.clicks) == ((0, 0) if is_hit else (quiet.opens, quiet.clicks))


async def test_faults_spoil_lists_and_descriptions() -> None:
    assert "data" not in await requested(made(faults=[Fault("no_data")]), "QueryDomainByParam")
    assert (await requested(made(faults=[Fault("stat_null")]), "QueryDomainByParam"))["data"] == {"domain": None}
    corrupted = made(faults=[Fault("non_numeric")])
    assert {item["CnameAuthStatus"] for item in (await domains(corrupted)).values()} == {"many", "0"}
    assert (await described(corrupted, MAIL))["DkimAuthStatus"] == "many"
    emptied = made(faults=[Fault("no_data", action="DescDomain")])
    assert (await described(emptied, MAIL)).keys() == {"RequestId"}
