"""The delivery operation on the wire, and what both statistics do with filters and quotas."""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from typing import Any

import pytest

from exporter.directmail.client import Client, Result
from exporter.directmail.credentials import Credentials
from exporter.directmail.errors import DirectMailError, ParseError
from exporter.directmail.limiter import Limiters
from exporter.directmail.model import Filters
from exporter.directmail.statistics.delivery import DELIVERY as DELIVERY_ROW
from exporter.directmail.statistics.engagement import ENGAGEMENT
from exporter.directmail.statistics.statistic import Statistic
from exporter.directmail.transport import open_session
from exporter.simulator.account import PROVIDERS
from exporter.simulator.behaviour import Behaviour
from exporter.simulator.faults import Fault
from exporter.simulator.server import KEY_ID, SECRET, Simulator
from exporter.simulator.traffic import Traffic
from tests.support.clock import ScriptedClock
from tests.support.signed import Reply, send

DELIVERY, TRACK = "SenderStatisticsByTagNameAndBatchID", "GetTrackList"
NOW = datetime(2026, 4, 24, 4, tzinfo=UTC).timestamp()
TUESDAY = date(2026, 4, 21)
DAYS = {"StartTime": "2026-04-21", "EndTime": "2026-04-21"}
NEWS, NOTIFY = "news@mail.example.com", "no-reply@notify.example.com"
COUNTS = ("requestCount", "successCount", "faildCount", "unavailableCount")


def made(**options: Any) -> Simulator:
    return Simulator(clock=ScriptedClock(NOW), **options)


@pytest.fixture
async def api() -> AsyncIterator[Simulator]:
    simulator = made()
    async with simulator.listen():
        yield simulator


async def rows(simulator: Simulator, action: str = DELIVERY, **parameters: str) -> list[dict[str, str]]:
    """Return the rows of the response about Tuesday."""
    found: list[dict[str, str]] = (await send(simulator, {**DAYS, **parameters}, action=action)).document["data"][
        "stat"
    ]
    return found


async def mails(simulator: Simulator, action: str, **parameters: str) -> int:
    """Return the mails that a response counts."""
    name = "requestCount" if action == DELIVERY else "TotalNumber"
    return sum(int(row[name]) for row in await rows(simulator, action, **parameters))


async def test_an_answer_has_the_form_of_the_official_sdk(api: Simulator) -> None:
    document = (await send(api, {**DAYS, "AccountName": NEWS}, action=DELIVERY)).document
    (row,) = document["data"]["stat"]
    assert document.keys() == {"RequestId", "TotalCount", "data"}
    assert document["TotalCount"] == 1
    assert row.keys() == {"CreateTime", *COUNTS, "succeededPercent", "unavailablePercent"}
    assert row["CreateTime"] == "2026-04-21"
    truth = api.traffic.delivery(TUESDAY, NOW, sender=NEWS)
    assert tuple(row[name] for name in COUNTS) == tuple(map(str, truth))
    assert row["succeededPercent"] == f"{100 * truth.delivered / truth.requested:.2f}%"
    assert row["unavailablePercent"] == f"{100 * truth.invalid / truth.requested:.2f}%"


@pytest.mark.parametrize(
    ("kind", "created"),
    [
        pytest.param("day", [f"2026-04-{day}" for day in range(15, 22)], id="day"),
        pytest.param("hour", [f"2026-04-{day}" for day in range(15, 22)], id="hour-is-engagements-alone"),
        pytest.param("sum", ["2026-04-15"], id="sum"),
    ],
)
async def test_a_span_is_a_row_a_day_or_one_sum_and_never_a_page(kind: str, created: list[str]) -> None:
    simulator = made(behaviour=Behaviour(rows=kind, largest_page=2))
    requested = {"StartTime": "2026-04-15", "EndTime": "2026-04-21", "PageSize": "1", "PageNumber": "2"}
    async with simulator.listen():
        document = (await send(simulator, requested, action=DELIVERY)).document
    found = document["data"]["stat"]
    assert [row["CreateTime"] for row in found] == created
    assert document["TotalCount"] == len(created)
    truth = sum(simulator.traffic.delivery(date(2026, 4, day), NOW).requested for day in range(15, 22))
    assert sum(int(row["requestCount"]) for row in found) == truth


