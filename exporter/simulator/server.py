"""The API's wire format: signatures, rules, pages, limits and error codes over real HTTP."""

import asyncio
import hashlib
import json
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any, NamedTuple

from aiohttp import web

from exporter.clock import MINUTE, Clock, SystemClock
from exporter.process import http_drain
from exporter.simulator import (
    account_summary,
    corrupted_responses,
    domains,
    list_operations,
    sender_statistics,
    track_list,
)
from exporter.simulator.account import STREAMS
from exporter.simulator.behaviour import Behaviour
from exporter.simulator.call import Call, Inventory
from exporter.simulator.error_responses import ApiError, of_fault, throttled
from exporter.simulator.faults import Fault, of_incident
from exporter.simulator.random_numbers import uniforms
from exporter.simulator.replay import Recording
from exporter.simulator.signature_check import Key, Nonces, Received, check_signature
from exporter.simulator.traffic import Traffic

KEY_ID, SECRET = "LTAI4SimulatorKey", "SimulatorSecret"
"""What the simulator accepts by default; no account anywhere has them."""
SHUTDOWN_SECONDS = 0.1
"""How long requests may take to finish when the server closes."""
OPERATIONS: Mapping[str, Callable[[Call], dict[str, Any]]] = {
    "GetTrackList": track_list.respond,
    "SenderStatisticsByTagNameAndBatchID": sender_statistics.respond,
    "DescAccountSummary": account_summary.summary,
    "QueryMailAddressByParam": account_summary.senders,
    "QueryDomainByParam": domains.query,
    "DescDomain": domains.describe,
    "QueryTagByParam": list_operations.tags,
    "ConfigSetList": list_operations.config_sets,
    "DedicatedIpList": list_operations.dedicated_ips,
    "DedicatedIpPoolList": list_operations.pools,
}
"""The function of each operation. None of them ever shows the address of a recipient."""
MOST_CALLS_PER_MINUTE = {"DescAccountSummary": 10}
"""Documented quotas, independent of the behaviour."""


class ReceivedRequest(NamedTuple):
    """A request that the simulator received."""

    at: float
    """Monotonic seconds of the simulator's clock."""
    action: str
    parameters: Mapping[str, str]
    outcome: str
    """`OK`, a Code, or the name of a fault."""


