"""`doctor --record`: what is written, what is shown before, and that nothing real remains."""

import asyncio
import importlib.metadata
import json
import re
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from multidict import CIMultiDict

from exporter.clock import SystemClock
from exporter.commands.main import cli
from exporter.config.regions import REGIONS
from exporter.directmail import account
from exporter.directmail.listing import OPERATIONS
from exporter.directmail.statistics.registry import STATISTICS
from exporter.directmail.transport import Reply
from exporter.doctor import recording
from exporter.doctor.examination import examine
from exporter.doctor.recording import ACCOUNT, MANIFEST, SDK_VERSION, CallRecorder
from exporter.doctor.sanitizing import Sanitizer
from exporter.simulator.account import Infrastructure
from exporter.simulator.call import Inventory
from exporter.simulator.faults import Fault
from exporter.simulator.server import Simulator
from tests.support.clock import ScriptedClock
from tests.support.doctor import ID, KEYS, NEWS, NOTIFY, SECRET, TOKEN, config_text, simulator
from tests.support.recordings import config

SENDER = "Zanary.News+7@mail.zanary-shop.example"
TAG, POOL, SET, IP = "zanary-周刊", "zanary-pool", "zanary-set", "203.0.113.77"
REAL = ("zanary", "周刊", "203.0.113", "2026-04", ID, SECRET, TOKEN, NEWS, NOTIFY)
QUERIES = [
    {"name": "account", "statistics": ["engagement", "delivery"]},
    {"name": "by_sender", "account_name": {"discover": True}},
    {"name": "by_tag", "account_name": SENDER, "tag_name": {"discover": True}},
    {"name": "by_ip", "dedicated_ip": {"discover": True}},
    {"name": "by_pool", "dedicated_ip_pool_id": {"discover": True}},
    {"name": "by_set", "config_set_id": {"discover": True}},
    {"name": "by_domain", "domain": {"discover": True}},
]


ACCOUNT_ACTIONS = {account.SUMMARY, account.DOMAIN}


def canary_account(*faults: Fault) -> Simulator:
    """Return an account in which every name is a canary."""
    api = simulator(*faults)
    api.senders = [SENDER]
    through = Infrastructure(IP, POOL, SET)
    api.inventory = Inventory(tags=[TAG], through=[through], domains=["mail.zanary-shop.example"])
    return api


async def recorded(api: Simulator, queries: object = None, sanitizer: Sanitizer | None = None) -> dict[str, str]:
    """Return the files of the doctor's visit to a simulator."""
    async with api.listen() as url:
        settings = config(url, queries or QUERIES)
        calls = CallRecorder(api.clock)
        (found,) = await examine(settings, api.clock, KEYS, {"shop": calls})
    assert [call.action for call in calls.kept] == [seen.action for seen in api.requests]
    target = settings.targets[0]
    return recording.files(target, calls.kept, found.findings, sanitizer or Sanitizer(b"secret", weeks=60))


def assert_nothing_real(files: dict[str, str]) -> None:
    manifest = json.loads(files[MANIFEST])
    assert manifest.pop("recorded") == "2026-04"
    for name, text in {**files, MANIFEST: json.dumps(manifest)}.items():
        for real in REAL:
            assert real.lower() not in (name + text).lower(), f"{real} in {name}:\n{text}"
        output = text.replace("SignatureDoesNotMatch", "").replace("Signature does not match", "")
        assert not re.search(r"(?i)nonce|authorization|credential|signature|x-acs-(date|security)", output), text


