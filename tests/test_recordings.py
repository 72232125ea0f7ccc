"""Every recording in tests/recordings/, through parser, paging, cross-check, doctor and a whole exporter."""

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporter.app import App
from exporter.clock import SystemClock
from exporter.directmail import account, listing, responses
from exporter.directmail.client import Client, Result
from exporter.directmail.crosscheck import Crosscheck
from exporter.directmail.errors import InvalidRequest
from exporter.directmail.listing import OPERATIONS
from exporter.directmail.model import Filters
from exporter.directmail.statistics.registry import STATISTICS
from exporter.directmail.statistics.statistic import Statistic
from exporter.doctor.examination import examine
from exporter.doctor.recording import MANIFEST, CallRecorder, files, write
from exporter.doctor.sanitizing import Sanitizer
from exporter.metrics import tables
from exporter.plan.pacing import OLDEST_AGE
from exporter.simulator.behaviour import CHOICES, Behaviour
from exporter.simulator.faults import Fault
from exporter.simulator.replay import RecordedCall, Recording
from exporter.simulator.server import KEY_ID, SECRET, Simulator
from exporter.web.server import Options
from tests.support.clock import ScriptedClock
from tests.support.doctor import TRAFFIC
from tests.support.processes import get, started, until
from tests.support.recordings import MADE, QUERIES, client, config, queries_of
from tools import verified

FOLDERS = sorted(path.parent for path in verified.FOLDER.glob(f"*/{MANIFEST}"))
KEYS = {"ALIBABA_CLOUD_ACCESS_KEY_ID": KEY_ID, "ALIBABA_CLOUD_ACCESS_KEY_SECRET": SECRET}
OF_THE_MOMENT = {"clock", "speed", "discovery", "coverage"}
"""Checks of the doctor that judge the requests and their timing, not the responses."""


@pytest.fixture(params=FOLDERS, ids=lambda folder: folder.name)
def recording(request: pytest.FixtureRequest) -> Recording:
    folder: Path = request.param
    return Recording(folder)


def good(recording: Recording) -> Iterator[tuple[RecordedCall, dict[str, Any]]]:
    """Yield the calls that brought a document other than an error."""
    for call in recording.calls:
        if call.status == 200 and call.body is not None and "Code" not in call.body:
            yield call, dict(call.body)


def of_statistics(
    recording: Recording,
) -> Iterator[tuple[Statistic, Filters, date, date, RecordedCall, responses.StatisticPage]]:
    """Yield each good response to a request for a statistic."""
    by_action = {each.action: each for each in STATISTICS.values()}
    for call, body in good(recording):
        if (statistic := by_action.get(call.action)) is not None:
            keys = {parameter: key for key, parameter in statistic.parameters.items()}
            filters = Filters(**{keys[name]: value for name, value in call.parameters.items() if name in keys})
            start, end = (date.fromisoformat(call.parameters[name]) for name in ("StartTime", "EndTime"))
            yield statistic, filters, start, end, call, responses.page(statistic, body, "")


def test_there_is_one_of_each_habit_and_one_of_the_documentation() -> None:
    assert {"documentation-examples", *MADE} <= {folder.name for folder in FOLDERS}
    assert {MADE[name][0].rows for name in MADE} == set(CHOICES["rows"])
    assert {MADE[name][0].rate_format for name in MADE} == set(CHOICES["rate_format"])
    assert {MADE[name][0].clock_text for name in MADE} == set(CHOICES["clock_text"])


def test_it_names_its_source(recording: Recording) -> None:
    assert recording.manifest["source"] in ("account", "documentation", "simulator")
    assert recording.manifest["about"].endswith(".")
    assert re.fullmatch(r"\d+\.\d+\.\d+", recording.manifest["sdk"])
    assert recording.calls


def test_the_parser_reads_every_response(recording: Recording) -> None:
    readers: dict[str, Callable[[dict[str, Any]], object]] = {
        **{each.action: partial(listing.page, each, request_id="") for each in OPERATIONS.values()},
        **{each.action: partial(responses.page, each, request_id="") for each in STATISTICS.values()},
        account.SUMMARY: account.summary,
        account.DOMAIN: account.described,
    }
    for call, body in good(recording):
        assert readers[call.action](body) is not None


async def test_paging_gives_a_day_whole_or_not_at_all(recording: Recording) -> None:
    api = Simulator(clock=ScriptedClock(recording.began.timestamp()), recording=recording)
    api.signing_time = SystemClock().time
    async with api.listen() as url, client(url, api, page_size=recording.manifest["page_size"]) as caller:
        for statistic, filters, start, end, call, page in of_statistics(recording):
            if start != end or call.parameters.get("PageNumber", "1") != "1":
                continue
            response = await read(caller, statistic, filters, start)
            if isinstance(response, InvalidRequest):
                assert response.code == "NotRecorded"
                assert page.total is not None
                assert len(page.rows) < page.total
            else:
                assert response.totals == responses.summed(statistic, response.rows, "")[0]
                assert len(response.rows) == (len(page.rows) if page.total is None else page.total)


