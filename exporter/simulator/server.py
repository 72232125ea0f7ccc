"""The API's wire format: signatures, rules, pages, limits and error codes over real HTTP."""

import asyncio
import hashlib
import hmac
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from aiohttp import web

from exporter.clock import Clock, SystemClock
from exporter.directmail import signing
from exporter.simulator import lists
from exporter.simulator.account import PROVIDERS, STREAMS
from exporter.simulator.draws import uniforms
from exporter.simulator.faults import Fault
from exporter.simulator.traffic import Counts, Traffic

KEY_ID, SECRET = "LTAI4SimulatorKey", "SimulatorSecret"
"""What the simulator accepts unless it is told otherwise; no account anywhere has them."""
SKEW = 15 * 60
MINUTE = 60.0
FILTERS = {
    "AccountName": "sender",
    "TagName": "tag",
    "Esp": "esp",
    "DedicatedIp": "dedicated_ip",
    "DedicatedIpPoolId": "dedicated_ip_pool_id",
    "ConfigSetId": "config_set_id",
}


class Refusal(Exception):
    """An error answer: HTTP status, Code, Message."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(code)
        self.status, self.code, self.message = status, code, message
        self.headers = dict(headers or {})


class Seen(NamedTuple):
    """A request as the simulator saw it."""

    at: float
    """Monotonic seconds of the simulator's clock."""
    action: str
    parameters: Mapping[str, str]
    outcome: str
    """`OK`, a Code, or the name of a fault."""


@dataclass(frozen=True, slots=True)
class Habits:
    """What the API's documentation leaves open, on the wire."""

    rows: str = "day"
    """A row per `day` or per `hour`."""
    rate_format: str = "31.42"
    """`31.42`, `31.42%` or `0.3142`."""
    largest_page: int = 1000
    calls_per_minute: int = 60
    retry_after: bool = False
    """Whether throttling tells how long to wait."""
    strict_span: bool = False
    """Whether the 30 days are counted to the second."""


