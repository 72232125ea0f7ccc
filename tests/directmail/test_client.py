"""The client against small real servers: what goes over the wire, what is tried again, what comes out."""

import asyncio
import json
import random
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from urllib.parse import parse_qsl

import pytest
from aiohttp import web

from exporter.directmail import signing
from exporter.directmail.client import Client, Result, _Request
from exporter.directmail.credentials import Credentials
from exporter.directmail.errors import (
    AuthError,
    DirectMailError,
    InvalidRequest,
    NetworkError,
    ParseError,
    PermissionDenied,
    RequestTimeout,
    ServerError,
    Throttled,
)
from exporter.directmail.limiter import Limiter, Limiters
from exporter.directmail.listing import OPERATIONS
from exporter.directmail.model import Filters
from exporter.directmail.statistics.delivery import DELIVERY, Delivery
from exporter.directmail.statistics.engagement import ENGAGEMENT, Engagement
from exporter.directmail.transport import LARGEST_BODY, open_session
from tests.support.clock import ScriptedClock
from tests.support.engagement import COUNTS, RATES
from tests.support.issuers import serving
from tests.support.processes import PATIENCE
from tests.support.spellings import SPELLINGS

KEY, SECRET, TOKEN = "LTAI4FAKEKEYID0001", "FakeSecretFakeSecretFakeSecret", "CAIS+FAKE/TOKEN=="
DAY = date(2026, 4, 21)
MISSING = "(missing)"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Raw = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def counts(emails: int) -> dict[str, str]:
    return {**dict.fromkeys(COUNTS, "0"), **dict.fromkeys(RATES, "0"), "TotalNumber": str(emails)}


def page(
    *rows: dict[str, str], number: int = 1, pages: int = 1, total: int | None = None, **more: Any
) -> dict[str, Any]:
    """Return a page of GetTrackList."""
    return {
        "RequestId": f"PAGE-{number}",
        "PageNo": number,
        "PageSize": 100,
        "Total": len(rows) if total is None else total,
        "TotalPages": pages,
        "data": {"stat": list(rows)},
        **more,
    }


def outcome(**fields: str) -> dict[str, Any]:
    """Return a response about delivery with one row, of which fields may be missing."""
    row = {**dict.fromkeys(DELIVERY.fields, "0"), "succeededPercent": "100.00%", **fields}
    stat = [{name: value for name, value in row.items() if value != MISSING}]
    return {"RequestId": "ONE", "TotalCount": 1, "data": {"stat": stat}}


def reply(body: object, status: int = 200, **headers: str) -> Handler:
    """Return a handler that always answers so."""
    raw = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()

    async def handler(request: web.Request) -> web.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(body=raw, status=status, headers=named)

    return handler


def rejected(code: str, status: int = 400, **headers: str) -> Handler:
    return reply({"Code": code, "Message": "why not", "RequestId": "REFUSED-1", "HostId": "dm"}, status, **headers)


OK = reply(page(counts(7)))