async def read(caller: Client, statistic: Statistic, filters: Filters, day: date) -> Result | InvalidRequest:
    try:
        return await caller.read(statistic, filters, day)
    except InvalidRequest as error:
        return error


def test_the_cross_check_agrees_with_the_doctor(recording: Recording) -> None:
    checks = {each.name: Crosscheck(each) for each in STATISTICS.values()}
    for statistic, filters, start, _, _, page in of_statistics(recording):
        checks[statistic.name].compare(filters, start, page.rows)
    found = [check for check, level in recording.manifest["findings"] if level != "ok"]
    for each in checks.values():
        assert "rates" in found or not any(each.mismatches.values())
        assert "counts" in found or not any(each.implausible.values())


async def test_the_doctor_finds_what_it_found_then(recording: Recording) -> None:
    assert of_answers(recording.manifest["findings"]) <= await replayed(recording)


@pytest.mark.parametrize(
    ("behaviour", "fault"),
    [
        pytest.param({"rows": "hour"}, "", id="hours"),
        pytest.param({"rows": "sum", "rate_format": "0.3142"}, "", id="sums"),
        pytest.param({"no_dedicated_ips": "empty"}, "", id="esp-empty"),
        pytest.param({"no_dedicated_ips": "whole", "user_status": "bits"}, "", id="esp-ignored"),
        pytest.param({"clock_text": "utc", "strict_span": True}, "", id="strict"),
        *(pytest.param({}, name, id=name) for name in ("wrong_rates", "more_unique", "page_cap", "pages_up", "empty")),
    ],
)
@pytest.mark.parametrize("factor", ["1", "3.7"])
async def test_the_doctor_finds_the_same_in_a_new_recording_as_in_the_account(
    behaviour: dict[str, Any], fault: str, factor: str, tmp_path: Path
) -> None:
    """Sanitised and scaled: shapes, relations and units are kept, so that what is wrong with an account can be seen."""
    clock = ScriptedClock(skip_sleeps=True)
    calls = CallRecorder(clock)
    api = Simulator(TRAFFIC, clock=clock, behaviour=Behaviour(**behaviour), faults=[Fault(fault)] if fault else [])
    async with api.listen() as url:
        settings = config(url, QUERIES)
        (then,) = await examine(settings, clock, KEYS, {"shop": calls})
    sanitizer = Sanitizer(b"secret", 60, Decimal(factor))
    write(tmp_path, files(settings.targets[0], calls.kept, then.findings, sanitizer))
    assert of_answers(then.findings) <= await replayed(Recording(tmp_path))


def of_answers(findings: Sequence[Sequence[str]]) -> set[tuple[str, str]]:
    """Return checks and levels of findings that are of the responses themselves."""
    return {(check, level) for check, level, *_ in findings if check not in OF_THE_MOMENT}


async def replayed(recording: Recording) -> set[tuple[str, str]]:
    """Return what the doctor finds where only the recording answers."""
    clock = ScriptedClock(recording.began.timestamp(), skip_sleeps=True)
    oldest = (recording.today - timedelta(days=OLDEST_AGE)).isoformat()
    api = Simulator(clock=clock, recording=recording)
    async with api.listen() as url:
        settings = config(
            url,
            queries_of(recording),
            page_size=recording.manifest["page_size"],
            zone=recording.zone.key,
            oldest=any(call.parameters.get("StartTime") == oldest for call in recording.calls),
        )
        (report,) = await examine(settings, clock, KEYS)
    return of_answers(report.findings)


async def test_a_whole_exporter_shows_todays_sums_and_nothing_that_was_not_recorded(recording: Recording) -> None:
    """On another day than that of the recording: its days move along."""
    wanted = {}
    for statistic, filters, start, end, _, page in of_statistics(recording):
        if start == end == recording.today and not any(filters) and (page.total or 0) <= len(page.rows):
            wanted[statistic.name] = responses.summed(statistic, page.rows, "")[0]
    assert wanted or recording.manifest["source"] != "simulator"
    names = sorted({each.name for each, *_ in of_statistics(recording)})
    queries = [{"name": "all", "statistics": names}]
    async with Simulator(recording=recording).listen() as url:
        settings = config(
            url, queries, page_size=recording.manifest["page_size"], zone=recording.zone.key, oldest=False
        )
        app = App(settings, Options(listen_addresses=("127.0.0.1:0",)), environment=KEYS)
        task, base = await started(app)
        await until(f"{base}/-/ready", "OK")
        _, text = await get(f"{base}/metrics")
        app.stop()
        await task
    samples = {
        (sample.name, sample.labels["window"]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if "window" in sample.labels and "query" in sample.labels
    }
    for name, table in tables.TABLES.items():
        rows = [row for row in table.rows if not row.reported][: len(STATISTICS[name].fields)]
        shown = tuple(samples.get((row.name, "today")) for row in rows)
        assert shown == tuple(wanted.get(name, (None,) * len(rows)))