class TestNothingRealRemains:
    async def test_of_an_account_with_canaries_everywhere(self) -> None:
        files = await recorded(canary_account())
        actions = {name.partition("/")[0] for name in files} - {MANIFEST}
        assert actions == {each.action for each in (*STATISTICS.values(), *OPERATIONS.values())} | ACCOUNT_ACTIONS
        assert_nothing_real(files)

    @pytest.mark.parametrize(
        "fault",
        ["bad_signature", "unknown_sender", "forbidden", "throttle_xml", "throttle_gbk", "html_500", "truncate"],
    )
    async def test_of_an_answer_that_fails(self, fault: str) -> None:
        files = await recorded(canary_account(Fault(fault)))
        assert len(files) > 1
        assert_nothing_real(files)

    async def test_of_the_dates_which_keep_their_weekdays(self) -> None:
        files = await recorded(simulator(), [{"name": "account"}])
        days = [json.loads(text)["parameters"]["StartTime"] for name, text in files.items() if "TrackList" in name]
        assert date.fromisoformat(days[0]).weekday() == date(2026, 4, 22).weekday()
        assert_nothing_real(files)

    async def test_of_the_counts_where_they_are_scaled(self) -> None:
        api = simulator()
        plain = await recorded(api, [{"name": "account"}], Sanitizer(b"secret", weeks=60))
        scaled = await recorded(simulator(), [{"name": "account"}], Sanitizer.random(scaled=True))
        counts, others = (re.findall(r'Count": "(\d+)"', "".join(files.values())) for files in (plain, scaled))
        pairs = [(one, other) for one, other in zip(counts, others, strict=True) if int(one) >= 100]
        assert len(pairs) > 20
        assert [pair for pair in pairs if pair[0] == pair[1]] == []


class TestTheFiles:
    async def test_a_request_without_an_answer_is_there_too(self) -> None:
        files = await recorded(simulator(Fault("reset")), [{"name": "account"}])
        assert json.loads(files["GetTrackList/01.json"])["status"] is None

    async def test_each_call_is_a_file_in_a_folder_of_its_operation_in_the_order_of_the_calls(self) -> None:
        files = await recorded(canary_account())
        names = [name for name in files if name != MANIFEST]
        assert names == [f"{json.loads(files[name])['action']}/{place:02}.json" for place, name in enumerate(names, 1)]

    async def test_the_manifest_has_the_source_and_the_findings(self) -> None:
        manifest = json.loads((await recorded(simulator(), [{"name": "account"}]))[MANIFEST])
        assert manifest["source"] == ACCOUNT.source == "account"
        assert ["access", "ok"] in manifest["findings"]
        assert (manifest["timezone"], manifest["page_size"]) == ("Asia/Shanghai", 100)

    def test_the_sdk_is_the_one_that_the_tests_compare_requests_with(self) -> None:
        assert importlib.metadata.version("alibabacloud-dm20151123") == SDK_VERSION

    async def test_the_region_is_named_where_the_endpoint_is_a_documented_one(self) -> None:
        clock = ScriptedClock()
        calls = CallRecorder(clock)
        calls("GetTrackList", {}, None)
        for url, region in (("https://dm.aliyuncs.com", "cn-hangzhou"), ("https://dm.zanary.example", "")):
            target = config(url, QUERIES).targets[0]
            files = recording.files(target, calls.kept, [], Sanitizer(b"secret", weeks=60))
            assert json.loads(files[MANIFEST])["region"] == region
            assert region in {"", *REGIONS}

    def test_only_headers_on_content_and_waiting_are_recorded(self) -> None:
        clock = ScriptedClock()
        calls = CallRecorder(clock)
        headers = CIMultiDict(
            {"Content-Type": "text/html; zanary", "X-Zanary": "1", "x-acs-retry-after": "3000", "Retry-After": "zanary"}
        )
        calls("GetTrackList", {}, Reply(503, headers, b"zanary"))
        calls("GetTrackList", {}, None)
        files = recording.files(
            config("https://dm.aliyuncs.com", QUERIES).targets[0], calls.kept, [], Sanitizer(b"s", 60)
        )
        first, second = (json.loads(files[f"GetTrackList/{place:02}.json"]) for place in (1, 2))
        assert first["headers"] == {"Content-Type": "text/html", "x-acs-retry-after": "3000"}
        assert second["status"] is None
        assert_nothing_real(files)

    def test_rows_are_lines(self) -> None:
        document = {"a": 1, "data": {"stat": [{"x": "é", "y": None}, {"x": "z", "y": []}], "none": []}}
        text = recording.readable(document)
        assert json.loads(text) == document
        assert '      {"x": "é", "y": null},\n' in text