@pytest.mark.parametrize("kind", ["day", "sum"])
async def test_without_mail_there_is_no_row(kind: str) -> None:
    simulator = made(behaviour=Behaviour(rows=kind))
    wednesday = {"StartTime": "2026-04-22", "EndTime": "2026-04-22", "AccountName": NEWS}
    async with simulator.listen():
        document = (await send(simulator, wednesday, action=DELIVERY)).document
    assert (document["TotalCount"], document["data"]) == (0, {"stat": []})


@pytest.mark.parametrize(
    ("parameters", "status", "code"),
    [
        pytest.param({"EndTime": "2026-04-21"}, 400, "MissingParameter", id="no-start"),
        pytest.param({**DAYS, "EndTime": ""}, 400, "InvalidDate.NotFound", id="empty-end"),
        pytest.param({**DAYS, "StartTime": "21.4.2026"}, 400, "InvalidDate.Malformed", id="malformed"),
        pytest.param(
            {"StartTime": "2026-01-23", "EndTime": "2026-01-23"}, 400, "InvalidStartTime.Malformed", id="91-days-ago"
        ),
        pytest.param(
            {"StartTime": "2026-03-20", "EndTime": "2026-04-21"}, 400, "InvalidBetweenTime.Malformed", id="32-days"
        ),
        pytest.param({"StartTime": "2026-01-24", "EndTime": "2026-01-24"}, 200, None, id="90-days-ago"),
        pytest.param({"StartTime": "2026-03-21", "EndTime": "2026-04-21"}, 200, None, id="31-days"),
        pytest.param({**DAYS, "TagName": "promo"}, 400, "MissingParameter", id="tag-without-sender"),
        pytest.param({**DAYS, "AccountName": "x@y.z"}, 404, "InvalidMailAddress.NotFound", id="unknown-sender"),
        pytest.param({**DAYS, "Esp": "aol.com"}, 400, "InvalidEsp.Malformed", id="unknown-provider"),
        pytest.param({**DAYS, "Esp": "Others"}, 200, None, id="provider-as-the-sdk-writes-it"),
    ],
)
async def test_a_wrong_request_has_the_code_of_the_other_statistic(
    api: Simulator, parameters: dict[str, str], status: int, code: str | None
) -> None:
    reply = await send(api, parameters, action=DELIVERY)
    assert (reply.status, reply.document.get("Code")) == (status, code)


@pytest.mark.parametrize(
    ("start", "end", "code"),
    [
        pytest.param("2026-03-26", "2026-03-26", None, id="29-days-ago"),
        pytest.param("2026-03-25", "2026-03-25", "InvalidStartTime.Malformed", id="30-days-to-the-second"),
        pytest.param("2026-04-13", "2026-04-21", "InvalidBetweenTime.Malformed", id="8-days"),
    ],
)
async def test_strict_dates_are_those_of_the_operations_page(start: str, end: str, code: str | None) -> None:
    simulator = made(behaviour=Behaviour(strict_span=True))
    async with simulator.listen():
        reply = await send(simulator, {"StartTime": start, "EndTime": end}, action=DELIVERY)
    assert reply.document.get("Code") == code


async def test_an_unknown_parameter_is_ignored(api: Simulator) -> None:
    assert await rows(api, ConfigSetId="set-system") == await rows(api)
    assert await rows(api, TRACK, ConfigSetId="set-system") != await rows(api, TRACK)