@dataclass
class Api:
    """A server that answers each request with the next handler, the last one forever."""

    handlers: list[Handler]
    seen: list[web.Request] = field(default_factory=list)

    async def respond(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(request)
        return await self.handlers[min(len(self.seen), len(self.handlers)) - 1](request)

    def queries(self) -> list[dict[str, str]]:
        return [dict(parse_qsl(request.rel_url.raw_query_string)) for request in self.seen]


@dataclass
class Keys:
    """A provider whose next credentials take over when the present ones are rejected."""

    held: list[Credentials] = field(default_factory=lambda: [Credentials(KEY, SECRET)])
    rejections: int = 0
    expires_at: float | None = None

    async def get(self) -> Credentials:
        return self.held[0]

    def rejected(self) -> None:
        self.rejections += 1
        if len(self.held) > 1:
            del self.held[0]


@dataclass
class Called:
    """A client and everything around it that a test looks at."""

    client: Client
    clock: ScriptedClock
    limiter: Limiter
    keys: Keys
    observed: list[tuple[str, str | None]]

    async def track(self, **filters: str) -> Result:
        return await self.client.read(ENGAGEMENT, Filters(**filters), DAY)

    async def fails(self) -> DirectMailError:
        with pytest.raises(DirectMailError) as caught:
            await self.track()
        return caught.value


@asynccontextmanager
async def calling(
    endpoint: str, keys: Keys | None = None, seconds: float = 5.0, page_size: int = 100
) -> AsyncIterator[Called]:
    """A client of the endpoint whose pauses take no time."""
    clock = ScriptedClock(skip_sleeps=True)
    limiters, keys, observed = Limiters(600, clock), keys or Keys(), []
    async with open_session() as session:
        client = Client(
            session,
            endpoint,
            keys,
            limiters,
            clock,
            timeout=seconds,
            page_size=page_size,
            observe=lambda action, seconds, reason: observed.append((action, reason)),
            rng=random.Random(1),
        )
        yield Called(client, clock, limiters.of(ENGAGEMENT.action), keys, observed)


@asynccontextmanager
async def talking(raw: Raw) -> AsyncIterator[str]:
    """Serve whatever bytes `raw` writes once it has read a request's head."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await raw(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


@dataclass
class Endless:
    """Writes a head and then one piece again and again, and counts the bytes."""

    piece: bytes
    written: int = 0

    async def write(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nx-acs-request-id: HEAD-1\r\n\r\n")
        block = self.piece * (65_536 // len(self.piece))
        while True:
            writer.write(block)
            await writer.drain()
            self.written += len(block)


@asynccontextmanager
async def sent(
    *handlers: Handler, keys: Keys | None = None, seconds: float = 5.0, page_size: int = 100
) -> AsyncIterator[tuple[Called, Api]]:
    """A client and the API that it calls."""
    api = Api(list(handlers))
    async with serving(api) as endpoint, calling(endpoint, keys, seconds, page_size) as called:
        yield called, api


def verify(request: web.Request, secret: str = SECRET) -> bool:
    """Check a signature as the API does: decode what came over the wire, and encode it again."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    given = dict(part.split("=", 1) for part in headers["authorization"].split(" ", 1)[1].split(","))
    query = signing.canonical_query(
        dict(parse_qsl(request.rel_url.raw_query_string, keep_blank_values=True, strict_parsing=True))
    )
    signed = given["SignedHeaders"].split(";")
    return given["Signature"] == signing.signature(secret, request.method, query, headers, signed)


class TestTheWire:
    async def test_a_request_is_a_signed_post_with_everything_in_the_query(self) -> None:
        async with sent(OK) as (called, api):
            result = await called.track(account_name="test+a b*~@example.com", tag_name="标签/x&y", esp="gmail.com")
        assert result.totals == Engagement(7, 0, 0, 0, 0)
        assert (result.pages, result.request_id) == (1, "PAGE-1")
        (request,) = api.seen
        assert (request.method, request.path, await request.read()) == ("POST", "/", b"")
        assert api.queries() == [
            {
                "AccountName": "test+a b*~@example.com",
                "EndTime": "2026-04-21",
                "Esp": "gmail.com",
                "PageNumber": "1",
                "PageSize": "100",
                "StartTime": "2026-04-21",
                "TagName": "标签/x&y",
            }
        ]
        assert request.headers["x-acs-action"] == "GetTrackList"
        assert request.headers["x-acs-version"] == "2015-11-23"
        assert request.headers["x-acs-date"] == "2026-04-22T10:15:30Z"
        assert verify(request)

    @pytest.mark.parametrize("key", [key for key in Filters._fields if key != "config_set_id"])
    async def test_both_statistics_send_a_filter_under_the_same_name(self, key: str) -> None:
        async with sent(OK, reply(outcome())) as (called, api):
            await called.track(**{key: "x"})
            await called.client.read(DELIVERY, Filters(**{key: "x"}), DAY)
        first, second = ({name for name, value in query.items() if value == "x"} for query in api.queries())
        assert first == second == {key.title().replace("_", "")}

    async def test_the_escapes_go_out_as_they_were_signed(self) -> None:
        async with sent(OK) as (called, api):
            await called.track(tag_name="a b*@+/标")
        assert "TagName=a%20b%2A%40%2B%2F%E6%A0%87" in api.seen[0].rel_url.raw_query_string

    async def test_the_signed_host_is_the_one_on_the_wire_with_its_port(self) -> None:
        async with sent(OK) as (called, api):
            await called.track()
        (request,) = api.seen
        assert request.headers.getall("Host") == [request.host]
        assert ":" in request.host

    async def test_a_security_token_travels_signed_with_its_key_id(self) -> None:
        keys = Keys([Credentials(KEY, SECRET, TOKEN)])
        async with sent(OK, keys=keys) as (called, api):
            await called.track()
        (request,) = api.seen
        assert request.headers["x-acs-security-token"] == TOKEN
        assert request.headers["x-acs-accesskey-id"] == KEY
        assert "x-acs-accesskey-id" in request.headers["Authorization"]
        assert "x-acs-security-token" in request.headers["Authorization"]
        assert verify(request)

    async def test_without_a_token_only_the_minimum_is_signed(self) -> None:
        async with sent(OK) as (called, api):
            await called.track()
        names = "host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version"
        assert f"SignedHeaders={names}," in api.seen[0].headers["Authorization"]
        assert "x-acs-security-token" not in api.seen[0].headers

    async def test_every_attempt_has_a_fresh_nonce_and_date(self) -> None:
        async with sent(rejected("Throttling.User", x_acs_retry_after="5000"), OK) as (called, api):
            await called.track()
        first, second = api.seen
        assert first.headers["x-acs-signature-nonce"] != second.headers["x-acs-signature-nonce"]
        assert len(second.headers["x-acs-signature-nonce"]) == 32
        assert second.headers["x-acs-date"] == "2026-04-22T10:15:35Z"
        assert verify(second)

    async def test_any_operation_can_be_called(self) -> None:
        async with sent(reply({"ConfigSets": [], "HasMore": False}, x_acs_request_id="HEAD-1")) as (called, api):
            document = await called.client.call("ConfigSetList", {"PageIndex": "1"})
        assert document == {"ConfigSets": [], "HasMore": False, "RequestId": "HEAD-1"}
        assert api.seen[0].headers["x-acs-action"] == "ConfigSetList"
        assert called.observed == [("ConfigSetList", None)]

    async def test_cookies_are_not_kept(self) -> None:
        async with sent(reply(page(counts(1)), Set_Cookie="a=b; Path=/")) as (called, api):
            await called.track()
            await called.track()
        assert "Cookie" not in api.seen[1].headers

    async def test_a_proxy_of_the_environment_is_used(self, monkeypatch: pytest.MonkeyPatch) -> None:
        proxy = Api([OK])
        async with serving(proxy) as address:
            monkeypatch.setenv("http_proxy", address.replace("http://", "http://user:word@"))
            monkeypatch.delenv("no_proxy", raising=False)
            monkeypatch.delenv("NO_PROXY", raising=False)
            async with calling("http://dm.example.com") as called:
                await called.track()
        (request,) = proxy.seen
        assert request.headers["Host"] == "dm.example.com"
        assert request.headers["Proxy-Authorization"].startswith("Basic ")
        assert verify(request)

    async def test_no_proxy_goes_straight_to_the_endpoint(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        async with sent(OK) as (called, _):
            assert (await called.track()).totals.emails == 7

    async def test_a_netrc_file_does_not_get_in_the_way(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
        netrc = tmp_path / "netrc"
        netrc.write_text("default login somebody password something\n")
        monkeypatch.setenv("NETRC", str(netrc))
        async with sent(OK) as (called, api):
            await called.track()
        assert verify(api.seen[0])


class TestRetries:
    @pytest.mark.parametrize(
        ("handler", "kind"),
        [
            pytest.param(rejected("InternalError", 500), ServerError, id="InternalError"),
            pytest.param(reply("<html>bad gateway</html>", 502), ServerError, id="HTML 502"),
            pytest.param(rejected("ServiceUnavailable", 503), ServerError, id="503"),
            pytest.param(rejected("Throttling.User"), Throttled, id="throttled"),
            pytest.param(reply("slow down", 429), Throttled, id="bare 429"),
            pytest.param(rejected("SignatureNonceUsed"), AuthError, id="nonce used"),
            pytest.param(reply("<html>blocked</html>", 403), NetworkError, id="a proxy's page"),
            pytest.param(reply("", 302, Location="http://127.0.0.1:9/"), ServerError, id="redirect"),
            pytest.param(rejected("Throttling.User", 200), Throttled, id="200 with a Code only"),
        ],
    )
    async def test_what_may_pass_is_tried_three_times(self, handler: Handler, kind: type[DirectMailError]) -> None:
        async with sent(handler, handler, OK) as (called, api):
            assert (await called.track()).totals.emails == 7
            assert len(api.seen) == 3
        async with sent(handler) as (called, api):
            error = await called.fails()
            assert isinstance(error, kind)
            assert len(api.seen) == 3
            assert called.observed == [("GetTrackList", error.reason)] * 3

    @pytest.mark.parametrize(
        ("handler", "kind"),
        [
            pytest.param(rejected("NoPermission", 403), PermissionDenied, id="permission"),
            pytest.param(rejected("InvalidMailAddress.NotFound", 404), InvalidRequest, id="unknown sender"),
            pytest.param(rejected("SignatureDoesNotMatch"), AuthError, id="signature"),
            pytest.param(rejected("InvalidTimeStamp.Expired"), AuthError, id="date"),
            pytest.param(rejected("Brand.New", 409), InvalidRequest, id="unknown code"),
        ],
    )
    async def test_a_rejection_is_not_tried_again(self, handler: Handler, kind: type[DirectMailError]) -> None:
        async with sent(handler, OK) as (called, api):
            error = await called.fails()
            assert isinstance(error, kind)
            assert error.request_id == "REFUSED-1"
            assert len(api.seen) == 1

    async def test_pauses_double_and_are_jittered(self) -> None:
        async with sent(rejected("InternalError", 500)) as (called, _):
            await called.fails()
            first, second = called.clock.slept
        assert 0.5 <= first <= 1.5
        assert 1.0 <= second <= 3.0

    async def test_throttling_halves_the_rate_and_waits_as_long_as_the_api_requests(self) -> None:
        async with sent(rejected("Throttling.User", x_acs_retry_after="45000"), OK) as (called, _):
            before = called.clock.monotonic()
            await called.track()
            assert called.clock.monotonic() - before == pytest.approx(45.0)
            assert called.limiter.allowed_per_minute == 330  # half of 600, and a step for the success

    @pytest.mark.parametrize(
        ("headers", "seconds"),
        [
            pytest.param({"Retry_After": "60"}, 60.0, id="seconds"),
            pytest.param({"retry_after": "60"}, 60.0, id="name in lower case"),
            pytest.param({"x_acs_retry_after": "45000"}, 45.0, id="milliseconds"),
        ],
    )
    async def test_a_503_with_retry_after_pauses_every_operation_and_keeps_the_rate(
        self, headers: dict[str, str], seconds: float
    ) -> None:
        async with sent(rejected("ServiceUnavailable", 503, **headers), OK) as (called, _):
            before = called.clock.monotonic()
            await called.track()
            assert called.clock.monotonic() - before == pytest.approx(seconds)
            assert called.limiter.allowed_per_minute == 600

    @pytest.mark.parametrize("status", [400, 429, 503])
    async def test_throttling_waits_as_long_as_a_gateway_requests(self, status: int) -> None:
        async with sent(rejected("Throttling.User", status, Retry_After="60"), OK) as (called, _):
            before = called.clock.monotonic()
            await called.track()
            assert called.clock.monotonic() - before == pytest.approx(60.0)
            assert called.limiter.allowed_per_minute == 330

    async def test_every_attempt_passes_the_limiter(self) -> None:
        async with sent(rejected("InternalError", 500)) as (called, _):
            await called.fails()
            assert called.limiter.used_last_minute == 3

    async def test_a_success_brings_the_rate_back(self) -> None:
        async with sent(OK) as (called, _):
            called.limiter.throttled()
            called.clock.jump(monotonic=60.0)
            await called.track()
            assert called.limiter.allowed_per_minute == 330


class TestDelivery:
    """Another statistic: another operation, with filters, a response and a limiter of its own."""

    async def test_a_request_has_the_filters_that_the_operation_knows_and_no_page(self) -> None:
        filters = {
            "account_name": "AccountName",
            "tag_name": "TagName",
            "domain": "Domain",
            "esp": "Esp",
            "dedicated_ip": "DedicatedIp",
            "dedicated_ip_pool_id": "DedicatedIpPoolId",
        }
        async with sent(reply(outcome(requestCount="7", successCount="5", faildCount="2"))) as (called, api):
            result = await called.client.read(DELIVERY, Filters(**{key: f"a {key}" for key in filters}), DAY)
        assert (result.totals, result.rates) == (Delivery(7, 5, 2, 0), ())
        assert (result.pages, result.request_id) == (1, "ONE")
        given = {name: f"a {key}" for key, name in filters.items()}
        assert api.queries() == [{"StartTime": "2026-04-21", "EndTime": "2026-04-21", **given}]
        (request,) = api.seen
        assert request.headers["x-acs-action"] == "SenderStatisticsByTagNameAndBatchID"
        assert verify(request)
        assert called.observed == [("SenderStatisticsByTagNameAndBatchID", None)]

    @pytest.mark.parametrize(
        "more",
        [
            pytest.param({}, id="as-many-rows-as-announced"),
            pytest.param({"TotalCount": None}, id="no-total"),
            pytest.param({"TotalCount": 0}, id="fewer"),
            pytest.param({"TotalPages": 7, "PageNo": 3, "PageSize": 1, "Total": 70}, id="announced-pages"),
        ],
    )
    async def test_there_is_one_answer_and_no_further_page(self, more: dict[str, int]) -> None:
        body = outcome(requestCount="7") | {"TotalCount": 2} | more
        body["data"] = {"stat": body["data"]["stat"] * 2}
        async with sent(reply(body), reply(outcome())) as (called, api):
            result = await called.client.read(DELIVERY, Filters(), DAY)
        assert result.totals == Delivery(14, 0, 0, 0)
        assert len(api.seen) == 1

    @pytest.mark.parametrize("rows", [0, 1, 2])
    async def test_fewer_rows_than_the_response_announces_are_an_error(self, rows: int) -> None:
        body = outcome(requestCount="7") | {"TotalCount": "3"}
        body["data"] = {"stat": body["data"]["stat"] * rows}
        async with sent(reply(body)) as (called, _):
            with pytest.raises(ParseError, match=f"{rows} of 3 rows") as caught:
                await called.client.read(DELIVERY, Filters(), DAY)
        assert caught.value.request_id == "ONE"

    async def test_an_empty_list_is_a_real_zero(self) -> None:
        async with sent(reply({"RequestId": "ONE", "TotalCount": 0, "data": {"stat": []}})) as (called, _):
            assert (await called.client.read(DELIVERY, Filters(), DAY)).totals == Delivery(0, 0, 0, 0)

    @pytest.mark.parametrize(
        "wrong",
        [
            pytest.param({"faildCount": "-5"}, id="negative"),
            pytest.param({"faildCount": "many"}, id="not-a-number"),
            pytest.param({"faildCount": MISSING, "failedCount": "5"}, id="missing"),
        ],
    )
    async def test_a_count_that_is_none_is_an_error_that_names_field_and_request(self, wrong: dict[str, str]) -> None:
        async with sent(reply(outcome(**wrong))) as (called, api):
            with pytest.raises(ParseError, match="faildCount") as caught:
                await called.client.read(DELIVERY, Filters(), DAY)
        assert caught.value.request_id == "ONE"
        assert called.observed == [(DELIVERY.action, "parse")] * len(api.seen)

    async def test_throttling_slows_down_the_operation_that_was_throttled(self) -> None:
        handlers = (rejected("Throttling.User"), reply(outcome()), OK)
        async with sent(*handlers) as (called, _):
            await called.client.read(DELIVERY, Filters(), DAY)
            await called.track()
            assert called.client.limiters.of(DELIVERY.action).allowed_per_minute == 300
            assert called.client.limiters.of(DELIVERY.action).used_last_minute == 2
            assert (called.limiter.allowed_per_minute, called.limiter.used_last_minute) == (600, 1)


class TestFailuresWithStatus200:
    """A 200 says nothing: what counts is Code and Success, whatever else the response has."""

    @pytest.mark.parametrize(
        ("more", "kind"),
        [
            pytest.param({"Code": "InternalError", "Success": False}, ServerError, id="InternalError"),
            pytest.param({"Code": "Throttling.User"}, Throttled, id="Throttling"),
            pytest.param({"code": "Throttling.User"}, Throttled, id="Throttling in lower case"),
            pytest.param({"Code": "NoPermission"}, PermissionDenied, id="NoPermission"),
            pytest.param({"Success": False}, ServerError, id="Success false alone"),
            pytest.param({"Success": "FALSE"}, ServerError, id="Success false as text"),
            pytest.param({"success": False, "Code": "OK"}, ServerError, id="success false and Code OK"),
            pytest.param({"Code": 500}, ServerError, id="a number"),
            pytest.param({"Code": 403}, PermissionDenied, id="a numeric code"),
            pytest.param({"Code": "429"}, Throttled, id="a number of throttling as text"),
        ],
    )
    @pytest.mark.parametrize(
        "data", [{"stat": []}, {"stat": [counts(5)]}, {}, None], ids=["zero", "rows", "{}", "null"]
    )
    async def test_it_is_that_failure(self, more: dict[str, Any], kind: type[DirectMailError], data: object) -> None:
        async with sent(reply(page(**{**more, "data": data}))) as (called, _):
            error = await called.fails()
        assert isinstance(error, kind)
        assert error.request_id == "PAGE-1"

    async def test_throttling_in_a_200_slows_down(self) -> None:
        async with sent(reply(page(Code="Throttling.User", data={})), OK) as (called, _):
            await called.track()
            assert called.limiter.allowed_per_minute == 300

    @pytest.mark.parametrize(
        "more",
        [
            pytest.param({"Code": "OK"}, id="OK"),
            pytest.param({"Code": "ok", "Success": True}, id="in lower case"),
            pytest.param({"Code": "200"}, id="200 as text"),
            pytest.param({"Code": 200}, id="200"),
            pytest.param({"code": "Success", "success": "true"}, id="Success"),
            pytest.param({"Code": "", "Success": None}, id="nothing"),
            pytest.param({"Code": None}, id="null"),
        ],
    )
    async def test_a_code_that_means_success_is_no_error(self, more: dict[str, Any]) -> None:
        async with sent(reply(page(counts(7), **more))) as (called, _):
            assert (await called.track()).totals.emails == 7


class TestErrorsInOtherForms:
    """What the official SDK reads is read here too."""

    @pytest.mark.parametrize(
        "body",
        [
            pytest.param(
                "<?xml version='1.0' encoding='UTF-8'?><Error><RequestId>ID-1</RequestId><HostId>dm</HostId>"
                "<Code>Throttling.User</Code><Message>why &amp; when</Message></Error>",
                id="XML",
            ),
            pytest.param(
                "\n<Error>\n  <code>Throttling.User</code>\n  <message>why &amp; when</message>"
                "<requestId>ID-1</requestId></Error>",
                id="XML in lower case",
            ),
            pytest.param(
                '{"code": "Throttling.User", "message": "why & when", "requestId": "ID-1"}', id="JSON in lower case"
            ),
            pytest.param(
                '{"Code": "Throttling.User", "Message": "why & when", "RequestId": "ID-1", "HostId": "流控乗"}'.encode(
                    "gbk"
                ),
                id="GBK",
            ),
            pytest.param(
                b'{"Code": "Throttling.User", "Message": "why & when", "RequestId": "ID-1", "HostId": "\xff\xfe"}',
                id="bytes of no encoding",
            ),
        ],
    )
    @pytest.mark.parametrize("status", [200, 400, 503])
    async def test_an_error_is_the_same_in_every_form(self, body: str | bytes, status: int) -> None:
        async with sent(reply(body, status, Content_Type="text/xml")) as (called, _):
            error = await called.fails()
        assert isinstance(error, Throttled)
        assert (error.code, error.request_id) == ("Throttling.User", "ID-1")
        assert error.text.endswith(": why & when")
        assert called.limiter.is_throttled

    async def test_a_chinese_message_in_gbk_can_be_read(self) -> None:
        body = '{"Code": "InvalidTagName.Malformed", "Message": "标签不存在"}'.encode("gbk")
        async with sent(reply(body, 400)) as (called, _):
            assert "标签不存在" in (await called.fails()).text

    async def test_a_page_with_code_in_it_is_no_error_of_the_api(self) -> None:
        html = "<html><body><code>Throttling.User</code><Error>no</Error></body></html>"
        async with sent(reply(html, 403)) as (called, _):
            assert isinstance(await called.fails(), NetworkError)


class TestCredentials:
    async def test_replaced_credentials_are_tried_at_once_after_a_rejection(self) -> None:
        keys = Keys([Credentials("old", "old"), Credentials(KEY, SECRET)])
        async with sent(rejected("InvalidAccessKeyId.NotFound", 404), OK, keys=keys) as (called, api):
            assert (await called.track()).totals.emails == 7
            assert verify(api.seen[1])
        assert keys.rejections == 1

    async def test_the_same_credentials_are_not_tried_again(self) -> None:
        async with sent(rejected("InvalidAccessKeyId.NotFound", 404)) as (called, api):
            await called.fails()
            assert len(api.seen) == 1
        assert called.keys.rejections == 1

    async def test_a_used_nonce_is_no_fault_of_the_credentials(self) -> None:
        async with sent(rejected("SignatureNonceUsed"), OK) as (called, _):
            await called.track()
        assert called.keys.rejections == 0


class TestPages:
    async def test_pages_are_put_together(self) -> None:
        replies = [reply(page(counts(number), number=number, pages=3, total=3)) for number in (1, 2, 3)]
        async with sent(*replies) as (called, api):
            result = await called.track()
        assert result.totals.emails == 6
        assert (result.pages, result.request_id) == (3, "PAGE-3")
        assert [query["PageNumber"] for query in api.queries()] == ["1", "2", "3"]

    async def test_a_page_that_fails_for_good_fails_the_cell(self) -> None:
        first = reply(page(counts(1), pages=2, total=2))
        async with sent(first, rejected("InternalError", 500)) as (called, api):
            assert isinstance(await called.fails(), ServerError)
            assert len(api.seen) == 4

    async def test_a_page_that_fails_once_is_requested_again_alone(self) -> None:
        first, second = (reply(page(counts(n), number=n, pages=2, total=2)) for n in (1, 2))
        async with sent(first, rejected("InternalError", 500), second) as (called, api):
            assert (await called.track()).totals.emails == 3
        assert [query["PageNumber"] for query in api.queries()] == ["1", "2", "2"]

    async def test_rows_that_are_added_between_two_pages_start_the_cell_over(self) -> None:
        replies = [
            reply(page(counts(1), number=1, pages=2, total=2)),
            reply(page(counts(1), number=2, pages=3, total=3)),
            *(reply(page(counts(n), number=n, pages=3, total=3)) for n in (1, 2, 3)),
        ]
        async with sent(*replies) as (called, api):
            result = await called.track()
        assert result.totals.emails == 6
        assert result.pages == len(api.seen) == 5

    async def test_a_list_that_never_holds_still_is_a_parse_error(self) -> None:
        moving = [
            reply(page(counts(1), number=number, pages=2, total=total))
            for total in (2, 4, 6)
            for number, total in ((1, total), (2, total + 1))
        ]
        async with sent(*moving) as (called, api):
            error = await called.fails()
            assert isinstance(error, ParseError)
            assert error.request_id == "PAGE-2"
            assert len(api.seen) == 6

    async def test_a_smaller_page_size_of_the_server_is_accepted(self) -> None:
        replies = [reply(page(counts(n), number=n, pages=2, total=2, PageSize=1)) for n in (1, 2)]
        async with sent(*replies) as (called, _):
            assert (await called.track()).totals.emails == 3


class TestUnusableResponses:
    @pytest.mark.parametrize(
        "handler",
        [
            pytest.param(reply("", x_acs_request_id="HEAD-1"), id="empty body"),
            pytest.param(reply('{"data": {"stat": [', x_acs_request_id="HEAD-1"), id="cut short"),
            pytest.param(reply("<html>welcome</html>", x_acs_request_id="HEAD-1"), id="HTML with 200"),
            pytest.param(reply({}, x_acs_request_id="HEAD-1"), id="no data"),
            pytest.param(reply({"data": {"stat": None}}, x_acs_request_id="HEAD-1"), id="stat null"),
            pytest.param(reply(page(counts(-1), RequestId="HEAD-1")), id="negative count"),
            pytest.param(reply([], x_acs_request_id="HEAD-1"), id="a list"),
        ],
    )
    async def test_a_200_that_makes_no_sense_is_a_parse_error_with_its_request_id(self, handler: Handler) -> None:
        async with sent(handler) as (called, api):
            error = await called.fails()
            assert isinstance(error, ParseError)
            assert error.request_id == "HEAD-1"
            assert len(api.seen) == 1

    async def test_a_wrong_content_type_does_not_matter(self) -> None:
        async with sent(reply(page(counts(7)), Content_Type="text/html; charset=nonsense")) as (called, _):
            assert (await called.track()).totals.emails == 7

    async def test_an_empty_list_is_a_real_zero(self) -> None:
        async with sent(reply(page())) as (called, _):
            assert (await called.track()).totals == Engagement(0, 0, 0, 0, 0)

    async def test_a_redirect_is_not_followed(self) -> None:
        elsewhere = Api([OK])
        async with serving(elsewhere) as address, sent(reply("", 307, Location=address)) as (called, _):
            await called.fails()
        assert elsewhere.seen == []

    async def test_a_body_without_end_is_read_to_the_bound_only(self) -> None:
        endless = Endless(b" ")
        async with talking(endless.write) as endpoint, calling(endpoint) as called:
            error = await called.fails()
        assert isinstance(error, ParseError)
        assert "larger than 2 MB" in str(error)
        assert endless.written < 8 * LARGEST_BODY  # the sockets' buffers included


class TestLargeResponses:
    """What comes is bounded by what was requested, and what is large is read beside the loop."""

    async def test_far_more_rows_than_were_requested_are_a_parse_error_before_they_cost_memory(self) -> None:
        endless = Endless(json.dumps(counts(1)).encode() + b",")
        async with talking(endless.write) as endpoint, calling(endpoint) as called:
            error = await called.fails()
        assert isinstance(error, ParseError)
        assert "more than 1000 rows" in error.text
        assert (error.status, error.request_id) == (200, "HEAD-1")
        assert called.observed == [("GetTrackList", "parse")]

    @pytest.mark.parametrize(
        ("requested", "rows", "is_read"),
        [
            pytest.param(100, 1000, True, id="pages-of-the-apis-own-size"),
            pytest.param(100, 1100, False, id="no-page-is-so-large"),
            pytest.param(1000, 2000, True, id="twice-the-page-size"),
            pytest.param(1000, 2100, False, id="more-than-that"),
        ],
    )
    async def test_a_page_may_be_larger_than_requested_but_not_by_far(
        self, requested: int, rows: int, is_read: bool
    ) -> None:
        async with sent(reply(page(*[counts(1)] * rows, PageSize=rows)), page_size=requested) as (called, _):
            if is_read:
                assert (await called.track()).totals.emails == rows
            else:
                assert "rows" in (await called.fails()).text

    async def test_lists_whose_items_contain_objects_have_no_row_limit(self) -> None:
        pools = [{"Id": f"pool-{number}", "Ips": [{"Ip": "192.0.2.1"}] * 50} for number in range(100)]
        async with sent(reply({"TotalCounts": 100, "IpPools": pools})) as (called, _):
            assert len((await called.client.list_values(OPERATIONS["dedicated_ip_pool_id"])).values) == 100

    @pytest.mark.parametrize(
        ("rows", "is_beside"), [pytest.param(100, False, id="small"), pytest.param(500, True, id="large")]
    )
    async def test_a_large_body_is_decoded_and_read_beside_the_loop(self, rows: int, is_beside: bool) -> None:
        async with sent(reply(page(*[counts(1)] * rows))) as (called, _):
            request = _Request("GetTrackList", {}, lambda document: threading.get_ident())
            thread = await called.client._call(request)
        assert (thread != threading.get_ident()) == is_beside

    async def test_what_is_wrong_with_a_large_body_is_the_same_error(self) -> None:
        body = page(*[counts(1)] * 500, {**counts(1), "TotalNumber": "many"})
        async with sent(reply(body)) as (called, _):
            error = await called.fails()
        assert isinstance(error, ParseError)
        assert "TotalNumber" in error.text
        assert error.request_id == "PAGE-1"

    async def test_many_large_pages_add_up(self) -> None:
        replies = [reply(page(*[counts(n)] * 1000, number=n, pages=4, total=4000)) for n in range(1, 5)]
        async with sent(*replies, page_size=1000) as (called, _):
            assert (await called.track()).totals.emails == 10_000


def bytes_then_close(data: bytes) -> Raw:
    async def raw(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()

    return raw


async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:
        writer.write(b" ")
        await asyncio.sleep(0.01)


async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


HEAD = b"HTTP/1.1 200 OK\r\n"


class TestConnectionsThatBreak:
    @pytest.mark.parametrize(
        ("raw", "kind"),
        [
            pytest.param(silence, RequestTimeout, id="hangs"),
            pytest.param(drip, RequestTimeout, id="drips"),
            pytest.param(reset, NetworkError, id="reset"),
            pytest.param(bytes_then_close(b""), NetworkError, id="closed without a word"),
            pytest.param(bytes_then_close(b"\x16\x03\x01 not HTTP\r\n\r\n"), NetworkError, id="not HTTP"),
            pytest.param(bytes_then_close(b"HTTP/1.1 abc\r\n\r\n"), NetworkError, id="no status"),
            pytest.param(bytes_then_close(HEAD + b"no colon\r\n\r\n{}"), NetworkError, id="bad header"),
            pytest.param(bytes_then_close(HEAD + b"a: " + b"b" * 99_999 + b"\r\n\r\n"), NetworkError, id="long header"),
            pytest.param(bytes_then_close(HEAD + b"Content-Length: 50\r\n\r\n{}"), NetworkError, id="too short"),
            pytest.param(bytes_then_close(HEAD + b"Content-Length: x\r\n\r\n{}"), NetworkError, id="bad length"),
            pytest.param(
                bytes_then_close(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n"), NetworkError, id="bad chunk"
            ),
            pytest.param(
                bytes_then_close(HEAD + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}"),
                NetworkError,
                id="bad gzip",
            ),
            pytest.param(
                bytes_then_close(HEAD + b"Content-Encoding: gzip\r\nContent-Length: 10\r\n\r\n\x1f\x8b\x08"),
                NetworkError,
                id="gzip cut short",
            ),
            pytest.param(
                bytes_then_close(HEAD + b"x: \xff\xfe\r\nContent-Length: 2\r\n\r\n{}"),
                ParseError,
                id="bytes in a header",
            ),
        ],
    )
    async def test_no_foreign_exception_leaks(self, raw: Raw, kind: type[DirectMailError]) -> None:
        seconds = 0.15 if kind is RequestTimeout else PATIENCE
        async with talking(raw) as endpoint, calling(endpoint, seconds=seconds) as called:
            error = await called.fails()
            assert isinstance(error, kind)
            assert error.__cause__ is None
            assert error.advice
            assert {reason for _, reason in called.observed} == {error.reason}

    @pytest.mark.parametrize(
        "endpoint",
        [
            pytest.param("http://127.0.0.1:1", id="closed port"),
            pytest.param(f"http://{'a' * 64}.invalid", id="a label too long for IDNA"),
            pytest.param("https://127.0.0.1:1", id="closed port to TLS"),
        ],
    )
    async def test_an_endpoint_that_cannot_be_reached_is_a_network_error(self, endpoint: str) -> None:
        async with calling(endpoint) as called:
            assert isinstance(await called.fails(), NetworkError)

    async def test_a_server_without_tls_is_a_network_error(self) -> None:
        async with serving(Api([OK])) as endpoint, calling(endpoint.replace("http:", "https:")) as called:
            assert isinstance(await called.fails(), NetworkError)

    async def test_a_proxy_that_makes_no_sense_is_a_network_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("http_proxy", "http://user:word@[bad")
        async with calling("http://dm.example.com") as called:
            error = await called.fails()
        assert isinstance(error, NetworkError)
        assert "word" not in str(error)

    async def test_cancelling_a_call_is_not_an_error_of_the_api(self) -> None:
        async with talking(silence) as endpoint, calling(endpoint) as called:
            task = asyncio.create_task(called.track())
            while not called.limiter.used_last_minute:
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert called.observed == [("GetTrackList", None)]


class TestSecrets:
    """What a response repeats of the credentials is redacted before it is shown, whatever the spelling."""

    @pytest.mark.parametrize("spell", SPELLINGS)
    @pytest.mark.parametrize(
        ("body", "status"),
        [
            pytest.param({"Code": "Brand.New", "Message": "MESSAGE", "RequestId": KEY}, 400, id="message"),
            pytest.param({"Code": "MESSAGE"}, 400, id="code"),
            pytest.param({"Code": "InternalError", "Message": "x" * 190 + SECRET}, 500, id="cut in two"),
            pytest.param(page({**counts(1), "RcptOpenCount": "MESSAGE"}, RequestId=KEY), 200, id="count"),
            pytest.param({"RequestId": KEY, "data": {}}, 200, id="request id of a parse error"),
            pytest.param("<Error><Code>Bad</Code><Message>MESSAGE</Message></Error>", 400, id="XML"),
        ],
    )
    async def test_nothing_secret_is_in_what_comes_out(self, body: object, status: int, spell: Any) -> None:
        secrets = (KEY, SECRET, TOKEN)
        text = body if isinstance(body, str) else json.dumps(body)
        message = " ".join(map(spell, secrets))
        result = reply(text.replace("MESSAGE", message.replace("\\", "\\\\")), status, x_acs_request_id=KEY)
        async with sent(result, keys=Keys([Credentials(*secrets)])) as (called, api):
            error = await called.fails()
        reported = "".join((str(error), repr(error), repr(error.args), repr(vars(error)), repr(error.__cause__)))
        for secret in (*secrets, *map(spell, secrets), api.seen[0].headers["Authorization"], "LTAI"):
            assert secret not in reported

    async def test_a_key_id_as_the_request_id_of_a_good_answer_is_not_kept(self) -> None:
        async with sent(reply(page(counts(7), RequestId=KEY), x_acs_request_id=KEY)) as (called, _):
            result = await called.track()
        assert (result.totals.emails, result.request_id) == (7, "")

    async def test_a_list_names_no_secret(self) -> None:
        names = [{"TagName": name} for name in ("weekly", SECRET, f"x{KEY}")]
        async with sent(reply({"TotalCount": 3, "data": {"tag": names}})) as (called, _):
            listed = await called.client.list_values(OPERATIONS["tag_name"])
        assert listed.values == ("weekly", "***", "x***")
