"""History for promtool: complete, resumable, interruptible, and read back by a real Prometheus."""

import asyncio
import subprocess
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from exporter.clock import SystemClock
from exporter.commands.history_export import Backfill, Progress
from exporter.directmail.statistics.engagement import Engagement
from exporter.plan.validation import load
from exporter.simulator.faults import Fault
from exporter.simulator.server import Habits, Simulator
from exporter.store.memory import Cell, Store
from exporter.store.state_file import StateFile
from tests.support.processes import program
from tests.support.programs import KEYS, SENDERS, write_config
from tests.support.scrapers import prometheus

DAY = 86_400


def simulator(*faults: Fault) -> Simulator:
    return Simulator(habits=Habits(calls_per_minute=100_000), faults=list(faults))


async def backfilled(config: Path, output: Path, *, days: int = 30, query: str | None = None) -> Progress:
    work = Backfill(load(config), SystemClock(), days=days, query=query, environment=KEYS)
    return await work.run(output, lambda progress: None, asyncio.Event())


def samples(output: Path) -> dict[tuple[str, str, str], dict[float, float]]:
    """Return value by time for each (metric, sender, window)."""
    found: dict[tuple[str, str, str], dict[float, float]] = {}
    for family in text_string_to_metric_families(output.read_text()):
        for sample in family.samples:
            key = (sample.name, sample.labels.get("account_name", ""), sample.labels.get("window", ""))
            found.setdefault(key, {})[float(sample.timestamp)] = sample.value
    return found


async def test_each_day_has_its_windows(tmp_path: Path) -> None:
    api, output = simulator(), tmp_path / "history.om"
    async with api.listen() as url:
        config = write_config(tmp_path / "config.yaml", url)
        config.write_text(config.read_text().replace("windows: [today, yesterday]", "windows: [today, yesterday, 7d]"))
        progress = await backfilled(config, output)
    now = api.clock.time()
    today = api.traffic.today(now)
    days = [today - timedelta(days=age) for age in range(30, 0, -1)]
    assert (progress.read, progress.failed, progress.total) == (60, 0, 60)
    found = samples(output)
    assert not any(window == "today" for _, _, window in found)
    ends = [api.traffic.day_start(day + timedelta(days=1)) for day in days]
    for sender in SENDERS[:2]:
        own = found["directmail_track_emails", sender, "yesterday"]
        assert list(own) == ends
        assert list(own.values()) == [api.traffic.counts(day, now, sender=sender).emails for day in days]
        week = found["directmail_track_emails", sender, "7d"]
        assert list(week) == ends[6:], "a window that reaches back further than is known is absent"
        assert week[ends[-1]] == sum(list(own.values())[-7:])


async def test_what_is_in_the_state_file_is_not_asked_again(tmp_path: Path) -> None:
    api = simulator()
    async with api.listen() as url:
        config = write_config(tmp_path / "config.yaml", url, head=f"state_file: {tmp_path / 'state.db'}")
        first = await backfilled(config, tmp_path / "first.om", days=5)
        asked = len(api.requests)
        second = await backfilled(config, tmp_path / "second.om", days=7)
    assert (first.read, asked) == (10, 10)
    assert second.read == len(api.requests) - asked == 4
    assert set(samples(tmp_path / "second.om")) >= set(samples(tmp_path / "first.om"))


async def test_one_query_can_be_chosen(tmp_path: Path) -> None:
    async with simulator().listen() as url:
        config = write_config(tmp_path / "config.yaml", url)
        config.write_text(config.read_text() + "      - name: account\n")
        await backfilled(config, tmp_path / "history.om", days=2, query="account")
    assert {sender for _, sender, _ in samples(tmp_path / "history.om")} == {""}


async def test_a_day_that_cannot_be_read_is_told_and_left_out(tmp_path: Path) -> None:
    api = simulator()
    day: date = api.traffic.today(api.clock.time()) - timedelta(days=2)
    api.faults.append(Fault("forbidden", where={"StartTime": day.isoformat(), "AccountName": SENDERS[0]}))
    with capture_logs() as lines:
        async with api.listen() as url:
            config = write_config(tmp_path / "config.yaml", url)
            progress = await backfilled(config, tmp_path / "history.om", days=3)
    assert (progress.read, progress.failed) == (5, 1)
    assert [line["day"] for line in lines] == [day.isoformat()]
    own = samples(tmp_path / "history.om")["directmail_track_emails", SENDERS[0], "yesterday"]
    assert len(own) == 2


async def test_a_day_that_was_not_read_after_its_end_is_left_out(tmp_path: Path) -> None:
    """The state file knows half of it, and the API does not answer for it."""
    api = simulator()
    yesterday = api.traffic.today(api.clock.time()) - timedelta(days=1)
    async with api.listen() as url:
        config = write_config(tmp_path / "config.yaml", url, SENDERS[0], head=f"state_file: {tmp_path / 'state.db'}")
        await backfilled(config, tmp_path / "history.om", days=3)
        store = Store()
        state = StateFile(tmp_path / "state.db", store, SystemClock())
        await state.open()
        (key,) = store.keys()
        half = Cell(Engagement(5, 4, 3, 2, 1), None, api.traffic.day_start(yesterday) + 3600)
        store.put(key, yesterday, half, day_start=0.0)
        await state.close()
        api.faults.append(Fault("forbidden", where={"StartTime": yesterday.isoformat()}))
        with capture_logs():
            await backfilled(config, tmp_path / "history.om", days=3)
    own = samples(tmp_path / "history.om")["directmail_track_emails", SENDERS[0], "yesterday"]
    assert list(own) == [api.traffic.day_start(yesterday - timedelta(days=age)) for age in (1, 0)]