@pytest.mark.parametrize("action", [DELIVERY, TRACK])
async def test_providers_add_up_to_the_whole(api: Simulator, action: str) -> None:
    parts = [await mails(api, action, AccountName=NEWS, Esp=esp) for esp in PROVIDERS]
    assert sum(parts) == await mails(api, action, AccountName=NEWS)
    assert all(parts)


@pytest.mark.parametrize("action", [DELIVERY, TRACK])
async def test_a_domain_is_the_sum_of_its_senders_and_matches_exactly(api: Simulator, action: str) -> None:
    senders = ("news@mail.example.com", "product@mail.example.com")
    by_sender = [await mails(api, action, AccountName=sender) for sender in senders]
    assert await mails(api, action, Domain="mail.example.com") == sum(by_sender)
    assert await mails(api, action, Domain="mail.example.com", AccountName=NEWS) == by_sender[0]
    assert await mails(api, action, Domain="notify.example.com", AccountName=NEWS) == 0
    assert await mails(api, action, Domain="example.com") == 0


@pytest.mark.parametrize("action", [DELIVERY, TRACK])
@pytest.mark.parametrize("mode", ["ignored", "subdomains"])
async def test_the_doubts_about_the_domain_filter_are_a_switch(mode: str, action: str) -> None:
    simulator = made(behaviour=Behaviour(domain_filter=mode))
    async with simulator.listen():
        whole = await mails(simulator, action)
        assert await mails(simulator, action, Domain="example.com") == whole
        part = await mails(simulator, action, Domain="mail.example.com")
        unknown = await mails(simulator, action, Domain="example.org")
    assert (part == whole, unknown) == ((True, whole) if mode == "ignored" else (False, 0))


FILTERS = {"Esp": "gmail.com", "DedicatedIp": "192.0.2.10", "DedicatedIpPoolId": "pool-system"}


@pytest.mark.parametrize("action", [DELIVERY, TRACK])
@pytest.mark.parametrize("name", FILTERS)
async def test_an_account_without_dedicated_ips_cannot_use_their_filters(name: str, action: str) -> None:
    found: dict[str, Any] = {}
    for mode in ("error", "empty", "whole"):
        simulator = made(behaviour=Behaviour(no_dedicated_ips=mode))
        async with simulator.listen():
            reply = await send(simulator, {**DAYS, name: FILTERS[name]}, action=action)
            found[mode] = reply.document.get("Code") or reply.document["data"]["stat"]
            whole = await rows(simulator, action)
            assert await mails(simulator, action, AccountName=NOTIFY, TagName="receipt") > 0
        if mode == "error":
            assert (reply.status, name in reply.document["Message"]) == (400, True)
    assert found == {"error": "InvalidParameter", "empty": [], "whole": whole}


async def test_an_account_without_dedicated_ips_lists_none() -> None:
    simulator = made(behaviour=Behaviour(no_dedicated_ips="empty"))
    async with simulator.listen():
        assert (await send(simulator, action="DedicatedIpList")).document["Ips"] == []
        assert (await send(simulator, action="DedicatedIpPoolList")).document["IpPools"] == []
        assert len((await send(simulator, action="ConfigSetList")).document["ConfigSets"]) == 2


async def test_each_operation_has_a_quota_of_its_own() -> None:
    simulator = made(behaviour=Behaviour(calls_per_minute=2))
    async with simulator.listen():
        codes = [
            (await send(simulator, DAYS, action=action)).document.get("Code")
            for action in (TRACK, TRACK, TRACK, DELIVERY, DELIVERY, DELIVERY, "QueryTagByParam", "Mystery", "Enigma")
        ]
    throttled = "Throttling.User"
    assert codes == [None, None, throttled, None, None, throttled, None, *["InvalidAction.NotFound"] * 2]


