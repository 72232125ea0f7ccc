"""The official SDK as a client of the simulator: what it accepts is the real form, its errors are the real ones."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any

import pytest
from alibabacloud_dm20151123 import models
from alibabacloud_dm20151123.client import Client
from alibabacloud_dm20151123.models import (
    ConfigSetListRequest,
    DedicatedIpListRequest,
    DedicatedIpPoolListRequest,
    DescDomainRequest,
    GetTrackListRequest,
    QueryDomainByParamRequest,
    QueryMailAddressByParamRequest,
    QueryTagByParamRequest,
    SenderStatisticsByTagNameAndBatchIDRequest,
)
from alibabacloud_tea_openapi.models import Config
from alibabacloud_tea_util.models import RuntimeOptions
from suite_clock import machine_time

from exporter.directmail.listing import OPERATIONS, Listing, page
from exporter.directmail.statistics.registry import STATISTICS
from exporter.simulator.behaviour import Behaviour
from exporter.simulator.domains import id_of
from exporter.simulator.faults import Fault
from exporter.simulator.server import KEY_ID, SECRET, Simulator
from tests.support.clock import ScriptedClock
from tests.support.signed import send

SENDER = "no-reply@notify.example.com"
NOW = datetime(2026, 4, 22, 4, tzinfo=UTC).timestamp()
YESTERDAY = "2026-04-21"


@contextmanager
def serving(simulator: Simulator) -> Iterator[Simulator]:
    """Serve in a thread of its own: the SDK's synchronous calls block their loop."""
    ready, stop = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with simulator.listen():
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert ready.wait(10)
    try:
        yield simulator
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


def made(**options: Any) -> Simulator:
    """Return a simulator whose mail stands still; the SDK dates its requests by the machine's clock."""
    return Simulator(clock=ScriptedClock(NOW), signing_time=machine_time, **options)


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with serving(made(behaviour=Behaviour(rows="hour"))) as served:
        yield served


def client(simulator: Simulator, secret: str = SECRET, **options: str) -> Client:
    endpoint = simulator.url.removeprefix("http://")
    return Client(Config(access_key_id=KEY_ID, access_key_secret=secret, endpoint=endpoint, protocol="http", **options))


def question(**options: Any) -> GetTrackListRequest:
    return GetTrackListRequest(
        start_time=YESTERDAY, end_time=YESTERDAY, account_name=SENDER, page_number="1", page_size="100", **options
    )


def is_true(simulator: Simulator, body: Any, **filters: str) -> bool:
    """Whether the SDK's rows add up to what the simulator says."""
    truth = simulator.traffic.counts(date.fromisoformat(YESTERDAY), NOW, sender=SENDER, **filters)
    emails = sum(int(row.total_number) for row in body.data.stat)
    opens = sum(int(row.rcpt_open_count) for row in body.data.stat)
    return emails == truth.emails > 0 and opens == truth.opens > 0


def test_the_sync_client_gets_the_right_counts(simulator: Simulator) -> None:
    response = client(simulator).get_track_list_with_options(
        question(tag_name="receipt"), RuntimeOptions(autoretry=False)
    )
    assert response.status_code == 200
    assert response.body.total_pages == 1
    assert is_true(simulator, response.body, tag="receipt")


async def test_the_async_client_gets_the_right_counts(simulator: Simulator) -> None:
    response = await client(simulator).get_track_list_with_options_async(
        question(esp="gmail.com"), RuntimeOptions(autoretry=False)
    )
    assert is_true(simulator, response.body, esp="gmail.com")


def test_the_sync_client_gets_the_right_error_for_a_wrong_secret(simulator: Simulator) -> None:
    with pytest.raises(Exception, match="SignatureDoesNotMatch"):
        client(simulator, "wrong").get_track_list_with_options(question(), RuntimeOptions(autoretry=False))


async def test_the_async_client_gets_the_right_error_for_a_wrong_secret(simulator: Simulator) -> None:
    with pytest.raises(Exception, match="SignatureDoesNotMatch"):
        await client(simulator, "wrong").get_track_list_with_options_async(question(), RuntimeOptions(autoretry=False))


ONCE = RuntimeOptions(autoretry=False)


def test_the_sdk_reads_page_after_page(simulator: Simulator) -> None:
    pages = []
    for number in ("1", "2", "3"):
        requested = question()
        requested.page_number, requested.page_size = number, "10"
        pages.append(client(simulator).get_track_list_with_options(requested, ONCE).body)
    assert [len(page.data.stat) for page in pages] == [10, 10, 4]
    assert {(page.page_size, page.total, page.total_pages) for page in pages} == {(10, 24, 3)}