@dataclass
class Simulator:
    """The API of one account."""

    traffic: Traffic = field(default_factory=Traffic)
    key_id: str = KEY_ID
    secret: str = SECRET
    security_token: str = ""
    clock: Clock = field(default_factory=SystemClock)
    behaviour: Behaviour = field(default_factory=Behaviour)
    faults: list[Fault] = field(default_factory=list)
    signing_time: Callable[[], float] | None = None
    """The clock that dates are checked against, where the traffic's is another one."""
    senders: Sequence[str] = field(default_factory=lambda: sorted({stream.sender for stream in STREAMS}))
    inventory: Inventory = field(default_factory=Inventory)
    recording: Recording | None = None
    """The source of responses, instead of the traffic."""

    def __post_init__(self) -> None:
        self.requests: deque[ReceivedRequest] = deque(maxlen=200_000)
        """Every request, in the order of arrival."""
        self.url = ""
        self._nonces = Nonces()
        self._incidents = [fault for each in self.traffic.incidents if (fault := of_incident(each)) is not None]
        self._recent: defaultdict[str, deque[float]] = defaultdict(deque)
        """When each operation was called within the last minute."""
        self._number = 0

    @asynccontextmanager
    async def listen(self, host: str | None = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
        """Serve on an address, None for all and port 0 for any, and yield the URL."""
        app = web.Application()
        app.router.add_route("*", "/", self._handle)
        app.on_response_prepare.append(self._date)
        http_drain.end_requests(app, SHUTDOWN_SECONDS)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
            self.url = url_of(host, runner.addresses[0][1])
            yield self.url
        finally:
            await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self._number += 1
        request_id = self._request_id(self._number)
        received = Received(
            request.method,
            request.path,
            dict(request.query),
            {name.lower(): value for name, value in request.headers.items()},
            await request.read(),
        )
        action, parameters = received.headers.get("x-acs-action", ""), received.parameters
        fault: Fault | None = None
        try:
            check_signature(received, Key(self.key_id, self.secret, self.security_token))
            self._nonces.check(received.headers, self._now())
            self._check_rate(action)
            fault = self._fault(action, parameters)
            error = of_fault(fault, received.headers["authorization"]) if fault else None
            if error is not None:
                raise error
            if self.recording is not None:
                return self._replay(self.recording, request, action, parameters)
            document = await asyncio.to_thread(self._response, action, parameters, fault)
        except ApiError as error:
            self._note(action, parameters, fault.name if fault else error.code)
            body = error.body(request_id, request.host, action)
            return corrupted_responses.error(body, error.status, error.headers, fault.name if fault else "")
        self._note(action, parameters, fault.name if fault else "OK")
        return await self._send(request, {"RequestId": request_id, **document}, fault)

    def _replay(
        self, recording: Recording, request: web.Request, action: str, parameters: Mapping[str, str]
    ) -> web.Response:
        """Return the recorded response. Raise ApiError where there is none."""
        call = recording.respond(action, parameters, self.clock.time())
        self._note(action, parameters, "OK" if call.status == web.HTTPOk.status_code else str(call.status))
        if call.status is None and request.transport is not None:
            request.transport.abort()
        text = call.text if call.body is None else json.dumps(call.body)
        return web.Response(text=text, status=call.status or 200, headers=call.headers)

    async def _date(self, request: web.Request, response: web.StreamResponse) -> None:
        response.headers["Date"] = formatdate(self._now(), usegmt=True)  # of the clock that checks the request's

    def _now(self) -> float:
        return (self.signing_time or self.clock.time)()

    def _note(self, action: str, parameters: Mapping[str, str], outcome: str) -> None:
        self.requests.append(ReceivedRequest(self.clock.monotonic(), action, parameters, outcome))

    def _check_rate(self, action: str) -> None:
        now, recent = self.clock.monotonic(), self._recent[action if action in OPERATIONS else ""]
        while recent and recent[0] <= now - MINUTE:
            recent.popleft()
        most = self.behaviour.calls_per_minute
        if len(recent) >= min(most, MOST_CALLS_PER_MINUTE.get(action, most)):
            wait = str(round((recent[0] + MINUTE - now) * 1000))
            raise throttled({"x-acs-retry-after": wait} if self.behaviour.retry_after else None)
        recent.append(now)

    def _fault(self, action: str, parameters: Mapping[str, str]) -> Fault | None:
        now = self.clock.time()
        faults = (*self.faults, *self._incidents)
        chances = uniforms(len(faults), self.traffic.seed, "fault", self._number)
        for fault, chance in zip(faults, chances, strict=True):
            if fault.strikes(action, parameters, now, chance):
                return fault
        return None

    def _response(self, action: str, parameters: Mapping[str, str], fault: Fault | None) -> dict[str, Any]:
        if action not in OPERATIONS:
            raise ApiError(404, "InvalidAction.NotFound", "Specified api is not found.")
        name = fault.name if fault else ""
        account = (self.traffic, self.senders, self.inventory, self.behaviour)
        return OPERATIONS[action](Call(parameters, self.clock.time(), *account, name))

    async def _send(self, request: web.Request, document: dict[str, Any], fault: Fault | None) -> web.StreamResponse:
        body = json.dumps(document).encode()
        name = fault.name if fault else ""
        responses = {
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
        if name == "unasked":
            return await corrupted_responses.twice(request, body)
        corrupted = responses.get(name) or corrupted_responses.respond(document, self.key_id, name)
        return corrupted or web.Response(body=body, content_type="application/json")

    async def _drip(self, request: web.Request, body: bytes) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        with suppress(ConnectionResetError):  # the client may not wait for its end
            await response.prepare(request)
            for byte in body:
                await response.write(bytes((byte,)))
                await asyncio.sleep(0.05)
        return response

    def _request_id(self, number: int) -> str:
        text = hashlib.sha256(f"{self.traffic.seed}/{number}".encode()).hexdigest().upper()
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:32]}"


def url_of(host: str | None, port: int) -> str:
    """Return the URL at which what listens on an address, None for all, can be reached."""
    host = f"[{host}]" if host and ":" in host else host
    return f"http://{host or 'localhost'}:{port}"
