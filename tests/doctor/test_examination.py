"""The doctor at the simulator: what it finds, what it requests, what it never shows."""

import asyncio
import json
import os
import ssl
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from exporter.clock import SystemClock, VirtualClock
from exporter.commands.main import cli
from exporter.config import loader
from exporter.config.model import Target
from exporter.directmail.errors import (
    AuthError,
    DirectMailError,
    InvalidRequest,
    NetworkError,
    PermissionDenied,
    Throttled,
)
from exporter.directmail.model import Filters
from exporter.directmail.ram_policy import allowing, assuming
from exporter.directmail.statistics.engagement import ENGAGEMENT
from exporter.doctor import report
from exporter.doctor.calls import MOST_CALLS, MOST_FAILURES
from exporter.doctor.examination import examine
from exporter.doctor.failures import explain
from exporter.doctor.findings import NOTE, OK, PROBLEM, Finding, StatisticRequest
from exporter.doctor.report import Report
from exporter.doctor.steps import account
from exporter.simulator import faults, incidents
from exporter.simulator.faults import Fault
from exporter.simulator.server import Simulator
from exporter.simulator.traffic import Traffic
from tests.support.clock import ScriptedClock
from tests.support.doctor import (
    ID,
    KEYS,
    NEWS,
    NOTIFY,
    NOW,
    PRODUCT,
    SECRET,
    TOKEN,
    assert_readable,
    config_text,
    examined,
    simulator,
    visit,
)
from tests.support.issuers import Issuer, issued, serving


async def test_a_healthy_account_has_no_problem_and_a_complete_report() -> None:
    found = await visit(simulator())
    assert found.is_well
    assert {each.check for each in found.report.findings if each.level == OK} == {
        *("clock", "access", "speed", "span", "edge", "sender", "filters", "one_day", "timezone"),
        *("freshness", "rates", "page_size", "pages", "clock_text", "settings"),
        *("account", "quota", "reputation", "domains"),
    }
    assert {each.level for each in found.report.findings} == {OK}
    assert_readable(found.report)


async def test_no_request_is_made_twice_and_every_shape_once() -> None:
    api = simulator()
    await visit(api)
    requested = [(seen.action, tuple(sorted(seen.parameters.items()))) for seen in api.requests]
    assert len(set(requested)) == len(requested)
    shapes = Counter(
        tuple(name for name in ("AccountName", "TagName", "Esp") if name in seen.parameters) for seen in api.requests
    )
    assert shapes["AccountName", "Esp"] == shapes["AccountName", "TagName"] == 1
    assert {seen.parameters.get("AccountName") for seen in api.requests} == {None, NEWS, NOTIFY}


async def test_the_calls_are_limited_and_what_is_left_out_is_reported() -> None:
    many = f"""
      - name: by_sender
        account_name: [{", ".join(f"s{number}@example.com" for number in range(20))}]
      - name: by_all
        account_name: {NOTIFY}
        tag_name: receipt
        esp: gmail.com
        dedicated_ip: 192.0.2.10
        dedicated_ip_pool_id: pool-system
        config_set_id: set-system
      - name: by_ip
        dedicated_ip: 192.0.2.10
      - name: by_pool
        dedicated_ip_pool_id: pool-system
      - name: by_set
        config_set_id: set-system
      - name: by_esp
        account_name: {NOTIFY}
        esp: gmail.com
"""
    found = await visit(simulator(), queries=many)
    assert found.report.requests == MOST_CALLS + account.MOST_CALLS
    left = " ".join(each.text for each in found.of("coverage"))
    assert "sender s1@example.com and 18 more" in left
    assert "breakdown" in left