@dataclass
class Simulator:
    """The API of one account."""

    traffic: Traffic = field(default_factory=Traffic)
    key_id: str = KEY_ID
    secret: str = SECRET
    security_token: str = ""
    clock: Clock = field(default_factory=SystemClock)
    habits: Habits = field(default_factory=Habits)
    faults: list[Fault] = field(default_factory=list)
    signing_time: Callable[[], float] | None = None
    """The clock that dates are checked against, where the traffic's is another one."""
    senders: Sequence[str] = field(default_factory=lambda: sorted({stream.sender for stream in STREAMS}))

    def __post_init__(self) -> None:
        self.requests: deque[Seen] = deque(maxlen=200_000)
        """Every request, in the order of arrival."""
        self.url = ""
        self._nonces: dict[str, float] = {}
        self._recent: deque[float] = deque()
        self._number = 0

    @asynccontextmanager
    async def listen(self, host: str | None = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
        """Serve on an address, None for all and port 0 for any, and yield the URL."""
        app = web.Application()
        app.router.add_route("*", "/", self._handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
            name = runner.addresses[0]
            self.url = f"http://{host or 'localhost'}:{name[1]}"
            yield self.url
        finally:
            await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self._number += 1
        action = request.headers.get("x-acs-action", "")
        parameters = dict(request.query)
        fault: Fault | None = None
        try:
            self._check_signature(request, parameters)
            self._check_rate()
            fault = self._fault(parameters)
            if fault is not None:
                self._refuse(fault, request)
            document = await asyncio.to_thread(self._answer, action, parameters, fault)
        except Refusal as refusal:
            self._note(action, parameters, fault.name if fault else refusal.code)
            body = {
                "Code": refusal.code,
                "Message": refusal.message,
                "RequestId": self._request_id(),
                "HostId": request.host,
                "Recommend": "https://example.com/troubleshoot",
            }
            return web.json_response(body, status=refusal.status, headers=refusal.headers)
        self._note(action, parameters, fault.name if fault else "OK")
        return await self._send(request, document, fault)

    def _note(self, action: str, parameters: Mapping[str, str], outcome: str) -> None:
        self.requests.append(Seen(self.clock.monotonic(), action, parameters, outcome))

    def _check_signature(self, request: web.Request, parameters: Mapping[str, str]) -> None:
        headers = {name.lower(): value for name, value in request.headers.items()}
        scheme, _, rest = headers.get("authorization", "").partition(" ")
        given = dict(part.strip().partition("=")[::2] for part in rest.split(","))
        if scheme != signing.ALGORITHM or not {"Credential", "SignedHeaders", "Signature"} <= given.keys():
            raise Refusal(400, "IncompleteSignature", "The request signature does not conform to the standards.")
        if given["Credential"] != self.key_id:
            raise Refusal(404, "InvalidAccessKeyId.NotFound", "Specified access key is not found.")
        signed = given["SignedHeaders"].split(";")
        needed = {"host"} | {name for name in headers if name.startswith("x-acs-")}
        if not needed <= set(signed) or not set(signed) <= headers.keys():
            raise Refusal(400, "IncompleteSignature", "Some headers are not signed.")
        right = signing.signature(
            self.secret, request.method, signing.canonical_query(parameters), headers, signed, request.path
        )
        if not hmac.compare_digest(right, given["Signature"]):
            raise Refusal(400, "SignatureDoesNotMatch", f"Specified signature does not match; parameters {parameters}")
        if headers.get("x-acs-security-token", "") != self.security_token:
            raise Refusal(400, "InvalidSecurityToken.MismatchWithAccessKey", "Specified SecurityToken mismatches.")
        self._check_freshness(headers)

    def _check_freshness(self, headers: Mapping[str, str]) -> None:
        now = (self.signing_time or self.clock.time)()
        try:
            sent = datetime.strptime(headers.get("x-acs-date", ""), signing.DATE_FORMAT).replace(tzinfo=UTC)
        except ValueError:
            raise Refusal(400, "IllegalTimestamp", "The input parameter Timestamp is not valid.") from None
        if abs(now - sent.timestamp()) > SKEW:
            raise Refusal(400, "InvalidTimeStamp.Expired", "Specified time stamp or date value is expired.")
        nonce = headers.get("x-acs-signature-nonce", "")
        if not nonce or nonce in self._nonces:
            raise Refusal(400, "SignatureNonceUsed", "Specified signature nonce was used already.")
        self._nonces[nonce] = now
        while self._nonces and next(iter(self._nonces.values())) < now - 2 * SKEW:
            del self._nonces[next(iter(self._nonces))]

    def _check_rate(self) -> None:
        now = self.clock.monotonic()
        while self._recent and self._recent[0] <= now - MINUTE:
            self._recent.popleft()
        if len(self._recent) >= self.habits.calls_per_minute:
            wait = str(round((self._recent[0] + MINUTE - now) * 1000))
            headers = {"x-acs-retry-after": wait} if self.habits.retry_after else {}
            raise Refusal(400, "Throttling.User", "Request was denied due to user flow control.", headers)
        self._recent.append(now)

    def _fault(self, parameters: Mapping[str, str]) -> Fault | None:
        (chance,) = uniforms(1, self.traffic.seed, "fault", self._number)
        return next((fault for fault in self.faults if fault.strikes(parameters, chance)), None)

    def _refuse(self, fault: Fault, request: web.Request) -> None:
        refusals: dict[str, tuple[int, str, str]] = {
            "throttle": (400, "Throttling.User", "Request was denied due to user flow control."),
            "throttle_retry_after": (400, "Throttling.User", "Request was denied due to user flow control."),
            "error": (500, "InternalError", "The request processing has failed due to some unknown error."),
            "page_fails": (
                500,
                "InternalError",
                "The request processing has failed due to some unknown error.",
            ),
            "http_503": (
                503,
                "ServiceUnavailable",
                "The request has failed due to a temporary failure of the server.",
            ),
            "invalid_key": (404, "InvalidAccessKeyId.NotFound", "Specified access key is not found."),
            "bad_signature": (
                400,
                "SignatureDoesNotMatch",
                f"Signature does not match for {request.headers.get('Authorization')}",
            ),
            "expired": (400, "InvalidTimeStamp.Expired", "Specified time stamp or date value is expired."),
            "nonce": (400, "SignatureNonceUsed", "Specified signature nonce was used already."),
            "forbidden": (403, "Forbidden.RAM", "User not authorized to operate on the specified resource."),
            "unknown_sender": (
                404,
                "InvalidMailAddress.NotFound",
                "The specified mail address is not found.",
            ),
        }
        if fault.name in refusals:
            headers = {"x-acs-retry-after": str(fault.retry_after)} if fault.name == "throttle_retry_after" else None
            raise Refusal(*refusals[fault.name], headers)

    async def _send(self, request: web.Request, document: dict[str, Any], fault: Fault | None) -> web.StreamResponse:
        body = json.dumps(document).encode()
        name = fault.name if fault else ""
        answers = {
            "http_429": web.Response(status=429),
            "html_500": web.Response(status=500, text="<html><h1>Bad gateway</h1></html>", content_type="text/html"),
            "truncate": web.Response(body=body[: len(body) // 2], content_type="application/json"),
            "wrong_content_type": web.Response(body=body, content_type="text/html"),
        }
        if fault is not None and name in ("hang", "slow"):
            await asyncio.sleep(3600 if name == "hang" else fault.seconds)
        if name == "huge":
            return web.Response(body=b" " * 10_000_000 + body, content_type="application/json")
        if name == "reset" and request.transport is not None:
            request.transport.abort()
        if name == "slow_drip":
            return await self._drip(request, body)
        return answers.get(name) or web.Response(body=body, content_type="application/json")

    async def _drip(self, request: web.Request, body: bytes) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        with suppress(ConnectionResetError):  # nobody waits for the end of it
            for byte in body:
                await response.write(bytes((byte,)))
                await asyncio.sleep(0.05)
        return response

    def _answer(self, action: str, parameters: Mapping[str, str], fault: Fault | None) -> dict[str, Any]:
        if action != "GetTrackList":
            listed = lists.answer(action, parameters, self.senders)
            if listed is None:
                raise Refusal(404, "InvalidAction.NotFound", "Specified api is not found.")
            return {"RequestId": self._request_id(), **listed}
        start, end, filters = self._question(parameters)
        rows = self._rows(start, end, filters)
        name = fault.name if fault else ""
        size = min(_whole(parameters.get("PageSize"), 10), self.habits.largest_page)
        size = 5 if name == "page_cap" else size
        number = _whole(parameters.get("PageNumber"), 1)
        if name == "rows_added":
            rows += [self._row(Counts(1, 0, 0, 0, 0), self.clock.time())] * number
        pages = -(-len(rows) // size)
        pages = {"pages_up": pages + 3, "pages_down": 1}.get(name, pages)
        shown = rows[(number - 1) * size : number * size]
        if name == "empty":
            rows, shown, pages = [], [], 0
        if shown and name in ("negative", "non_numeric"):
            shown[0] = {**shown[0], "RcptOpenCount": "-5" if name == "negative" else "many"}
        document: dict[str, Any] = {
            "RequestId": self._request_id(),
            "PageNo": number,
            "PageSize": size,
            "Total": len(rows),
            "TotalPages": pages,
            "data": {"stat": None if name == "stat_null" else shown},
        }
        if name == "no_data":
            del document["data"]
        return document

    def _question(self, parameters: Mapping[str, str]) -> tuple[date, date, dict[str, str]]:
        for name in ("StartTime", "EndTime"):
            if name not in parameters:
                raise Refusal(400, "MissingParameter", f"The parameter {name} is missing.")
            if not parameters[name]:
                raise Refusal(400, "InvalidDate.NotFound", f"The parameter {name} is empty.")
        try:
            start, end = (_day(parameters[name]) for name in ("StartTime", "EndTime"))
        except ValueError:
            raise Refusal(400, "InvalidDate.Malformed", "The date is not yyyy-MM-dd.") from None
        now = self.clock.time()
        today = self.traffic.today(now)
        oldest = now - 30 * 86_400 if self.habits.strict_span else self.traffic.day_start(today - timedelta(days=30))
        if self.traffic.day_start(start) < oldest or start > end:
            raise Refusal(400, "InvalidStartTime.Malformed", "The start must be within the last 30 days.")
        if (end - start).days > 7:
            raise Refusal(400, "InvalidBetweenTime.Malformed", "The span must not be longer than 7 days.")
        filters = {ours: parameters[theirs] for theirs, ours in FILTERS.items() if parameters.get(theirs)}
        if "tag" in filters and "sender" not in filters:
            raise Refusal(400, "MissingParameter", "AccountName is required with TagName.")
        if filters.get("sender", self.senders[0]) not in self.senders:
            raise Refusal(404, "InvalidMailAddress.NotFound", "The specified mail address is not found.")
        filters["esp"] = filters.get("esp", "").lower()
        if filters["esp"] not in ("", *PROVIDERS):
            raise Refusal(400, "InvalidEsp.Malformed", "The specified Esp is not valid.")
        return start, end, filters

    def _rows(self, start: date, end: date, filters: dict[str, str]) -> list[dict[str, str]]:
        now = self.clock.time()
        rows = []
        day = start
        while day <= end:
            begin = self.traffic.day_start(day)
            if self.habits.rows == "hour" and self.traffic.choices.attribution == "send":
                hours = self.traffic.hours(day, now, **filters)
                rows += [self._row(counts, begin + hour * 3600) for hour, counts in enumerate(hours) if any(counts)]
            elif any(counts := self.traffic.counts(day, now, **filters)):
                rows.append(self._row(counts, begin))
            day += timedelta(days=1)
        return rows

    def _row(self, counts: Counts, created: float) -> dict[str, str]:
        def rate(count: int) -> str:
            share = count / counts.emails if counts.emails else 0.0
            return {"31.42": f"{share * 100:.2f}", "31.42%": f"{share * 100:.2f}%"}.get(
                self.habits.rate_format, f"{share:.4f}"
            )

        return {
            "CreateTime": datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%dT%H:%MZ"),
            "TotalNumber": str(counts.emails),
            "RcptOpenCount": str(counts.opens),
            "RcptOpenRate": rate(counts.opens),
            "RcptUniqueOpenCount": str(counts.unique_opens),
            "RcptUniqueOpenRate": rate(counts.unique_opens),
            "RcptClickCount": str(counts.clicks),
            "RcptClickRate": rate(counts.clicks),
            "RcptUniqueClickCount": str(counts.unique_clicks),
            "RcptUniqueClickRate": rate(counts.unique_clicks),
        }

    def _request_id(self) -> str:
        text = hashlib.sha256(f"{self.traffic.seed}/{self._number}".encode()).hexdigest().upper()
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:32]}"


def _day(text: str) -> date:
    """Return a `yyyy-MM-dd` day. Raise ValueError for any other form."""
    if len(text) != len("2026-01-31"):
        raise ValueError(text)
    return date.fromisoformat(text)


def _whole(text: str | None, default: int) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and int(text) > 0 else default