async def test_the_account_summary_has_ten_calls_a_minute_however_many_the_others_have() -> None:
    simulator = made(behaviour=Behaviour(calls_per_minute=1000, retry_after=True))
    async with simulator.listen():
        replies = [await send(simulator, action="DescAccountSummary") for _ in range(11)]
        assert [reply.status for reply in replies] == [200] * 10 + [400]
        assert replies[-1].headers["x-acs-retry-after"] == "60000"
        simulator.clock.jump(monotonic=61)  # type: ignore[attr-defined]
        assert (await send(simulator, action="DescAccountSummary")).status == 200


async def corrupted(fault: str, action: str = DELIVERY, **parameters: str) -> Reply:
    simulator = made(faults=[Fault(fault, times=1, action=action)])
    async with simulator.listen():
        reply = await send(simulator, {**DAYS, **parameters}, action=action)
        assert (await send(simulator, {**DAYS, **parameters}, action=action)).status == 200
    assert [seen.outcome for seen in simulator.requests] == [fault, "OK"]
    return reply


async def test_each_fault_corrupts_good_responses_in_its_way() -> None:
    assert "data" not in (await corrupted("no_data")).document
    assert (await corrupted("stat_null")).document["data"] == {"stat": None}
    assert (await corrupted("empty")).document["data"] == {"stat": []}
    assert (await corrupted("negative")).document["data"]["stat"][0]["faildCount"] == "-5"
    assert (await corrupted("non_numeric")).document["data"]["stat"][0]["faildCount"] == "many"
    exponents = (await corrupted("exponents")).document["data"]["stat"][0]
    truth = Traffic().delivery(TUESDAY, NOW)
    assert all("E+" in exponents[name] for name in COUNTS)
    assert tuple(int(float(exponents[name])) for name in COUNTS) == truth
    assert (await corrupted("echo")).document["data"]["stat"][0]["faildCount"] == KEY_ID
    many = (await corrupted("many_rows")).document["data"]["stat"]
    assert (len(many), many[0]["requestCount"]) == (15_000, str(truth.requested))
    wrong = (await corrupted("wrong_rates")).document["data"]["stat"][0]
    assert (wrong["succeededPercent"], wrong["unavailablePercent"]) == ("271.83%", "314.16%")


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        pytest.param("throttle", 400, "Throttling.User", id="throttle"),
        pytest.param("error", 500, "InternalError", id="error"),
        pytest.param("invalid_key", 404, "InvalidAccessKeyId.NotFound", id="key"),
    ],
)
async def test_a_fault_that_rejects_has_its_code(fault: str, status: int, code: str) -> None:
    reply = await corrupted(fault)
    assert (reply.status, reply.document["Code"]) == (status, code)


async def test_a_missing_permission_names_the_operation_that_was_called() -> None:
    assert (await corrupted("forbidden")).document["AccessDeniedDetail"]["AuthAction"] == f"dm:{DELIVERY}"


async def test_a_fault_can_be_one_domains_alone() -> None:
    simulator = made(faults=[Fault("error", where={"Domain": "mail.example.com"})])
    async with simulator.listen():
        statuses = [
            (await send(simulator, {**DAYS, "Domain": domain}, action=DELIVERY)).status
            for domain in ("mail.example.com", "notify.example.com")
        ]
    assert statuses == [500, 200]


class Keys:
    expires_at = None

    async def get(self) -> Credentials:
        return Credentials(KEY_ID, SECRET)

    def rejected(self) -> None:
        raise AssertionError


async def read(simulator: Simulator, statistic: Statistic, **filters: str) -> Result:
    """Return what our own client makes of the response about Tuesday."""
    clock = ScriptedClock(NOW, skip_sleeps=True)
    async with simulator.listen() as url, open_session() as session:
        client = Client(
            *(session, url, Keys(), Limiters(60, clock), clock), timeout=5, page_size=100, observe=lambda *seen: None
        )
        return await client.read(statistic, Filters(**filters), TUESDAY)