EXPECTED: dict[str, tuple[str, str]] = {
    "throttle": ("throttling", PROBLEM),
    "throttle_retry_after": ("throttling", PROBLEM),
    "http_429": ("throttling", PROBLEM),
    "error": ("api", PROBLEM),
    "html_500": ("api", PROBLEM),
    "http_503": ("api", PROBLEM),
    "http_503_retry_after": ("api", PROBLEM),
    "failed_200": ("api", PROBLEM),
    "throttle_200": ("throttling", PROBLEM),
    "throttle_xml": ("throttling", PROBLEM),
    "throttle_gbk": ("throttling", PROBLEM),
    "exponents": ("access", OK),
    "many_rows": ("api", PROBLEM),
    "echo": ("api", PROBLEM),
    "unasked": ("access", OK),
    "large_header": ("connection", PROBLEM),
    "brotli": ("connection", PROBLEM),
    "page_size": ("page_size", PROBLEM),
    "truncate": ("api", PROBLEM),
    "no_data": ("api", PROBLEM),
    "stat_null": ("api", PROBLEM),
    "empty": ("freshness", NOTE),
    "negative": ("api", PROBLEM),
    "non_numeric": ("api", PROBLEM),
    "wrong_content_type": ("access", OK),
    "huge": ("api", PROBLEM),
    "hang": ("connection", PROBLEM),
    "reset": ("connection", PROBLEM),
    "slow_drip": ("connection", PROBLEM),
    "slow": ("access", OK),
    "invalid_key": ("access", PROBLEM),
    "bad_signature": ("access", PROBLEM),
    "expired": ("access", PROBLEM),
    "nonce": ("access", PROBLEM),
    "forbidden": ("access", PROBLEM),
    "unknown_sender": ("sender", PROBLEM),
    "page_fails": ("api", PROBLEM),
    "pages_up": ("pages", NOTE),
    "pages_down": ("pages", NOTE),
    "page_cap": ("page_size", NOTE),
    "rows_added": ("pages", NOTE),
    "wrong_rates": ("rates", NOTE),
    "more_unique": ("counts", NOTE),
}
"""What the doctor finds where a fault of the API strikes every call."""
ENDS_AT_ONCE = ("throttling", "connection", "access")
"""Checks whose problem every further call would meet too."""


@pytest.mark.parametrize("name", faults.NAMES)
async def test_every_fault_is_explained(name: str) -> None:
    check, level = EXPECTED[name]
    settings = "timeout: 500ms" if name in ("hang", "slow_drip") else ""
    found = await visit(simulator(Fault(name, seconds=0.01)), settings=settings)
    assert (check, level) in {(each.check, each.level) for each in found.report.findings}
    assert_readable(found.report)
    if level == PROBLEM:
        assert not found.is_well
    elif name != "rows_added":  # which has mail for tomorrow as well
        assert found.is_well
    if level == PROBLEM and (check in ENDS_AT_ONCE or name == "http_503_retry_after"):
        assert found.report.requests == 1
        assert found.one("coverage").text == "The rest was not tried."
    if level == PROBLEM and check == "api" and name not in ("page_fails", "http_503_retry_after"):
        assert found.report.requests == MOST_FAILURES
        assert len(found.of("api")) == MOST_FAILURES


@pytest.mark.parametrize("name", [name for name, kind in incidents.NAMES.items() if kind.fault])
async def test_incidents_of_the_api_are_found(name: str) -> None:
    factor = "0.001" if name == "api_slow" else "1"
    now = datetime.fromisoformat(NOW).timestamp()
    planned = incidents.parse(f"{name}:factor={factor},start=-1h", now)
    found = await visit(simulator(traffic=Traffic(incidents=[planned])))
    check, level = EXPECTED[incidents.NAMES[name].fault]
    assert (check, level) in {(each.check, each.level) for each in found.report.findings}
    assert found.is_well == (name == "api_slow")


@pytest.mark.parametrize("name", ["frozen", "hourly", "restated", "sender_stopped"])
async def test_odd_numbers_are_no_problem_of_the_account(name: str) -> None:
    planned = incidents.parse(f"{name}:start=-2d", datetime.fromisoformat(NOW).timestamp())
    assert (await visit(simulator(traffic=Traffic(incidents=[planned])))).is_well


async def test_throttled_half_way_it_reports_what_it_has_and_that_the_rest_was_not_tried() -> None:
    found = await visit(simulator(Fault("throttle_retry_after", after=3)))
    assert found.report.requests == 4
    assert found.one("throttling").level == PROBLEM
    assert "wait 2s" in found.one("throttling").text
    assert found.one("access").level == OK
    assert found.one("coverage").text == "The rest was not tried."


async def test_the_policy_that_is_missing_is_printed_ready_to_attach() -> None:
    found = await visit(simulator(Fault("forbidden")))
    assert allowing(["GetTrackList"]) in found.one("access").fix
    shown = report.as_text([found.report])
    start = shown.index("{")
    policy = json.loads(shown[start : shown.rindex("}") + 1])
    assert policy["Statement"] == [{"Effect": "Allow", "Action": ["dm:GetTrackList"], "Resource": ["*"]}]