def quick_account() -> Simulator:
    """Return an account without domains: each is checked by a call that waits, and this clock is the machine's."""
    api = simulator(clock=SystemClock())
    api.inventory = Inventory(domains=[])
    return api


def run(*arguments: str, response: str = "") -> Result:
    return CliRunner(env=KEYS).invoke(cli, ("doctor", *arguments), input=response)


class TestTheCommand:
    async def result(self, tmp_path: Path, *flags: str, response: str = "") -> Result:
        async with quick_account().listen() as url:
            path = tmp_path / "config.yaml"
            path.write_text(config_text(url))
            arguments = ("--config.file", str(path), "--record", str(tmp_path / "kept"), *flags)
            return await asyncio.to_thread(lambda: run(*arguments, response=response))

    async def test_everything_is_shown_before_it_is_written(self, tmp_path: Path) -> None:
        result = await self.result(tmp_path, response="y\n")
        assert result.exit_code == 0, result.output
        shown, _, _ = result.stderr.partition("Write them to")
        written = [path for path in (tmp_path / "kept").rglob("*") if path.is_file()]
        assert len(written) > 10
        assert all(path.read_text() in shown for path in written)
        assert result.stdout.startswith("target shop: ")

    @pytest.mark.parametrize(("response", "status"), [pytest.param("n\n", 0, id="no"), pytest.param("", 1, id="eof")])
    async def test_without_a_yes_nothing_is_written(self, response: str, status: int, tmp_path: Path) -> None:
        result = await self.result(tmp_path, response=response)
        assert result.exit_code == status
        assert "GetTrackList" in result.stderr
        assert "nothing written" in result.stderr
        assert not (tmp_path / "kept").exists()

    async def test_with_yes_there_is_no_prompt(self, tmp_path: Path) -> None:
        result = await self.result(tmp_path, "--yes", "--format", "json")
        assert json.loads(result.stdout)
        assert (tmp_path / "kept" / MANIFEST).exists()

    async def test_a_folder_with_files_is_left_alone_before_any_call(self, tmp_path: Path) -> None:
        (tmp_path / "kept").mkdir()
        (tmp_path / "kept" / "mine.txt").write_text("mine")
        result = await self.result(tmp_path, "--yes")
        assert result.exit_code == 1
        assert "is not empty; name a new folder" in result.stderr
        assert result.stdout == ""

    @pytest.mark.parametrize("flag", ["--yes", "--scale-counts"])
    def test_its_switches_need_a_folder(self, flag: str) -> None:
        result = run("--config.file", "none.yaml", flag)
        assert result.exit_code == 2
        assert "need --record" in result.stderr

    async def test_where_no_request_was_sent_there_is_nothing_to_record(self, tmp_path: Path) -> None:
        path = tmp_path / "config.yaml"
        path.write_text(config_text("https://dm.aliyuncs.com"))
        arguments = ("doctor", "--config.file", str(path), "--record", str(tmp_path / "kept"), "--yes")
        empty = dict.fromkeys(KEYS, "")
        result = await asyncio.to_thread(lambda: CliRunner(env=empty).invoke(cli, arguments))
        assert "no request sent" in result.stderr
        assert not (tmp_path / "kept").exists()

    async def test_several_targets_are_numbered_folders(self, tmp_path: Path) -> None:
        async with quick_account().listen() as url:
            path = tmp_path / "config.yaml"
            one = f"endpoint: '{url}', rate_limit_per_minute: 6000, queries: [{{name: all}}]"
            both = "windows: [today]\ntargets:\n" + "".join(f"  - {{name: zanary{name}, {one}}}\n" for name in "ab")
            path.write_text(both)
            arguments = ("--config.file", str(path), "--record", str(tmp_path / "kept"), "--yes")
            result = await asyncio.to_thread(lambda: run(*arguments))
        assert result.exit_code == 0, result.output
        assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == ["1", "2"]
        kept = "".join(path.read_text() for path in (tmp_path / "kept").rglob("*.json"))
        assert "zanary" not in kept