OURS = {
    "nothing": ({}, {}),
    "sender": ({"account_name": NEWS}, {"sender": NEWS}),
    "tag": ({"account_name": NOTIFY, "tag_name": "receipt"}, {"sender": NOTIFY, "tag": "receipt"}),
    "domain": ({"domain": "mail.example.com"}, {"domain": "mail.example.com"}),
    "provider": ({"esp": "gmail.com"}, {"esp": "gmail.com"}),
    "ip": ({"dedicated_ip": "192.0.2.10"}, {"dedicated_ip": "192.0.2.10"}),
    "pool": ({"dedicated_ip_pool_id": "pool-system"}, {"dedicated_ip_pool_id": "pool-system"}),
}


@pytest.mark.parametrize("behaviour", [Behaviour(), Behaviour(rows="sum", largest_page=1)], ids=["row-a-day", "sum"])
@pytest.mark.parametrize(("filters", "ours"), OURS.values(), ids=OURS)
async def test_our_own_client_gets_the_right_counts(
    behaviour: Behaviour, filters: dict[str, str], ours: dict[str, str]
) -> None:
    response = await read(made(behaviour=behaviour), DELIVERY_ROW, **filters)
    assert response.totals == tuple(Traffic().delivery(TUESDAY, NOW, **ours))
    assert (response.rates, response.pages) == ((), 1)
    assert response.totals[0] > 0


async def test_our_own_client_reads_both_statistics_of_the_same_mail() -> None:
    simulator = made()
    requested, delivered, *_ = (await read(simulator, DELIVERY_ROW, account_name=NEWS)).totals
    emails, opens, *_ = (await read(simulator, ENGAGEMENT, account_name=NEWS)).totals
    assert requested >= delivered >= emails > opens > 0
    assert Counter(seen.action for seen in simulator.requests) == {DELIVERY: 1, TRACK: 1}


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        pytest.param("negative", "faildCount is not a count: '-5'", id="negative"),
        pytest.param("non_numeric", "faildCount is not a count: 'many'", id="not-a-number"),
        pytest.param("no_data", "no data.stat", id="no-data"),
        pytest.param("stat_null", "no data.stat", id="no-rows"),
        pytest.param("empty", "has 0 of 1 rows", id="fewer-rows-than-announced"),
    ],
)
async def test_what_our_own_client_rejects_names_what_and_the_request(fault: str, text: str) -> None:
    simulator = made(faults=[Fault(fault, action=DELIVERY)])
    with pytest.raises(ParseError) as caught:
        await read(simulator, DELIVERY_ROW, account_name=NEWS)
    assert text in str(caught.value)
    assert len(caught.value.request_id) == 36


@pytest.mark.parametrize("fault", ["echo", "many_rows", "truncate", "http_429", "error"])
async def test_a_fault_of_the_other_statistic_is_none_of_this_one(fault: str) -> None:
    simulator = made(faults=[Fault(fault, action=DELIVERY)])
    with pytest.raises(DirectMailError):
        await read(simulator, DELIVERY_ROW)
    assert (await read(simulator, ENGAGEMENT)).totals == tuple(Traffic().counts(TUESDAY, NOW))


@pytest.mark.parametrize("fault", ["wrong_rates", "exponents"])
async def test_odd_percents_and_odd_numbers_change_nothing_for_our_own_client(fault: str) -> None:
    simulator = made(faults=[Fault(fault, action=DELIVERY)])
    assert (await read(simulator, DELIVERY_ROW)).totals == tuple(Traffic().delivery(TUESDAY, NOW))


@pytest.mark.parametrize(
    "action",
    [
        *("SenderStatisticsDetailByParam", "ListBlockSending", "QueryInvalidAddress", "ListUserSuppression"),
        *("ValidateEmail", "SendMail"),
    ],
)
async def test_no_operation_shows_recipients_or_costs_money(api: Simulator, action: str) -> None:
    assert (await send(api, DAYS, action=action)).document["Code"] == "InvalidAction.NotFound"