@pytest.mark.parametrize(
    ("ahead", "level", "says"),
    [
        pytest.param(1200, PROBLEM, "20m ahead of", id="far-ahead"),
        pytest.param(-1200, PROBLEM, "20m behind", id="far-behind"),
        pytest.param(100, NOTE, "s ahead of", id="a-little-ahead"),
        pytest.param(-300, NOTE, "5m behind", id="a-little-behind"),
        pytest.param(20, OK, "agrees", id="near-enough"),
    ],
)
async def test_a_clock_that_is_off_is_reported_by_how_much(ahead: float, level: str, says: str) -> None:
    found = await visit(simulator(), ahead=ahead)
    clock = found.one("clock")
    assert (clock.level, says in clock.text) == (level, True)
    if level == PROBLEM:
        assert "InvalidTimeStamp" in found.one("access").text
    else:
        assert found.is_well


async def test_a_date_rejected_although_the_clock_is_right_points_to_a_proxy() -> None:
    access = (await visit(simulator(Fault("expired")))).one("access")
    assert access.fix == "This machine's clock agrees with the API's: look for a proxy that holds requests back."


@pytest.mark.parametrize(
    ("name", "fix"), [("error", "report the RequestId"), ("html_500", "lacks the API's RequestId")]
)
async def test_a_failing_response_is_for_support_or_the_proxys_owner(name: str, fix: str) -> None:
    first, _ = (await visit(simulator(Fault(name)))).of("api")
    assert "the request was for 2026-04-22, the whole account" in first.text
    assert fix in first.fix


async def test_a_note_for_support_shows_its_request_id() -> None:
    found = await visit(simulator(Fault("more_unique")))
    odd = found.one("counts")
    assert odd.text.endswith("opens, in the response for 2026-04-22.")
    assert f"RequestId {odd.request_id}" in report.as_text([found.report])


async def test_temporary_credentials_are_reported_with_their_end() -> None:
    api, clock = simulator(), ScriptedClock(NOW, skip_sleeps=True)
    async with api.listen() as url, serving(Issuer()) as issuer:
        key = issued(1)
        api.key_id, api.secret, api.security_token = key.access_key_id, key.access_key_secret, key.security_token
        block = f"credentials: {{type: credentials_uri, credentials_uri: '{issuer}/credentials'}}"
        found = await examined(config_text(url, settings=block), clock, {})
    (access,) = [each for each in found.findings if each.check == "access"]
    assert "It is a temporary one, renewed before 20" in access.text
    assert not any(secret in report.as_text([found]) + report.as_json([found]) for secret in key.secrets())


async def test_slow_answers_are_reported_before_they_are_timeouts() -> None:
    """A clock a hundred times as fast: 0.1 s are 10 s."""
    start = datetime.fromisoformat(NOW).timestamp()
    found = await visit(simulator(Fault("slow", seconds=0.1, times=1), clock=VirtualClock(100, start)))
    assert found.one("speed").level == NOTE


@pytest.mark.parametrize(
    ("behaviour", "check", "says"),
    [
        pytest.param({"rows": "day"}, "page_size", "takes 1 call", id="a-row-a-day"),
        pytest.param({"rows": "hour"}, "timezone", "begins at UTC+08:00", id="a-row-an-hour"),
        pytest.param({"rows": "sum"}, "one_day", "works", id="one-row-of-all"),
        pytest.param({"rate_format": "31.42"}, "rates", "percent", id="percent"),
        pytest.param({"rate_format": "31.42%"}, "rates", "percent", id="percent-with-its-sign"),
        pytest.param({"rate_format": "0.3142"}, "rates", "fraction", id="fraction"),
        pytest.param({"largest_page": 20}, "page_size", "returns 20 rows", id="small-pages"),
        pytest.param({"largest_page": 5, "rows": "hour"}, "page_size", "takes 5 calls", id="many-pages"),
        pytest.param({"largest_page": 5, "rows": "hour"}, "pages", "second page follows", id="a-second-page"),
        pytest.param({"strict_span": True}, "edge", "rejected 2026-03-23", id="days-counted-to-the-second"),
        pytest.param({"strict_span": False}, "edge", "accepts 2026-03-23", id="days-counted-whole"),
        pytest.param({"retry_after": True}, "access", "accepted", id="nothing-special"),
    ],
)
async def test_what_the_documentation_leaves_open_is_reported_and_no_problem(
    behaviour: dict[str, object], check: str, says: str
) -> None:
    found = await visit(simulator(**behaviour))
    assert says in " ".join(each.text for each in found.of(check))
    assert found.is_well
    assert_readable(found.report)


