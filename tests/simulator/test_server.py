"""The simulator on the wire: who is let in, what is rejected, what is paged, what is corrupted."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import UTC, date, datetime
from typing import Any

import aiohttp
import pytest

from exporter.simulator.behaviour import Behaviour
from exporter.simulator.faults import NAMES, Fault
from exporter.simulator.server import KEY_ID, Simulator, url_of
from exporter.simulator.traffic import Counts, Traffic
from tests.support.clock import ScriptedClock
from tests.support.signed import Reply, headers_for, send

NOW = datetime(2026, 4, 24, 4, tzinfo=UTC).timestamp()
DAYS = {"StartTime": "2026-04-21", "EndTime": "2026-04-21"}
NEWS = "news@mail.example.com"
FIELDS = {
    *("CreateTime", "TotalNumber", "RcptOpenCount", "RcptOpenRate", "RcptUniqueOpenCount", "RcptUniqueOpenRate"),
    *("RcptClickCount", "RcptClickRate", "RcptUniqueClickCount", "RcptUniqueClickRate"),
}


def made(**options: Any) -> Simulator:
    return Simulator(clock=ScriptedClock(NOW), **options)


@pytest.fixture
async def api() -> AsyncIterator[Simulator]:
    simulator = made()
    async with simulator.listen():
        yield simulator


def unsigned(name: str) -> Callable[[dict[str, str]], None]:
    def corrupt(headers: dict[str, str]) -> None:
        headers["Authorization"] = headers["Authorization"].replace(f"{name};", "").replace(f";{name},", ",")

    return corrupt


def without_authorization(headers: dict[str, str]) -> None:
    del headers["Authorization"]


def of_another_kind(headers: dict[str, str]) -> None:
    headers["Authorization"] = headers["Authorization"].replace("ACS3-HMAC-SHA256", "Basic")


def with_one_more(headers: dict[str, str]) -> None:
    headers["x-acs-extra"] = "not signed"


async def test_answers_carry_the_date_of_the_clock_that_requests_are_checked_against() -> None:
    simulator = made(signing_time=lambda: NOW + 60, faults=[Fault("forbidden", after=1)])
    async with simulator.listen():
        replies = [await send(simulator, DAYS), await send(simulator, DAYS)]
    assert [reply.status for reply in replies] == [200, 403]
    assert {reply.headers["Date"] for reply in replies} == {"Fri, 24 Apr 2026 04:01:00 GMT"}


@pytest.mark.parametrize(
    ("options", "status", "code"),
    [
        pytest.param({"corrupt": without_authorization}, 400, "IncompleteSignature", id="not-signed"),
        pytest.param({"corrupt": of_another_kind}, 400, "IncompleteSignature", id="another-scheme"),
        pytest.param({"corrupt": unsigned("host")}, 400, "IncompleteSignature", id="host-not-signed"),
        pytest.param({"corrupt": unsigned("x-acs-date")}, 400, "IncompleteSignature", id="date-not-signed"),
        pytest.param({"corrupt": with_one_more}, 400, "IncompleteSignature", id="further-header-not-signed"),
        pytest.param({"change": {"x-acs-content-sha256": None}}, 400, "IncompleteSignature", id="no-hash"),
        pytest.param({"secret": "wrong"}, 400, "SignatureDoesNotMatch", id="wrong-secret"),
        pytest.param({"data": b"smuggled"}, 400, "SignatureDoesNotMatch", id="another-body-than-hashed"),
        pytest.param({"change": {"x-acs-security-token": "T"}}, 400, "InvalidSecurityToken", id="token-not-ours"),
        pytest.param({"change": {"x-acs-date": "2026-04-24 04:00:00"}}, 400, "IllegalTimestamp", id="date-malformed"),
        pytest.param({"change": {"x-acs-date": None}}, 400, "IllegalTimestamp", id="no-date"),
        pytest.param({"change": {"x-acs-date": "2026-04-24T03:44:59Z"}}, 400, "InvalidTimeStamp.Expired", id="late"),
        pytest.param({"change": {"x-acs-date": "2026-04-24T04:15:01Z"}}, 400, "InvalidTimeStamp.Expired", id="early"),
        pytest.param({"change": {"x-acs-signature-nonce": None}}, 400, "SignatureNonceUsed", id="no-nonce"),
        pytest.param({"change": {"x-acs-version": "2017-06-22"}}, 400, "InvalidVersion", id="version"),
        pytest.param({"action": "SendMail"}, 404, "InvalidAction.NotFound", id="action"),
    ],
)
async def test_a_request_not_signed_as_documented_is_rejected(
    api: Simulator, options: dict[str, Any], status: int, code: str
) -> None:
    reply = await send(api, DAYS, **options)
    assert reply.status == status
    assert reply.document["Code"].startswith(code)
    assert {"Code", "Message", "RequestId", "HostId", "Recommend"} <= reply.document.keys()


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("when", ["2026-04-24T03:45:00Z", "2026-04-24T04:15:00Z"])
async def test_fifteen_minutes_off_are_still_fine(api: Simulator, method: str, when: str) -> None:
    assert (await send(api, DAYS, method=method, change={"x-acs-date": when})).status == 200


async def test_a_nonce_is_valid_once_and_again_after_it_has_expired(api: Simulator) -> None:
    nonce = {"x-acs-signature-nonce": "the same"}
    codes = []
    for seconds in (0, 1790, 30):
        api.clock.jump(wall=seconds)  # type: ignore[attr-defined]
        reply = await send(api, DAYS, change=nonce)
        codes.append(reply.document.get("Code"))
        await send(api, DAYS)
    assert codes == [None, "SignatureNonceUsed", None]


@pytest.mark.parametrize(
    "sender",
    [pytest.param("a b+c*~@example.com", id="blanks-and-signs"), pytest.param("标签/x&y=z%41", id="not-ascii")],
)
async def test_whatever_a_filter_holds_the_signature_is_understood(sender: str) -> None:
    simulator = made(senders=[sender])
    async with simulator.listen():
        assert (await send(simulator, {**DAYS, "AccountName": sender})).status == 200
    (seen,) = simulator.requests
    assert seen.parameters["AccountName"] == sender


async def test_escapes_that_a_library_rewrites_on_the_way_do_not_matter(api: Simulator) -> None:
    """A blank that travels as +, an @ that travels raw."""
    headers = headers_for(api, "AccountName=a%20b%40c&EndTime=2026-04-21&StartTime=2026-04-21")
    host, port = api.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    lines = [f"{name}: {value}" for name, value in headers.items()]
    path = "/?StartTime=2026-04-21&AccountName=a+b@c&EndTime=2026-04-21"
    writer.write("\r\n".join([f"POST {path} HTTP/1.1", *lines, "Connection: close", "", ""]).encode())
    response = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert b"InvalidMailAddress.NotFound" in response


async def test_with_a_token_only_requests_that_carry_it_are_accepted() -> None:
    simulator = made(security_token="CAIS+T/==")
    async with simulator.listen():
        right = await send(simulator, DAYS, change={"x-acs-security-token": "CAIS+T/=="})
        missing = await send(simulator, DAYS)
    assert (right.status, missing.document["Code"]) == (200, "InvalidSecurityToken.MismatchWithAccessKey")


@pytest.mark.parametrize(
    ("start", "end", "code"),
    [
        pytest.param("2026-W17-2", "2026-W17-2", "InvalidDate.Malformed", id="week"),
        pytest.param("20260421", "20260421", "InvalidDate.Malformed", id="no-hyphens"),
        pytest.param("2026-02-30", "2026-02-30", "InvalidDate.Malformed", id="no-such-day"),
        pytest.param("2026-4-21", "2026-04-21", "InvalidDate.Malformed", id="one-digit"),
        pytest.param("\uff12026-04-21", "2026-04-21", "InvalidDate.Malformed", id="other-digits"),
        pytest.param("0001-01-01", "0001-01-01", "InvalidStartTime.Malformed", id="long-ago"),
        pytest.param("9999-12-31", "9999-12-31", "InvalidStartTime.Malformed", id="in-the-far-future"),
        pytest.param("2026-04-22", "2026-04-21", "InvalidStartTime.Malformed", id="backwards"),
        pytest.param("2026-03-24", "2026-03-24", "InvalidStartTime.Malformed", id="31-days-ago"),
        pytest.param("2026-04-14", "2026-04-22", "InvalidBetweenTime.Malformed", id="8-days"),
        pytest.param("2026-03-25", "2026-03-25", None, id="30-days-ago"),
        pytest.param("2026-04-14", "2026-04-21", None, id="7-days"),
        pytest.param("2026-04-24", "2026-04-25", None, id="tomorrow"),
    ],
)
async def test_dates_have_bounds(api: Simulator, start: str, end: str, code: str | None) -> None:
    reply = await send(api, {"StartTime": start, "EndTime": end})
    assert reply.document.get("Code") == code


async def test_where_the_days_count_to_the_second_the_thirtieth_is_too_old() -> None:
    simulator = made(behaviour=Behaviour(strict_span=True))
    async with simulator.listen():
        codes = [
            (await send(simulator, {"StartTime": day, "EndTime": day})).document.get("Code")
            for day in ("2026-03-25", "2026-03-26")
        ]
    assert codes == ["InvalidStartTime.Malformed", None]


async def test_pages_are_as_long_as_allowed_and_together_they_are_the_day() -> None:
    simulator = made(behaviour=Behaviour(rows="hour", largest_page=7))
    async with simulator.listen():
        documents = [
            (await send(simulator, {**DAYS, "PageSize": "100", "PageNumber": str(number)})).document
            for number in range(1, 6)
        ]
    assert [len(each["data"]["stat"]) for each in documents] == [7, 7, 7, 3, 0]
    assert {(each["PageSize"], each["Total"], each["TotalPages"]) for each in documents} == {(7, 24, 4)}
    rows = [row for each in documents for row in each["data"]["stat"]]
    assert all(row.keys() == FIELDS for row in rows)
    assert rows[0]["CreateTime"] == "2026-04-21T00:00Z"
    truth = simulator.traffic.counts(date(2026, 4, 21), NOW)
    for name, count in (("TotalNumber", truth.emails), ("RcptUniqueClickCount", truth.unique_clicks)):
        assert sum(int(row[name]) for row in rows) == count


@pytest.mark.parametrize("size", ["", "0", "-1", "many", "²", "9" * 5000])
async def test_a_page_size_that_is_none_is_ten(size: str) -> None:
    simulator = made(behaviour=Behaviour(rows="hour"))
    async with simulator.listen():
        assert (await send(simulator, {**DAYS, "PageSize": size})).document["PageSize"] == 10


@pytest.mark.parametrize(("rows", "count"), [("day", 7), ("sum", 1)])
async def test_a_week_is_a_row_a_day_or_one_sum(rows: str, count: int) -> None:
    simulator = made(behaviour=Behaviour(rows=rows))
    async with simulator.listen():
        reply = await send(simulator, {"StartTime": "2026-04-15", "EndTime": "2026-04-21"})
    found = reply.document["data"]["stat"]
    assert len(found) == count
    days = [date(2026, 4, day) for day in range(15, 22)]
    truth = sum(simulator.traffic.counts(day, NOW).opens for day in days)
    assert sum(int(row["RcptOpenCount"]) for row in found) == truth


@pytest.mark.parametrize("rows", ["day", "hour", "sum"])
async def test_without_mail_there_is_no_row(rows: str) -> None:
    simulator = made(behaviour=Behaviour(rows=rows))
    wednesday = {"StartTime": "2026-04-22", "EndTime": "2026-04-22"}
    async with simulator.listen():
        document = (await send(simulator, {**wednesday, "AccountName": NEWS})).document
    assert document["data"] == {"stat": []}
    assert (document["Total"], document["TotalPages"]) == (0, 0)


async def test_infrastructure_is_a_filter_too(api: Simulator) -> None:
    emails = {}
    for name, value in (
        ("DedicatedIp", "192.0.2.10"),
        ("DedicatedIpPoolId", "pool-system"),
        ("ConfigSetId", "set-system"),
        ("AccountName", "no-reply@notify.example.com"),
    ):
        (row,) = (await send(api, {**DAYS, name: value})).document["data"]["stat"]
        emails[name] = row["TotalNumber"]
    assert len(set(emails.values())) == 1


async def test_the_limit_slides_and_the_error_has_the_wait() -> None:
    simulator = made(behaviour=Behaviour(calls_per_minute=2, retry_after=True))
    clock = simulator.clock
    async with simulator.listen():
        replies = []
        for seconds in (0, 40, 10, 11):
            clock.jump(monotonic=seconds)  # type: ignore[attr-defined]
            replies.append(await send(simulator, DAYS))
    assert [reply.document.get("Code") for reply in replies] == [None, None, "Throttling.User", None]
    assert replies[2].headers["x-acs-retry-after"] == "10000"
    assert [seen.outcome for seen in simulator.requests] == ["OK", "OK", "Throttling.User", "OK"]


async def test_requests_at_the_same_time_have_ids_of_their_own(api: Simulator) -> None:
    replies = await asyncio.gather(*(send(api, DAYS) for _ in range(8)))
    assert len({reply.document["RequestId"] for reply in replies}) == 8


async def test_the_server_answers_while_it_draws() -> None:
    """The first request of an account draws thousands of batches; another one does not wait for that."""
    simulator = made(traffic=Traffic(seed=123))
    async with simulator.listen():
        week = {"StartTime": "2026-04-15", "EndTime": "2026-04-21"}
        slow = asyncio.create_task(send(simulator, week))
        quick = await send(simulator, action="QueryTagByParam")
        assert quick.status == 200
        assert not slow.done()
        assert (await slow).status == 200


class SlowTraffic(Traffic):
    """Traffic whose counts come when the test says."""

    def __init__(self) -> None:
        super().__init__()
        self.requested, self.free = threading.Event(), threading.Event()

    def counts(self, day: date, now: float, **filters: str) -> Counts:
        self.requested.set()
        self.free.wait()
        return super().counts(day, now, **filters)


@pytest.mark.parametrize("client_left", [True, False])
async def test_an_answer_that_comes_when_the_server_stops_waiting_for_it_is_no_error(
    client_left: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """On a busy machine both are found in the same turn of the event loop, and aiohttp stumbles over that."""
    traffic, loop = SlowTraffic(), asyncio.get_running_loop()
    async with AsyncExitStack() as server:
        simulator = made(traffic=traffic)
        await server.enter_async_context(simulator.listen())
        request = asyncio.create_task(send(simulator, DAYS))
        while not traffic.requested.is_set():
            await asyncio.sleep(0)
        if client_left:
            request.cancel()
            await asyncio.wait([request])
        end = asyncio.create_task(server.aclose())
        for _ in range(20):
            await asyncio.sleep(0)
        traffic.free.set()
        late = loop.time() + 0.5
        while loop.time() < late:
            pass
        await end
    await asyncio.wait([request])
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        pytest.param("throttle", 400, "Throttling.User", id="throttle"),
        pytest.param("throttle_retry_after", 400, "Throttling.User", id="throttle-retry-after"),
        pytest.param("error", 500, "InternalError", id="error"),
        pytest.param("http_503", 503, "ServiceUnavailable", id="503"),
        pytest.param("http_503_retry_after", 503, "ServiceUnavailable", id="503-retry-after"),
        pytest.param("page_size", 400, "InvalidParameter", id="page-size"),
        pytest.param("invalid_key", 404, "InvalidAccessKeyId.NotFound", id="invalid-key"),
        pytest.param("bad_signature", 400, "SignatureDoesNotMatch", id="bad-signature"),
        pytest.param("expired", 400, "InvalidTimeStamp.Expired", id="expired"),
        pytest.param("nonce", 400, "SignatureNonceUsed", id="nonce"),
        pytest.param("forbidden", 403, "Forbidden.RAM", id="forbidden"),
        pytest.param("unknown_sender", 404, "InvalidMailAddress.NotFound", id="unknown-sender"),
    ],
)
async def test_a_fault_that_rejects_has_its_code(fault: str, status: int, code: str) -> None:
    reply = await _once(fault)
    assert (reply.status, reply.document["Code"]) == (status, code)
    assert ("x-acs-retry-after" in reply.headers) == (fault == "throttle_retry_after")
    assert reply.headers.get("Retry-After") == ("2" if fault == "http_503_retry_after" else None)
    assert ("AccessDeniedDetail" in reply.document) == (fault == "forbidden")
    assert ("Signature=" in reply.document["Message"]) == (fault == "bad_signature")


async def _once(fault: str, parameters: dict[str, str] = DAYS, **options: Any) -> Reply:
    simulator = made(faults=[Fault(fault, times=1, **options)])
    async with simulator.listen():
        reply = await send(simulator, parameters)
        assert (await send(simulator, DAYS)).document["data"]["stat"], "once was told"
    assert [seen.outcome for seen in simulator.requests] == [fault, "OK"]
    return reply


async def test_exponents_leave_alone_what_is_no_plain_number() -> None:
    simulator = made(faults=[Fault("exponents")], behaviour=Behaviour(rate_format="31.42%"))
    async with simulator.listen():
        (row,) = (await send(simulator, DAYS)).document["data"]["stat"]
    assert ("E+" in row["RcptClickCount"], row["RcptClickRate"][-1]) == (True, "%")


async def test_each_fault_corrupts_good_responses_in_its_way() -> None:
    empty, html = await _once("http_429"), await _once("html_500")
    assert (empty.status, empty.body) == (429, b"")
    assert (html.status, html.headers["Content-Type"].split(";")[0]) == (500, "text/html")
    assert (await _once("wrong_content_type")).headers["Content-Type"] == "text/html"
    with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
        _ = (await _once("truncate")).document
    assert "data" not in (await _once("no_data")).document
    assert (await _once("stat_null")).document["data"] == {"stat": None}
    assert (await _once("empty")).document["data"] == {"stat": []}
    assert (await _once("negative")).document["data"]["stat"][0]["RcptOpenCount"] == "-5"
    assert (await _once("non_numeric")).document["data"]["stat"][0]["RcptOpenCount"] == "many"
    huge = await _once("huge")
    assert len(huge.body) > 10_000_000
    assert huge.document["Total"] == 1


async def test_faults_say_that_they_failed_in_other_forms() -> None:
    failed, slower = (await _once("failed_200")), (await _once("throttle_200"))
    assert (failed.status, failed.document["Success"], failed.document["data"]) == (200, False, {"stat": []})
    assert (slower.status, slower.document["Code"], slower.document["data"]) == (200, "Throttling.User", {})
    xml, gbk = (await _once("throttle_xml")), (await _once("throttle_gbk"))
    assert xml.body.startswith(b"<?xml")
    assert b"<Code>Throttling.User</Code>" in xml.body
    assert b'"code": "Throttling.User"' in gbk.body
    assert "请求被流控" in gbk.body.decode("gbk")


async def test_faults_return_more_than_was_requested_or_something_else() -> None:
    many, echo = (await _once("many_rows")).document, await _once("echo")
    assert len(many["data"]["stat"]) == 15_000
    assert (echo.document["RequestId"], echo.headers["x-acs-request-id"]) == (KEY_ID, KEY_ID)
    assert echo.document["data"]["stat"][0]["RcptOpenCount"] == KEY_ID
    row = (await _once("exponents")).document["data"]["stat"][0]
    truth = Simulator().traffic.counts(date(2026, 4, 21), NOW).emails
    assert "E+" in row["TotalNumber"]
    assert float(row["TotalNumber"]) == truth
    for fault in ("large_header", "brotli"):
        simulator = made(faults=[Fault(fault, times=1)])
        async with simulator.listen():
            with pytest.raises(aiohttp.ClientError):
                await send(simulator, DAYS)


async def test_a_second_answer_comes_behind_the_first() -> None:
    simulator = made(faults=[Fault("unasked")])
    async with simulator.listen() as url:
        query = "EndTime=2026-04-21&StartTime=2026-04-21"
        host, port = url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        lines = [f"{name}: {value}" for name, value in headers_for(simulator, query).items()]
        writer.write("\r\n".join([f"POST /?{query} HTTP/1.1", *lines, "", ""]).encode())
        assert (await reader.readuntil(b'"777"')).count(b"HTTP/1.1 200 OK") == 2
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("fault", ["hang", "reset", "slow", "slow_drip"])
async def test_faults_of_the_line_leave_the_server_alive(fault: str) -> None:
    simulator = made(faults=[Fault(fault, times=1, seconds=3600)])
    async with simulator.listen():
        if fault == "reset":
            with pytest.raises(aiohttp.ClientConnectionError):
                await send(simulator, DAYS)
        else:
            left = asyncio.create_task(send(simulator, DAYS))
            while not simulator.requests:
                await asyncio.sleep(0.001)
            left.cancel()
            with pytest.raises(asyncio.CancelledError):
                await left
        assert (await send(simulator, DAYS)).status == 200


async def test_faults_of_paging_lie_about_the_pages() -> None:
    reported = {}
    for fault in ("pages_up", "pages_down", "page_cap", "rows_added", "page_fails"):
        simulator = made(faults=[Fault(fault)], behaviour=Behaviour(rows="hour"))
        async with simulator.listen():
            first, second = [(await send(simulator, {**DAYS, "PageNumber": n})).document for n in ("1", "2")]
        reported[fault] = (first["PageSize"], first["Total"], first["TotalPages"], second.get("Total"))
    assert reported == {
        "pages_up": (10, 24, 6, 24),
        "pages_down": (10, 24, 1, 24),
        "page_cap": (5, 24, 5, 24),
        "rows_added": (10, 25, 3, 26),
        "page_fails": (10, 24, 3, None),
    }


async def test_a_fault_strikes_only_where_it_is_set() -> None:
    simulator = made(faults=[Fault("error", after=1, where={"AccountName": NEWS, "StartTime": "2026-04-21"})])
    async with simulator.listen():
        statuses = [
            (await send(simulator, parameters)).status
            for parameters in (
                {**DAYS, "AccountName": NEWS},
                DAYS,
                {**DAYS, "AccountName": NEWS},
                {"StartTime": "2026-04-20", "EndTime": "2026-04-20", "AccountName": NEWS},
            )
        ]
    assert statuses == [200, 200, 500, 200]


def test_every_fault_is_explained() -> None:
    assert all(NAMES.values())


@pytest.mark.parametrize(
    ("action", "parameters", "names", "rest"),
    [
        pytest.param(
            "QueryMailAddressByParam",
            {"PageNo": "2", "PageSize": "2"},
            ["product@mail.example.com"],
            {"PageNumber": 2, "PageSize": 2, "TotalCount": 3},
            id="senders-second-page",
        ),
        pytest.param("QueryMailAddressByParam", {"KeyWord": "news"}, [NEWS], {"TotalCount": 1}, id="senders-by-word"),
        pytest.param(
            "QueryTagByParam",
            {"PageSize": "4"},
            ["onboarding", "password-reset", "promo", "receipt"],
            {"PageNumber": 1, "TotalCount": 6},
            id="tags-first-page",
        ),
        pytest.param("QueryTagByParam", {"PageNo": "x", "KeyWord": "pro"}, ["promo"], {"PageNumber": 1}, id="no-page"),
        pytest.param(
            "ConfigSetList",
            {"PageSize": "1"},
            ["set-system"],
            {"CurrentPage": 1, "HasMore": True, "TotalCounts": 2},
            id="config-sets-first-page",
        ),
        pytest.param(
            "ConfigSetList",
            {"PageSize": "1", "All": "true"},
            ["set-marketing", "set-system"],
            {"HasMore": False},
            id="config-sets-all",
        ),
        pytest.param(
            "DedicatedIpList",
            {"PageIndex": "2", "PageSize": "1"},
            ["192.0.2.20"],
            {"CurrentPage": 2, "HasMore": False, "TotalCounts": 2},
            id="ips-second-page",
        ),
        pytest.param("DedicatedIpPoolList", {"PoolId": "pool-system"}, ["pool-system"], {}, id="one-pool"),
        pytest.param("DedicatedIpPoolList", {"Keyword": "nothing"}, [], {"HasMore": False}, id="no-pool"),
    ],
)
async def test_lists_page_each_in_their_own_style(
    api: Simulator, action: str, parameters: dict[str, str], names: list[str], rest: dict[str, object]
) -> None:
    document = (await send(api, parameters, action=action)).document
    lists = {"ConfigSets": "Id", "Ips": "Ip", "IpPools": "Id", "mailAddress": "AccountName", "tag": "TagName"}
    holder = document.get("data", document)
    (found,) = [[item[lists[name]] for item in items] for name, items in holder.items() if name in lists]
    assert sorted(found) == sorted(names)
    assert rest.items() <= document.items()


async def test_every_request_is_noted_with_its_outcome(api: Simulator) -> None:
    api.clock.jump(monotonic=5)  # type: ignore[attr-defined]
    await send(api, DAYS)
    await send(api, {"EndTime": "2026-04-21"})
    await send(api, action="QueryTagByParam")
    await send(api, DAYS, secret="wrong")
    assert [(seen.action, seen.outcome) for seen in api.requests] == [
        ("GetTrackList", "OK"),
        ("GetTrackList", "MissingParameter"),
        ("QueryTagByParam", "OK"),
        ("GetTrackList", "SignatureDoesNotMatch"),
    ]
    assert (api.requests[0].parameters, api.requests[0].at) == (DAYS, 1005.0)
    assert api.requests.maxlen


async def test_dates_may_be_checked_against_another_clock_than_the_mails() -> None:
    simulator = made(signing_time=lambda: NOW + 90 * 86_400)
    async with simulator.listen():
        assert (await send(simulator, DAYS)).status == 200


@pytest.mark.parametrize(
    ("host", "url"),
    [
        pytest.param("127.0.0.1", "http://127.0.0.1:8025", id="ipv4"),
        pytest.param("::1", "http://[::1]:8025", id="ipv6"),
        pytest.param(None, "http://localhost:8025", id="all"),
    ],
)
def test_an_address_has_a_url(host: str | None, url: str) -> None:
    assert url_of(host, 8025) == url
