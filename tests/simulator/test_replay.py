"""Responses from a recording: what was requested then is answered as it was then, and nothing is made up."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from exporter.directmail.errors import DirectMailError, InvalidRequest, NetworkError, Throttled
from exporter.simulator.error_responses import ApiError
from exporter.simulator.replay import MANIFEST, Recording, RecordingError
from exporter.simulator.server import Simulator
from tests.support.clock import ScriptedClock
from tests.support.command_line import run
from tests.support.processes import program
from tests.support.recordings import client

MANIFEST_TEXT = {"began": "2024-05-22T17:00:00Z", "timezone": "Asia/Shanghai"}
"""It is the 23rd already there."""


def write(folder: Path, *calls: Mapping[str, Any], manifest: object = MANIFEST_TEXT) -> Path:
    (folder / "GetTrackList").mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).write_text(json.dumps(manifest))
    for place, call in enumerate(calls, 1):
        whole = {"action": "GetTrackList", "status": 200, "headers": {}, "body": {}, **call}
        (folder / "GetTrackList" / f"{place:02}.json").write_text(json.dumps(whole))
    return folder


def day(text: str, **more: str) -> dict[str, str]:
    return {"StartTime": text, "EndTime": text, **more}


def at(text: str) -> float:
    return ScriptedClock(text).time()


class TestDays:
    def test_the_day_on_which_it_began_is_today_in_its_zone(self, tmp_path: Path) -> None:
        row = {"CreateTime": "2024-05-22T16:00Z", "UtcCreateTime": 1716393600}
        recording = Recording(write(tmp_path, {"parameters": day("2024-05-23"), "body": {"data": {"stat": [row]}}}))
        call = recording.respond("GetTrackList", day("2026-04-22"), at("2026-04-22T10:00:00+08:00"))
        assert call.body is not None
        (moved,) = call.body["data"]["stat"]
        assert moved["CreateTime"] == "2026-04-21T16:00Z"
        assert moved["UtcCreateTime"] == at("2026-04-21T16:00:00+00:00")

    def test_at_midnight_in_its_zone_the_days_move_on(self, tmp_path: Path) -> None:
        recording = Recording(write(tmp_path, {"parameters": day("2024-05-23")}))
        recording.respond("GetTrackList", day("2026-04-22"), at("2026-04-22T23:59:59+08:00"))
        recording.respond("GetTrackList", day("2026-04-23"), at("2026-04-23T00:00:00+08:00"))
        with pytest.raises(ApiError):
            recording.respond("GetTrackList", day("2026-04-22"), at("2026-04-23T00:00:00+08:00"))

    def test_what_is_not_a_day_is_unchanged(self, tmp_path: Path) -> None:
        body = {"CreateTime": "soon", "TagName": "2024-05-22", "Total": 1716393600, "items": [["CreateTime"]]}
        recording = Recording(write(tmp_path, {"parameters": {}, "body": body}))
        assert recording.respond("GetTrackList", {}, at("2026-04-22T10:00:00+08:00")).body == body


class TestWhatWasRecorded:
    def test_several_answers_to_one_request_come_in_order_and_the_last_again(self, tmp_path: Path) -> None:
        bodies: list[dict[str, Any]] = [{"Total": number} for number in (1, 2)]
        recording = Recording(write(tmp_path, *({"parameters": {}, "body": body} for body in bodies)))
        given = [recording.respond("GetTrackList", {}, 0.0).body for _ in range(3)]
        assert given == [bodies[0], bodies[1], bodies[1]]

    @pytest.mark.parametrize(
        ("body", "requested", "is_found"),
        [
            pytest.param({"TotalPages": 1}, {"PageSize": "50", "PageNumber": "1"}, True, id="one-page-holds-all"),
            pytest.param({"TotalPages": 2}, {"PageSize": "50", "PageNumber": "1"}, False, id="one-of-two-pages"),
            pytest.param({"HasMore": True}, {"PageSize": "50", "PageNumber": "1"}, False, id="has-more"),
            pytest.param({"TotalPages": 1}, {"PageSize": "50", "PageNumber": "2"}, False, id="another-page"),
            pytest.param({"TotalPages": 1}, {"PageNumber": "1", "AccountName": "x"}, False, id="another-filter"),
        ],
    )
    def test_a_complete_first_page_is_returned_for_every_page_size(
        self, body: dict[str, Any], requested: dict[str, str], is_found: bool, tmp_path: Path
    ) -> None:
        recorded = {"PageSize": "100", "PageNumber": "1"}
        recording = Recording(write(tmp_path, {"parameters": recorded, "body": body}))
        if is_found:
            assert recording.respond("GetTrackList", requested, 0.0).status == 200
        else:
            with pytest.raises(ApiError, match="NotRecorded"):
                recording.respond("GetTrackList", requested, 0.0)

    async def test_the_server_gives_status_headers_and_body_as_recorded(self, tmp_path: Path) -> None:
        throttled = {"Code": "Throttling.User", "Message": "slower", "RequestId": "R-1"}
        html = {"Content-Type": "text/html"}
        calls: list[dict[str, Any]] = [
            {"parameters": {"Say": "all"}, "body": {"Total": 3, "RequestId": "R-0"}},
            {"parameters": {"Say": "wait"}, "status": 400, "headers": {"x-acs-retry-after": "3000"}, "body": throttled},
            {"parameters": {"Say": "html"}, "status": 502, "headers": html, "body": None, "text": "<h1>"},
            {"parameters": {"Say": "nothing"}, "status": None, "body": None},
        ]
        api = Simulator(recording=Recording(write(tmp_path, *calls)))
        async with api.listen() as url, client(url, api) as caller:
            assert await caller.call("GetTrackList", {"Say": "all"}) == {"Total": 3, "RequestId": "R-0"}
            found: dict[str, DirectMailError] = {}
            for word in ("wait", "html", "nothing", "else"):
                with pytest.raises(DirectMailError) as failure:
                    await caller.call("GetTrackList", {"Say": word})
                found[word] = failure.value
        assert isinstance(found["wait"], Throttled)
        assert (found["wait"].retry_after, found["wait"].request_id) == (3.0, "R-1")
        assert found["html"].status == 502
        assert isinstance(found["nothing"], NetworkError)
        assert isinstance(found["else"], InvalidRequest)
        assert found["else"].code == "NotRecorded"
        assert [seen.outcome for seen in api.requests] == ["OK", "400", "502", "None", "NotRecorded"]


class TestABrokenFolder:
    @pytest.mark.parametrize(
        ("broken", "expected"),
        [
            pytest.param({"manifest": {}}, "recording.json: began or timezone is missing or wrong", id="empty"),
            pytest.param({"manifest": []}, "recording.json: not a JSON object", id="no-object"),
            pytest.param({"manifest": {**MANIFEST_TEXT, "timezone": "Mars"}}, "began or timezone", id="zone"),
            pytest.param({"manifest": {**MANIFEST_TEXT, "began": 5}}, "began or timezone", id="began"),
            pytest.param({"parameters": None}, "GetTrackList/01.json: action, parameters, status or body", id="call"),
            pytest.param({"parameters": {}, "status": "200"}, "status or body is missing or wrong", id="status"),
        ],
    )
    def test_the_file_and_what_is_wrong_with_it_are_named(
        self, broken: dict[str, Any], expected: str, tmp_path: Path
    ) -> None:
        manifest = broken.pop("manifest", MANIFEST_TEXT)
        with pytest.raises(RecordingError, match=expected):
            Recording(write(tmp_path, broken, manifest=manifest))

    def test_the_command_ends_with_a_line_and_status_1(self, tmp_path: Path) -> None:
        (tmp_path / MANIFEST).write_bytes(b"\xff")
        result = run("simulate", "--recording", str(tmp_path))
        assert result.exit_code == 1
        assert f"{tmp_path / MANIFEST}: not JSON in UTF-8" in result.stderr
        result = run("simulate", "--recording", str(tmp_path / "none"))
        assert result.exit_code == 1
        assert "No such file or directory" in result.stderr


async def test_the_command_answers_from_a_recording(tmp_path: Path) -> None:
    write(tmp_path, {"parameters": {}, "body": {"Total": 7, "RequestId": "R-7"}})
    async with program("simulate", "--listen", "127.0.0.1:0", "--recording", str(tmp_path)) as running:
        url = (await running.line_with("GetTrackList: ")).split()[-1]
        async with client(url, Simulator()) as caller:
            assert (await caller.call("GetTrackList", {}))["Total"] == 7