async def test_a_row_an_hour_shows_how_fresh_the_newest_is() -> None:
    found = await visit(simulator(rows="hour"))
    assert found.one("freshness").text == "The newest record is of 2026-04-22 10:00 UTC, 16m ago."


@pytest.mark.parametrize(
    ("zone", "now", "rows", "level", "says"),
    [
        pytest.param("Asia/Shanghai", NOW, "hour", OK, "begins at UTC+08:00", id="right-and-known"),
        pytest.param("Asia/Shanghai", NOW, "day", OK, "from UTC+08:00 eastward", id="right-as-far-as-known"),
        pytest.param("UTC", NOW, "day", NOTE, "from UTC+08:00 eastward, not UTC", id="too-far-west"),
        pytest.param("Asia/Tokyo", NOW, "hour", NOTE, "fit UTC+08:00, not Asia/Tokyo", id="an-hour-off"),
        pytest.param(
            "UTC", "2026-04-22T18:30:00+00:00", "day", PROBLEM, "mail for 2026-04-23", id="tomorrow-has-begun"
        ),
    ],
)
async def test_the_zone_is_reported_as_far_as_it_can_be_known(
    zone: str, now: str, rows: str, level: str, says: str
) -> None:
    found = await visit(simulator(clock=ScriptedClock(now, skip_sleeps=True), rows=rows), zone=zone)
    (finding,) = found.of("timezone")
    assert finding.level == level
    assert says in finding.text


async def test_an_api_that_rejects_today_points_to_the_timezone() -> None:
    """Its calendar is two days behind, its clock for signatures is right."""
    api, clock = simulator(), ScriptedClock("2026-04-24T10:15:30+00:00", skip_sleeps=True)
    api.signing_time = clock.time
    async with api.listen() as url:
        found = await examined(config_text(url), clock)
    (rejected,) = [each for each in found.findings if (each.check, each.level) == ("timezone", PROBLEM)]
    assert "rejected 2026-04-24, today in Asia/Shanghai (InvalidStartTime.Malformed)" in rejected.text


async def test_midnight_on_the_way_leaves_the_zone_open() -> None:
    clock = ScriptedClock("2026-04-22T15:59:59.990+00:00", skip_sleeps=True)
    found = await visit(simulator(clock=clock))
    assert found.of("timezone") == []


async def test_a_sender_of_another_region_is_named_and_the_others_are_checked() -> None:
    api = simulator()
    api.senders = [NOTIFY, PRODUCT]
    found = await visit(api)
    (unknown,) = [each for each in found.of("sender") if each.level == PROBLEM]
    assert f"no sender {NEWS}" in unknown.text
    assert "region" in unknown.fix
    assert unknown.request_id
    assert any(NOTIFY in each.text and each.level == OK for each in found.of("sender"))


@pytest.mark.parametrize(
    ("query", "struck", "names"),
    [
        pytest.param(f"account_name: {NOTIFY}\n        esp: gmail.com", {"Esp": "gmail.com"}, "esp", id="esp"),
        pytest.param("dedicated_ip: 203.0.113.9", {}, "dedicated_ip", id="dedicated-ip"),
        pytest.param("dedicated_ip_pool_id: nowhere", {}, "dedicated_ip_pool_id", id="pool"),
    ],
)
async def test_an_empty_answer_to_a_filter_for_dedicated_ips_is_explained(
    query: str, struck: dict[str, str], names: str
) -> None:
    """The simulator's account has mail; what passes the filter is nothing."""
    struck_faults = [Fault("empty", where=struck)] if struck else []
    found = await visit(simulator(*struck_faults), queries=f"\n      - name: narrow\n        {query}\n")
    (empty,) = [each for each in found.of("filters") if each.level == PROBLEM]
    assert "no mail, while" in empty.text
    assert f"{names} is documented for users of dedicated IPs" in empty.fix


@pytest.mark.parametrize(
    "query",
    ["dedicated_ip: 192.0.2.10", "dedicated_ip_pool_id: pool-system", "config_set_id: set-system"],
)
async def test_filters_that_let_mail_through_are_well(query: str) -> None:
    found = await visit(simulator(), queries=f"\n      - name: narrow\n        {query}\n")
    assert found.one("filters").level == OK