def test_the_sdk_lists_what_the_account_has(simulator: Simulator) -> None:
    requesting = client(simulator)
    senders = requesting.query_mail_address_by_param_with_options(QueryMailAddressByParamRequest(page_no=1), ONCE).body
    assert SENDER in [each.account_name for each in senders.data.mail_address]
    assert senders.total_count == 3
    tags = requesting.query_tag_by_param_with_options(QueryTagByParamRequest(page_no=2, page_size=5), ONCE).body
    assert [each.tag_name for each in tags.data.tag] == ["weekly-newsletter"]
    sets = requesting.config_set_list_with_options(ConfigSetListRequest(all=True, page_size="1"), ONCE).body
    assert (len(sets.config_sets), sets.has_more) == (2, False)
    ips = requesting.dedicated_ip_list_with_options(DedicatedIpListRequest(page_index=1, page_size=1), ONCE).body
    assert (len(ips.ips), ips.has_more, ips.total_counts) == (1, True, 2)
    requested = DedicatedIpPoolListRequest(pool_id="pool-system")
    (pool,) = requesting.dedicated_ip_pool_list_with_options(requested, ONCE).body.ip_pools
    assert (pool.ip_count, pool.ips[0].ip) == (1, "192.0.2.10")


DELIVERY_FILTERS = {
    "sender": {"account_name": SENDER},
    "tag": {"account_name": SENDER, "tag_name": "receipt"},
    "provider": {"esp": "gmail.com"},
    "others": {"esp": "others"},
    "domain": {"domain": "mail.example.com"},
    "ip": {"dedicated_ip": "192.0.2.20"},
    "pool": {"dedicated_ip_pool_id": "pool-system"},
}
NAMES_OF_FILTERS = {"account_name": "sender", "tag_name": "tag"}


@pytest.mark.parametrize("filters", DELIVERY_FILTERS.values(), ids=DELIVERY_FILTERS)
def test_the_sdk_gets_the_right_counts_of_delivery(simulator: Simulator, filters: dict[str, str]) -> None:
    requested = SenderStatisticsByTagNameAndBatchIDRequest(start_time=YESTERDAY, end_time=YESTERDAY, **filters)
    body = client(simulator).sender_statistics_by_tag_name_and_batch_idwith_options(requested, ONCE).body
    assert (body.total_count, len(body.data.stat)) == (1, 1)
    row = body.data.stat[0]
    ours = {NAMES_OF_FILTERS.get(name, name): value for name, value in filters.items()}
    truth = simulator.traffic.delivery(date.fromisoformat(YESTERDAY), NOW, **ours)
    counts = (row.request_count, row.success_count, row.faild_count, row.unavailable_count)
    assert (row.create_time, tuple(map(int, counts))) == (YESTERDAY, truth)
    assert row.succeeded_percent.endswith("%")
    assert row.unavailable_percent.endswith("%")


def test_the_sdk_may_filter_opens_by_domain(simulator: Simulator) -> None:
    requested = GetTrackListRequest(start_time=YESTERDAY, end_time=YESTERDAY, domain="notify.example.com")
    requested.page_size = "100"
    assert is_true(simulator, client(simulator).get_track_list_with_options(requested, ONCE).body)


def test_the_sdk_reads_the_account(simulator: Simulator) -> None:
    found = client(simulator).desc_account_summary_with_options(models.DescAccountSummaryRequest(), ONCE).body
    fields = {name: value for name, value in found.to_map().items() if name != "RequestId"}
    assert fields.keys() == {
        *("DailyQuota", "MonthQuota", "DailyRemainFreeQuota", "RemainFreeQuota", "QuotaLevel", "MaxQuotaLevel"),
        *("UserStatus", "EnableTimes", "IpChannelType", "Domains", "MailAddresses", "Tags", "Templates", "Receivers"),
        *("DayuStatus", "SmsRecord", "SmsSign", "SmsTemplates"),
    }, "every field of the model, so that none is misspelt"
    assert fields.pop("IpChannelType") == "normal"
    assert {type(value) for value in fields.values()} == {int}


def test_the_sdk_reads_what_senders_have_requested(simulator: Simulator) -> None:
    requested = QueryMailAddressByParamRequest(key_word=SENDER)
    (found,) = client(simulator).query_mail_address_by_param_with_options(requested, ONCE).body.data.mail_address
    assert int(found.month_count) >= int(found.daily_count) >= 0
    assert (found.account_status, found.domain_status, found.sendtype) == ("0", "0", "trigger")


def test_the_sdk_reads_domains_and_describes_each(simulator: Simulator) -> None:
    requesting = client(simulator)
    body = requesting.query_domain_by_param_with_options(QueryDomainByParamRequest(page_no=1, page_size=10), ONCE).body
    assert body.total_count == 2
    for listed in body.data.domain:
        requested = DescDomainRequest(domain_id=int(listed.domain_id))
        found = requesting.desc_domain_with_options(requested, ONCE).body
        assert (found.domain_name, found.create_time) == (listed.domain_name, listed.create_time)
        assert (found.dkim_auth_status, found.dmarc_auth_status) == ("0", 0)
        assert type(listed.utc_create_time) is int


