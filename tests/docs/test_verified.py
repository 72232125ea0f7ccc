"""docs/verified.md is what the recordings say, and the only page that says what nobody has tried."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from exporter.directmail.signing import canonical_query
from exporter.directmail.statistics.registry import STATISTICS
from exporter.doctor import recording as writing
from exporter.doctor.examination import most_calls
from exporter.doctor.recording import MANIFEST, CallRecorder
from exporter.doctor.sanitizing import Sanitizer
from exporter.simulator.behaviour import Behaviour
from exporter.simulator.faults import Fault
from exporter.simulator.replay import Recording
from exporter.simulator.server import KEY_ID, SECRET, Simulator
from tests.support.clock import ScriptedClock
from tests.support.doctor import TRAFFIC
from tests.support.recordings import MADE, QUERIES, config
from tools import account, verified
from tools.questions import QUESTIONS, RECORDED, answer

ROOT = Path(__file__).parents[2]
KEYS = {"ALIBABA_CLOUD_ACCESS_KEY_ID": KEY_ID, "ALIBABA_CLOUD_ACCESS_KEY_SECRET": SECRET}
BY_TEXT = {request.text: request for request in QUESTIONS}
ROWS = "Rows: one a day, one an hour, one sum?"
UNIT = "Are the rates percent or fractions?"
DOMAIN = "Does the filter `Domain` work?"
ESP = "Does `Esp` work without dedicated IPs?"
CHINA = "Is the text of a CreateTime in China time, in every region?"
LIMIT = "Is a sender's DailyCount the mail that it used, or its limit?"
PAGE = "How many rows a page, by default and at most?"
EDGE = "Is the day 30 days ago still given?"
RECORDINGS = verified.recordings()


def test_the_page_is_written_from_the_recordings_as_they_are() -> None:
    assert verified.FILE.read_text() == verified.text(), "run `make docs`"


def test_no_other_page_mentions_that_it_is_untested() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    claims = r"(?i)nobody has (run|tried)|no real account|(never|not) (been )?(run|tried) against|real service"
    assert [page.name for page in pages if re.search(claims, page.read_text())] == ["verified.md"]
    linking = {page.name for page in pages if "verified.md" in page.read_text()}
    assert {"README.md", "getting-started.md", "release.md", "alerting.md"} <= linking


def test_only_recordings_of_accounts_count_as_verified(tmp_path: Path) -> None:
    """The same answers, once from the simulator and once from an account."""
    source = verified.FOLDER / "simulator-sum-sign"
    kept = tmp_path / "shop" / "GetTrackList"
    kept.mkdir(parents=True)
    for path in source.glob("GetTrackList/*.json"):
        (kept / path.name).write_text(path.read_text())
    manifest = json.loads((source / MANIFEST).read_text())
    request = BY_TEXT[UNIT]
    for origin, is_seen in (("simulator", False), ("account", True)):
        (tmp_path / "shop" / MANIFEST).write_text(json.dumps({**manifest, "source": origin, "region": "us-east-1"}))
        seen, _, rest = verified.text(tmp_path).partition("## Still open")
        still_open = rest.partition("## Give a recording")[0]
        row = f"| {request.text} | percent with a sign | `shop`, 2026-04 us-east-1 |"
        assert (row in seen) == is_seen
        assert (f"| {request.text} | {request.where} |" in still_open) != is_seen


class TestQuestions:
    @pytest.mark.parametrize("text", [each.text for each in QUESTIONS if each.read is not None])
    def test_what_can_be_read_is_answered_by_some_recording(self, text: str) -> None:
        """But for the header of a throttled call: no recording was throttled."""
        answers = {answer(BY_TEXT[text], each) for each in RECORDINGS} - {""}
        assert bool(answers) != text.startswith("Which header")

    def test_what_recordings_answer_has_a_reader(self) -> None:
        assert all(request.read for request in QUESTIONS if request.how == RECORDED)

    @pytest.mark.parametrize(
        ("text", "answers"),
        [
            pytest.param(
                "Rows: one a day, one an hour, one sum?", ("one a day (7", "more than one", "one sum"), id="rows"
            ),
            pytest.param(
                "Are the rates percent or fractions?", ("percent", "fraction", "percent with a sign"), id="unit"
            ),
            pytest.param(DOMAIN, ("a part", "", "ignored"), id="domain"),
            pytest.param(
                "Does `Esp` work without dedicated IPs?", ("a part", "a part", "rejected: HTTP 400"), id="esp"
            ),
        ],
    )
    def test_the_simulators_behaviours_are_distinguished(self, text: str, answers: tuple[str, ...]) -> None:
        made = [each for each in RECORDINGS if each.name in MADE]
        assert [answer(BY_TEXT[text], each)[: len(expected)] for each, expected in zip(made, answers, strict=True)] == [
            *answers
        ]

    @pytest.mark.parametrize(
        ("behaviour", "text", "expected"),
        [
            pytest.param({"no_dedicated_ips": "empty"}, ESP, "nothing passes", id="esp-empty"),
            pytest.param({"no_dedicated_ips": "whole"}, ESP, "ignored", id="esp-ignored"),
            pytest.param({"clock_text": "china"}, CHINA, "+8 h", id="china"),
            pytest.param({"sender_counts": "limit"}, LIMIT, "not the requested mail: a limit", id="limit"),
            pytest.param({"largest_page": 5}, PAGE, "5 by default, 5 where 1000", id="page"),
            pytest.param({"strict_span": True}, EDGE, "rejected: HTTP 400 InvalidStartTime.Malformed", id="edge"),
        ],
    )
    async def test_what_an_account_does_is_read_from_its_calls(
        self, behaviour: dict[str, Any], text: str, expected: str, tmp_path: Path
    ) -> None:
        assert answer(BY_TEXT[text], await requested(tmp_path, Behaviour(**behaviour))).startswith(expected)

    async def test_the_header_of_a_throttled_call_is_named(self, tmp_path: Path) -> None:
        recording = await requested(tmp_path, Behaviour(), Fault("throttle_retry_after", retry_after=2000))
        assert (
            answer(BY_TEXT["Which header says how long to wait when it throttles?"], recording) == "x-acs-retry-after"
        )


async def requested(folder: Path, behaviour: Behaviour, *faults: Fault) -> Recording:
    """Return the recording of `make test-account` on a simulator."""
    clock = ScriptedClock(skip_sleeps=True)
    calls = CallRecorder(clock)
    api = Simulator(TRAFFIC, clock=clock, behaviour=behaviour, faults=list(faults))
    async with api.listen() as url:
        settings = config(url, QUERIES)
        found = await account.request(settings, clock, KEYS, calls)
    assert len(calls.kept) == len(api.requests) <= account.MOST_CALLS
    assert {seen.action for seen in api.requests} <= account.READ_ONLY
    questions = [canonical_query(seen.parameters) + seen.action for seen in api.requests]
    assert len(set(questions)) == len(questions)
    writing.write(folder, writing.files(settings.targets[0], calls.kept, found.findings, Sanitizer(b"s", 60)))
    return Recording(folder)


class TestARealAccount:
    def test_the_doctor_alone_makes_no_more_calls(self) -> None:
        """Of a config with every statistic, and the filter domain."""
        settings = config("https://dm.aliyuncs.com", QUERIES)
        assert set(settings.targets[0].statistics) == set(STATISTICS)
        assert most_calls(settings.targets[0]) <= account.MOST_CALLS

    async def test_it_gets_at_most_forty_calls_each_once_that_only_read(self, tmp_path: Path) -> None:
        recording = await requested(tmp_path, Behaviour())
        answered = [request.text for request in QUESTIONS if answer(request, recording)]
        assert len(answered) >= 15

    def test_ci_never_requests_it(self) -> None:
        result = subprocess.run(
            [sys.executable, "-m", "tools.account"],
            env={**os.environ, "CI": "true"},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 1
        assert "not in CI" in result.stderr
        assert not [path for path in ROOT.glob(".ci/*") if "test-account" in path.read_text()]