async def test_a_tag_without_mail_is_a_note_beside_its_sender() -> None:
    tags = f"\n      - name: tags\n        account_name: {NOTIFY}\n        tag_name: typo\n"
    found = await visit(simulator(), queries=tags)
    assert found.is_well
    assert f"no mail, while account_name={NOTIFY} has" in found.one("filters").text


class WithoutProviders(Traffic):
    """The filter by provider changes nothing."""

    def _chosen(self, filters: Mapping[str, str]) -> Iterator[tuple[int, str]]:
        return super()._chosen({**filters, "esp": ""})


async def test_an_esp_that_changes_nothing_may_be_ignored() -> None:
    found = await visit(simulator(traffic=WithoutProviders()))
    (same,) = [each for each in found.of("filters") if each.level == NOTE]
    assert "ignores the filter" in same.text


async def test_an_api_that_rejects_a_week_is_requested_by_the_day() -> None:
    class NoWeeks(Simulator):
        def _response(self, action: str, parameters: Mapping[str, str], fault: Fault | None) -> dict[str, object]:
            if parameters.get("StartTime") != parameters.get("EndTime"):
                parameters = {**parameters, "StartTime": "2026-01-01"}
            return super()._response(action, parameters, fault)

    clock = ScriptedClock(NOW, skip_sleeps=True)
    api = NoWeeks(key_id=ID, secret=SECRET, security_token=TOKEN, clock=clock)
    found = await visit(api)
    assert found.is_well
    assert found.one("span").level == NOTE
    assert any(NEWS in each.text for each in found.of("sender"))


async def test_without_credentials_no_call_is_made() -> None:
    api = simulator()
    async with api.listen() as url:
        found = await examined(config_text(url), api.clock, {})
    assert (found.requests, len(api.requests)) == (0, 0)
    (access, coverage) = found.findings
    assert (access.check, access.level) == ("access", PROBLEM)
    assert "ALIBABA_CLOUD_ACCESS_KEY_ID" in access.text
    assert coverage.check == "coverage"


async def test_nothing_at_the_address_is_explained(unused_tcp_port: int) -> None:
    endpoint = f"http://127.0.0.1:{unused_tcp_port}"
    found = await examined(config_text(endpoint), ScriptedClock(NOW, skip_sleeps=True))
    connection = next(each for each in found.findings if each.check == "connection")
    assert connection.text == f"Connection refused: 127.0.0.1:{unused_tcp_port}."
    assert found.requests == 1


async def test_an_endpoint_without_tls_is_explained() -> None:
    async with simulator().listen() as url:
        found = await examined(config_text(url.replace("http:", "https:")), ScriptedClock(NOW, skip_sleeps=True))
    assert "TLS failed: " in next(each.text for each in found.findings if each.check == "connection")


async def test_an_untrusted_certificate_is_explained(tmp_path: Path) -> None:
    runner = web.AppRunner(web.Application())
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=self_signed(tmp_path)).start()
        endpoint = f"https://127.0.0.1:{runner.addresses[0][1]}"
        found = await examined(config_text(endpoint), ScriptedClock(NOW, skip_sleeps=True))
    finally:
        await runner.cleanup()
    (connection,) = [each for each in found.findings if each.check == "connection"]
    assert connection.text.startswith("Certificate not trusted: self")
    assert "SSL_CERT_FILE" in connection.fix


async def test_a_proxys_page_is_not_mistaken_for_the_api() -> None:
    async def page(request: web.Request) -> web.Response:
        return web.Response(status=403, text="<html>blocked</html>", content_type="text/html")

    app = web.Application()
    app.router.add_route("*", "/", page)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        endpoint = f"http://127.0.0.1:{runner.addresses[0][1]}"
        found = await examined(config_text(endpoint), ScriptedClock(NOW, skip_sleeps=True))
    finally:
        await runner.cleanup()
    (connection,) = [each for each in found.findings if each.check == "connection"]
    assert "responded instead of the API (HTTP 403)" in connection.text