@pytest.mark.parametrize(
    ("action", "parameters"),
    [
        pytest.param("SenderStatisticsByTagNameAndBatchID", {}, id="delivery"),
        pytest.param("QueryMailAddressByParam", {}, id="senders"),
        pytest.param("QueryDomainByParam", {}, id="domains"),
        pytest.param("DescDomain", {"DomainId": ""}, id="domain"),
        pytest.param("DescAccountSummary", {}, id="account"),
    ],
)
async def test_a_response_has_only_fields_of_the_sdks_model(action: str, parameters: dict[str, str]) -> None:
    """What the model does not know it drops."""
    days = {"StartTime": "2026-04-21", "EndTime": "2026-04-21"}
    simulator = Simulator(clock=ScriptedClock())
    parameters = {name: id_of("mail.example.com") for name in parameters}
    async with simulator.listen():
        document = (await send(simulator, {**days, **parameters}, action=action)).document
    assert getattr(models, f"{action}ResponseBody")().from_map(document).to_map() == document


def test_the_sdk_may_come_with_a_token() -> None:
    with serving(made(security_token="CAIS+T/==")) as simulator:
        bearer = client(simulator, security_token="CAIS+T/==")
        assert bearer.get_track_list_with_options(question(), ONCE).status_code == 200
        with pytest.raises(Exception, match=r"InvalidSecurityToken\.MismatchWithAccessKey"):
            client(simulator).get_track_list_with_options(question(), ONCE)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        pytest.param("throttle", "Throttling.User", id="throttled"),
        pytest.param("invalid_key", "InvalidAccessKeyId.NotFound", id="unknown-key"),
        pytest.param("forbidden", "Forbidden.RAM", id="denied"),
        pytest.param("unknown_sender", "InvalidMailAddress.NotFound", id="unknown-sender"),
    ],
)
def test_the_sdk_reads_an_error(fault: str, code: str) -> None:
    with serving(made(faults=[Fault(fault)])) as simulator, pytest.raises(Exception, match=code) as caught:
        client(simulator).get_track_list_with_options(question(), ONCE)
    assert caught.value.code == code  # type: ignore[attr-defined]


@pytest.mark.parametrize("key", sorted(OPERATIONS))
def test_our_table_of_lists_has_the_names_of_the_sdks_models(key: str) -> None:
    """What the SDK's models do not know they drop."""
    operation = OPERATIONS[key]
    requested = Listing(operation, 50).parameters
    request = getattr(models, f"{operation.action}Request")().from_map(requested)
    assert {name: str(value) for name, value in request.to_map().items()} == requested
    document: dict[str, object] = {operation.number: 1, operation.total: 1, "RequestId": "R"}
    if operation.has_more:
        document[operation.has_more] = True
    *holders, name = operation.items
    holder: dict[str, object] = {name: [{operation.value: "value"}]}
    document |= {holders[0]: holder} if holders else holder
    known = getattr(models, f"{operation.action}ResponseBody")().from_map(document).to_map()
    assert page(operation, known, "R") == page(operation, document, "R")
    assert page(operation, known, "R").names == ["value"]


FILTER_PARAMETERS = {each for statistic in STATISTICS.values() for each in statistic.parameters.values()}


@pytest.mark.parametrize("name", STATISTICS)
def test_our_rows_of_statistics_have_the_names_of_the_sdks_models(name: str) -> None:
    """Misspelt ones included: what the SDK's models do not know they drop."""
    statistic = STATISTICS[name]
    requested = dict.fromkeys(("StartTime", "EndTime", *statistic.parameters.values()), "x")
    requested |= dict.fromkeys(("PageNumber", "PageSize"), "1") if statistic.is_paged else {}
    assert getattr(models, f"{statistic.action}Request")().from_map(requested).to_map() == requested
    row = dict.fromkeys(("CreateTime", *statistic.fields, *(rate.field for rate in statistic.rates.values())), "1")
    document = {"RequestId": "R", statistic.total: 1, "data": {"stat": [row]}}
    assert getattr(models, f"{statistic.action}ResponseBody")().from_map(document).to_map() == document


@pytest.mark.parametrize("name", STATISTICS)
def test_a_row_of_statistics_has_every_filter_of_the_sdk(name: str) -> None:
    statistic = STATISTICS[name]
    model = getattr(models, f"{statistic.action}Request")()
    known = set(model.from_map(dict.fromkeys(FILTER_PARAMETERS, "x")).to_map())
    assert known == set(statistic.parameters.values())