async def test_ctrl_c_keeps_what_was_read(tmp_path: Path) -> None:
    stopped = asyncio.Event()

    def told(progress: Progress) -> None:
        if progress.read == 7:
            stopped.set()

    async with simulator().listen() as url:
        config = write_config(tmp_path / "config.yaml", url, head=f"state_file: {tmp_path / 'state.db'}")
        work = Backfill(load(config), SystemClock(), environment=KEYS)
        progress = await work.run(tmp_path / "history.om", told, stopped)
        assert 7 <= progress.read < 60
        again = await backfilled(config, tmp_path / "history.om")
    assert again.total == 60 - progress.read


async def test_the_command_tells_how_far_it_is_and_where_the_file_is(tmp_path: Path) -> None:
    output = tmp_path / "history.om"
    async with simulator().listen() as url:
        config = write_config(tmp_path / "config.yaml", url)
        flags = ("--config.file", str(config), "--days", "3", "--output", str(output))
        async with program("backfill", *flags, environment=KEYS) as command:
            await command.line_with("6 of 6 days of combinations")
            await command.line_with("6 days read, 0 could not be read, 0 left")
            assert await command.process.wait() == 0
    assert output.read_text().endswith("# EOF\n")


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--query", "none", "--output", "x.om"], "is no query of the config; name one of by_sender"),
        (["--output", "/nowhere/x.om"], "is no directory"),
        (["--days", "31", "--output", "x.om"], "31"),
    ],
)
async def test_wrong_flags_are_told(flags: list[str], says: str, tmp_path: Path) -> None:
    config = write_config(tmp_path / "config.yaml", "http://127.0.0.1:9")
    async with program("backfill", "--config.file", str(config), *flags) as command:
        await command.line_with(says)
        assert await command.process.wait() == 2


async def test_a_real_prometheus_has_the_thirty_days(tool: Callable[[str], Path], tmp_path: Path) -> None:
    api, output = simulator(), tmp_path / "history.om"
    async with api.listen() as url:
        await backfilled(write_config(tmp_path / "config.yaml", url), output)
    made = await asyncio.to_thread(
        subprocess.run,
        [tool("promtool"), "tsdb", "create-blocks-from", "openmetrics", output, tmp_path / "data"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    now = api.clock.time()
    today = api.traffic.today(now)
    async with prometheus(tool, tmp_path, "127.0.0.1:9") as server:
        for sender in SENDERS[:2]:
            expression = f'directmail_track_emails{{account_name="{sender}",window="yesterday"}}[32d]'
            (series,) = await server.query(expression, now)
            expected = [
                api.traffic.counts(today - timedelta(days=age), now, sender=sender).emails for age in range(30, 0, -1)
            ]
            assert [float(value) for _, value in series["values"]] == expected


class TestDiscovery:
    QUERIES = "[{name: tags, account_name: [news@mail.example.com], tag_name: {discover: true, include: 'p.*'}}]"

    def config(self, path: Path, url: str) -> Path:
        """Write a config that discovers two tags of one sender."""
        write_config(path, url, head=f"state_file: {path.with_name('state.db')}")
        path.write_text(path.read_text().split("    queries:")[0] + f"    queries: {self.QUERIES}\n")
        return path

    async def test_discovered_values_are_listed_once_and_backfilled(self, tmp_path: Path) -> None:
        api, output = simulator(), tmp_path / "history.om"
        async with api.listen() as url:
            progress = await backfilled(self.config(tmp_path / "config.yaml", url), output, days=3)
        assert (progress.read, progress.total) == (6, 6)
        assert [seen.action for seen in api.requests].count("QueryTagByParam") == 1
        for tag in ("password-reset", "promo"):
            assert f'tag_name="{tag}"' in output.read_text()

    async def test_where_the_list_fails_the_values_of_the_state_file_stand_in(self, tmp_path: Path) -> None:
        api, output = simulator(), tmp_path / "history.om"
        async with api.listen() as url:
            config = self.config(tmp_path / "config.yaml", url)
            await backfilled(config, output, days=1)
            api.faults.append(Fault("forbidden", action="QueryTagByParam"))
            with capture_logs() as lines:
                progress = await backfilled(config, output, days=3)
        assert progress.total == 4
        assert [line["action"] for line in lines if line["log_level"] == "warning"] == ["QueryTagByParam"]

    async def test_stopped_while_it_lists_it_writes_what_is_known(self, tmp_path: Path) -> None:
        api, output = simulator(), tmp_path / "history.om"
        async with api.listen() as url:
            config = self.config(tmp_path / "config.yaml", url)
            await backfilled(config, output, days=1)
            before = output.read_text()
            api.faults.append(Fault("hang", action="QueryTagByParam"))
            stopped = asyncio.Event()
            stopped.set()
            work = Backfill(load(config), SystemClock(), days=1, environment=KEYS)
            await work.run(output, lambda progress: None, stopped)
        assert output.read_text() == before