async def test_without_a_date_header_the_clock_is_not_judged() -> None:
    body = b'{"Code": "Forbidden.RAM", "RequestId": "ID-1"}'

    async def dateless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(dateless, "127.0.0.1", 0) as server:
        endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        found = await examined(config_text(endpoint), ScriptedClock(NOW, skip_sleeps=True))
    assert [(each.check, each.level) for each in found.findings][:2] == [("clock", NOTE), ("access", PROBLEM)]
    assert found.findings[1].request_id == "ID-1"


def target(**options: str) -> Target:
    sound, _ = loader.parse(config_text("https://dm.example.com"))
    assert sound is not None
    if not options:
        return sound.targets[0]
    text = config_text("https://dm.example.com", settings=f"credentials: {json.dumps(options)}")
    sound, problems = loader.parse(text)
    assert problems == ()
    assert sound is not None
    return sound.targets[0]


@pytest.mark.parametrize(
    ("error", "check", "says", "fix"),
    [
        pytest.param(
            NetworkError("name not found: x", advice="Look."), "connection", "Name not found: x.", "Look.", id="name"
        ),
        pytest.param(
            PermissionDenied("x", code="User.Blacklisted", status=403, advice="Open a ticket."),
            "account",
            "the account itself",
            "ticket",
            id="the-account",
        ),
        pytest.param(
            Throttled("x", code="Throttling.User", status=400, advice="Slower."),
            "throttling",
            "throttles",
            "again",
            id="slow",
        ),
        pytest.param(
            InvalidRequest("x", code="MissingParameter", status=400),
            "filters",
            "requires another",
            "account_name",
            id="tag-alone",
        ),
        pytest.param(
            InvalidRequest("x", code="InvalidEsp.Malformed", advice="y"), "filters", "InvalidEsp", "y", id="other"
        ),
        pytest.param(
            InvalidRequest("PageSize is not valid", code="InvalidParameter", status=400, advice="Lower page_size."),
            "page_size",
            "pages of 100 rows",
            "page_size",
            id="page-size",
        ),
        pytest.param(
            AuthError("x", code="InvalidSecurityToken.Expired", status=400, advice="y"),
            "access",
            "token",
            "y",
            id="token",
        ),
        pytest.param(
            AuthError("x", code="Signature.Odd", status=400, advice="y"), "access", "rejected", "y", id="unknown"
        ),
    ],
)
def test_a_failure_has_plain_words_and_a_fix(error: DirectMailError, check: str, says: str, fix: str) -> None:
    today = datetime.fromisoformat(NOW).date()
    found = explain(error, target(), StatisticRequest(ENGAGEMENT, today, today, Filters(tag_name="weekly")))
    assert (found.check, found.level) == (check, PROBLEM)
    assert says in found.text
    assert fix in found.fix


@pytest.mark.parametrize("code", ["", "NoPermission"], ids=["no-code", "refused-by-sts"])
def test_a_role_that_cannot_be_assumed_gets_its_policy(code: str) -> None:
    arn = "acs:ram::1234567890123456:role/directmail-exporter"
    role = target(type="ram_role_arn", role_arn=arn, access_key_id_file="/a", access_key_secret_file="/b")
    today = datetime.fromisoformat(NOW).date()
    error = AuthError("no credentials of type ram_role_arn", code=code, advice="Check the role.")
    found = explain(error, role, StatisticRequest(ENGAGEMENT, today, today))
    assert assuming(arn) in found.fix
    assert code in found.text


def run(*arguments: str) -> Result:
    return CliRunner(env=KEYS).invoke(cli, arguments)


def quick() -> Simulator:
    """Return an account without domains: there would be seconds between their requests."""
    api = simulator(clock=SystemClock())
    api.inventory.domains = ()
    return api


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


async def test_the_command_prints_text_and_ends_well(tmp_path: Path) -> None:
    async with quick().listen() as url:
        path = write(tmp_path / "config.yaml", config_text(url))
        result = await asyncio.to_thread(run, "doctor", "--config.file", path)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"target shop: {url}, ")
    assert "No problems found" in result.stdout
    assert result.stderr == "At most 16 calls per target, which take about 1s at 6000 a minute.\n"


async def test_the_command_prints_json_for_tickets_and_fails_with_a_problem(tmp_path: Path) -> None:
    async with simulator(Fault("forbidden"), clock=SystemClock()).listen() as url:
        path = write(tmp_path / "config.yaml", config_text(url))
        result = await asyncio.to_thread(run, "doctor", "--config.file", path, "--format", "json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert {tuple(each) for each in found} == {("target", "check", "level", "text", "fix", "request_id")}
    (problem,) = [each for each in found if each["level"] == PROBLEM]
    assert (problem["target"], problem["check"]) == ("shop", "access")
    assert problem["request_id"]


def test_a_broken_config_is_a_line_for_each_mistake(tmp_path: Path) -> None:
    queries = "\n      - name: tags\n        tag_name: weekly\n"
    path = write(tmp_path / "config.yaml", config_text("https://dm.example.com", queries=queries))
    result = run("doctor", "--config.file", path)
    assert result.exit_code == 1
    (line,) = result.output.splitlines()
    assert line.startswith(f"{path}: targets[0].queries[0]")
    assert "account_name" in line


async def test_every_target_has_its_own_calls(tmp_path: Path) -> None:
    api, other = simulator(), simulator(Fault("forbidden"))
    async with api.listen() as url, other.listen() as second:
        text = config_text(url) + config_text(second).split("targets:")[1].replace("name: shop", "name: outlet")
        sound, problems = loader.parse(text)
        assert problems == ()
        assert sound is not None
        reports = await examine(sound, api.clock, KEYS)
    assert [(each.target, each.requests) for each in reports] == [("shop", len(api.requests)), ("outlet", 1)]
    assert not report.is_well(reports)
    assert report.is_well(reports[:1])


@pytest.mark.parametrize(
    ("level", "verdict"),
    [(OK, "No problems found."), (NOTE, "No problems found: 1 note."), (PROBLEM, "Problems found: 1 problem.")],
)
def test_the_last_line_shows_whether_there_are_problems(level: str, verdict: str) -> None:
    found = Report("shop", "https://dm.example.com", 1, (Finding("clock", level, "It ticks."),))
    assert report.as_text([found]).splitlines()[-1] == verdict


CHINESE = Report("shop", "https://dm.example.com", 1, (Finding("filters", NOTE, "tag_name=标签🎉: nothing."),))


def test_text_is_printed_as_it_is_where_the_stream_can_carry_it() -> None:
    assert "tag_name=标签🎉: nothing." in report.as_text([CHINESE], "utf-8")
    assert "tag_name=标签🎉: nothing." in report.as_text([CHINESE], "gb18030")
    assert "tag_name=标签\\U0001f389: nothing." in report.as_text([CHINESE], "gbk")
    assert "tag_name=\\u6807\\u7b7e\\U0001f389: nothing." in report.as_text([CHINESE], "ascii")


@pytest.mark.parametrize("encoding", ["utf-8", "gbk", "ascii"])
def test_json_is_as_it_is_where_the_stream_can_carry_it_and_json_everywhere(encoding: str) -> None:
    shown = report.as_json([CHINESE], encoding)
    shown.encode(encoding)
    assert json.loads(shown)[0]["text"] == "tag_name=标签🎉: nothing."
    assert ("标签" in shown) == (encoding == "utf-8")


def test_what_a_terminal_would_obey_is_escaped() -> None:
    odd = Finding("filters", NOTE, "tag_name=\x1b[31mred\u202e\x9b: nothing.", "One\nTwo")
    shown = report.as_text([Report("shop", "https://dm.example.com", 1, (odd,))], "utf-8")
    assert "tag_name=\\x1b[31mred\\u202e\\x9b: nothing." in shown
    assert all(line.isprintable() for line in shown.splitlines())
    assert shown.splitlines()[-3].strip() == "Two"


@pytest.mark.parametrize(("encoding", "shown"), [("utf-8", "标签"), ("ascii", "\\u6807\\u7b7e")])
@pytest.mark.parametrize("style", ["text", "json"])
async def test_the_command_prints_what_its_stream_can_carry(
    style: str, encoding: str, shown: str, tmp_path: Path
) -> None:
    tags = f"\n      - name: tags\n        account_name: {NOTIFY}\n        tag_name: 标签\n"
    async with quick().listen() as url:
        path = write(tmp_path / "config.yaml", config_text(url, queries=tags))
        doctor = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "exporter", "doctor", "--config.file", path, "--format", style),
            env={**os.environ, **KEYS, "PYTHONIOENCODING": encoding},
            stdout=asyncio.subprocess.PIPE,
        )
        output = (await doctor.communicate())[0].decode(encoding)
    assert doctor.returncode == 0
    assert shown in output


def self_signed(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context
