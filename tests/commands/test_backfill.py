"""History for promtool: what a running exporter would have shown; resumable, interruptible, honest about its gaps."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from structlog.testing import capture_logs
from suite_clock import machine_time

from exporter.app import App
from exporter.clock import Clock, SystemClock
from exporter.commands import backfill
from exporter.commands.backfill_file import Interrupted, Past
from exporter.commands.backfill_reading import Backfill, Forecast, Progress
from exporter.commands.demo import morning_zone
from exporter.commands.main import cli
from exporter.config.model import Config
from exporter.directmail.statistics.engagement import Engagement
from exporter.plan import target_plan
from exporter.reload import load
from exporter.simulator.behaviour import Behaviour
from exporter.simulator.faults import Fault
from exporter.simulator.server import Simulator
from exporter.simulator.traffic import Choices, Traffic
from exporter.store.memory import Cell, Store
from exporter.store.state_file import StateFile
from exporter.web.server import Options
from tests.support.board_queries import chosen, result
from tests.support.boards import FILES, queries
from tests.support.boards import load as load_board
from tests.support.clock import ScriptedClock
from tests.support.processes import program, started
from tests.support.programs import KEYS, SENDERS, write_config
from tests.support.scrapers import prometheus
from tools.stack import prometheus as stack
from tools.stack.programs import free_address

DAY = 86_400
LABELS = ("--label", "job=directmail", "--label", "instance=localhost:10058")
SCRAPED = {"job": "directmail", "instance": "localhost:10058"}

Samples = dict[tuple[str, str, str], dict[float, float]]


class MachineClock(SystemClock):
    """Prometheus' own clock, whatever the suite's says."""

    def time(self) -> float:
        return machine_time()


def simulator(*faults: Fault, traffic: Traffic | None = None, clock: Clock | None = None) -> Simulator:
    behaviour = Behaviour(calls_per_minute=100_000)
    return Simulator(traffic or Traffic(), behaviour=behaviour, faults=list(faults), clock=clock or SystemClock())


async def backfilled(
    config: Config | Path, output: Path, *, days: int = 30, step: int = DAY, query: str | None = None
) -> Progress:
    settings = load(config) if isinstance(config, Path) else config
    work = Backfill(settings, SystemClock(), days=days, step=step, query=query, labels=SCRAPED, environment=KEYS)
    return await work.run(output, asyncio.Event())


def samples(output: Path) -> Samples:
    """Return value by time for each (metric, sender, window), as a strict parser reads them."""
    found: Samples = {}
    for family in text_string_to_metric_families(output.read_text()):
        for sample in family.samples:
            key = (sample.name, sample.labels.get("account_name", ""), sample.labels.get("window", ""))
            found.setdefault(key, {})[float(sample.timestamp)] = sample.value
    return found


def by_day(api: Simulator, shown: dict[float, float]) -> dict[date, set[float]]:
    """Return the values of each day of the account."""
    days: dict[date, set[float]] = {}
    for at, value in shown.items():
        days.setdefault(api.traffic.today(at), set()).add(value)
    return days


async def test_each_day_shows_the_windows_that_end_before_it(tmp_path: Path) -> None:
    api, output = simulator(), tmp_path / "history.om"
    async with api.listen() as url:
        config = write_config(tmp_path / "config.yaml", url)
        config.write_text(config.read_text().replace("windows: [today, yesterday]", "windows: [today, yesterday, 7d]"))
        progress = await backfilled(config, output)
    now = api.clock.time()
    today = api.traffic.today(now)
    days = [today - timedelta(days=age) for age in range(29, -1, -1)]
    assert (progress.read, progress.failed, progress.missing, progress.total) == (60, 0, 0, 60)
    found = samples(output)
    for sender in SENDERS[:2]:
        mails = [api.traffic.counts(day - timedelta(days=1), now, sender=sender).emails for day in days]
        yesterday = by_day(api, found["directmail_track_emails", sender, "yesterday"])
        assert yesterday == {day: {count} for day, count in zip(days, mails, strict=True)}
        week = by_day(api, found["directmail_track_emails", sender, "7d"])
        assert list(week) == days[6:], "a window that reaches back further than is known is absent"
        assert week[today] == {sum(mails[-7:])}


async def test_values_that_cannot_be_known_afterwards_are_absent(tmp_path: Path) -> None:
    output = tmp_path / "history.om"
    async with simulator().listen() as url:
        await backfilled(write_config(tmp_path / "config.yaml", url), output, days=2)
    found = samples(output)
    assert {name for name, _, window in found if window == "today"} == {
        "directmail_track_window_start_timestamp_seconds",
        "directmail_track_window_end_timestamp_seconds",
    }
    assert not [name for name, *_ in found if name.endswith("_total") or name.startswith("directmail_query")]


async def test_every_series_has_the_labels_that_prometheus_adds_and_a_sample_every_step_up_to_now(
    tmp_path: Path,
) -> None:
    api, output = simulator(), tmp_path / "history.om"
    async with api.listen() as url:
        before = int(api.clock.time())
        await backfilled(write_config(tmp_path / "config.yaml", url), output, days=2, step=300)
    families = list(text_string_to_metric_families(output.read_text()))
    for series in (each for family in families for each in family.samples):
        assert series.labels.items() >= SCRAPED.items()
    times = list(samples(output)["directmail_track_emails", SENDERS[0], "yesterday"])
    *steps, last = times
    steps += [last] if last % 300 == 0 else []
    assert {at % 300 for at in steps} == {0}
    assert {later - earlier for earlier, later in pairwise(steps)} == {300}
    assert steps[0] == api.traffic.day_start(api.traffic.today(before) - timedelta(days=1))
    assert before <= last <= api.clock.time()
    assert last - steps[-1] <= 300


async def test_each_statistic_has_its_own_series(tmp_path: Path) -> None:
    api, output = simulator(), tmp_path / "history.om"
    async with api.listen() as url:
        config = write_config(tmp_path / "config.yaml", url, SENDERS[0])
        config.write_text(config.read_text() + "        statistics: [engagement, delivery]\n")
        progress = await backfilled(config, output, days=2)
    assert progress.read == 4
    yesterday = api.traffic.today(api.clock.time()) - timedelta(days=1)
    requested = list(samples(output)["directmail_delivery_requested_emails", SENDERS[0], "yesterday"].values())
    assert requested[-1] == api.traffic.delivery(yesterday, api.clock.time(), sender=SENDERS[0]).requested


async def test_what_is_in_the_state_file_is_not_requested_again(tmp_path: Path) -> None:
    api = simulator()
    async with api.listen() as url:
        config = write_config(tmp_path / "config.yaml", url, head=f"state_file: {tmp_path / 'state.db'}")
        first = await backfilled(config, tmp_path / "first.om", days=5)
        requested = len(api.requests)
        second = await backfilled(config, tmp_path / "second.om", days=7)
    assert (first.read, requested) == (10, 10)
    assert second.read == len(api.requests) - requested == 4
    assert second.known == 10
    assert set(samples(tmp_path / "second.om")) >= set(samples(tmp_path / "first.om"))


async def test_one_query_can_be_chosen(tmp_path: Path) -> None:
    async with simulator().listen() as url:
        config = write_config(tmp_path / "config.yaml", url)
        config.write_text(config.read_text() + "      - name: account\n")
        await backfilled(config, tmp_path / "history.om", days=2, query="account")
    assert {sender for _, sender, _ in samples(tmp_path / "history.om")} == {""}


async def test_a_day_that_cannot_be_read_is_reported_and_left_out(tmp_path: Path) -> None:
    api = simulator()
    day: date = api.traffic.today(api.clock.time()) - timedelta(days=2)
    api.faults.append(Fault("stat_null", where={"StartTime": day.isoformat(), "AccountName": SENDERS[0]}))
    with capture_logs() as lines:
        async with api.listen() as url:
            config = write_config(tmp_path / "config.yaml", url)
            progress = await backfilled(config, tmp_path / "history.om", days=3)
    assert (progress.read, progress.failed, progress.missing) == (5, 1, 1)
    assert [line["day"] for line in lines] == [day.isoformat()]
    shown = samples(tmp_path / "history.om")["directmail_track_emails", SENDERS[0], "yesterday"]
    assert day + timedelta(days=1) not in by_day(api, shown)
    assert len(by_day(api, shown)) == 2


async def test_a_day_that_was_not_read_after_its_end_is_left_out(tmp_path: Path) -> None:
    """The state file knows half of it, and the API does not answer for it."""
    api = simulator()
    today = api.traffic.today(api.clock.time())
    yesterday = today - timedelta(days=1)
    async with api.listen() as url:
        config = write_config(tmp_path / "config.yaml", url, SENDERS[0], head=f"state_file: {tmp_path / 'state.db'}")
        await backfilled(config, tmp_path / "history.om", days=3)
        store = Store()
        state = StateFile(tmp_path / "state.db", store, SystemClock())
        await state.open()
        (key,) = store.keys()
        half = Cell(Engagement(5, 4, 3, 2, 1), None, api.traffic.day_start(yesterday) + 3600)
        store.get(key).cells[yesterday] = half
        store.changed.add(key)
        await state.close()
        api.faults.append(Fault("stat_null", where={"StartTime": yesterday.isoformat()}))
        with capture_logs():
            await backfilled(config, tmp_path / "history.om", days=3)
    shown = samples(tmp_path / "history.om")["directmail_track_emails", SENDERS[0], "yesterday"]
    assert list(by_day(api, shown)) == [yesterday - timedelta(days=1), yesterday]


async def test_the_edge_of_thirty_days_is_not_missing(tmp_path: Path) -> None:
    """The API may mean "within 30 days" to the second, and reject the oldest day."""
    api = simulator()
    oldest = api.traffic.today(api.clock.time()) - timedelta(days=30)
    api.faults.append(Fault("page_size", where={"StartTime": oldest.isoformat()}))
    async with api.listen() as url:
        progress = await backfilled(write_config(tmp_path / "config.yaml", url), tmp_path / "history.om")
    assert (progress.read, progress.missing) == (58, 0)


async def test_a_filter_that_the_account_cannot_use_has_no_past(tmp_path: Path) -> None:
    """Without dedicated IPs the API may answer each provider with all of the mail."""
    traffic, output = Traffic(), tmp_path / "history.om"
    behaviour = Behaviour(calls_per_minute=100_000, no_dedicated_ips="whole")
    async with Simulator(traffic, behaviour=behaviour).listen() as url:
        config = write_config(tmp_path / "config.yaml", url, SENDERS[2])
        provider = f"      - name: by_esp\n        account_name: {SENDERS[2]}\n        esp: [gmail.com, yahoo.com]\n"
        config.write_text(config.read_text() + provider)
        with capture_logs() as lines:
            progress = await backfilled(config, output, days=3)
    assert "by_sender" in output.read_text()
    assert "by_esp" not in output.read_text()
    assert [(line["event"], line["statistic"]) for line in lines] == [("filter not supported", "engagement")]
    assert progress.missing == 0


@pytest.mark.parametrize(
    ("fault", "calls", "event"),
    [
        pytest.param("invalid_key", 1, "target failing; skipping the rest of its days", id="key"),
        pytest.param("forbidden", 1, "operation failing; skipping the rest of its days", id="permission"),
    ],
)
async def test_it_stops_at_once_when_the_key_is_rejected(fault: str, calls: int, event: str, tmp_path: Path) -> None:
    api, output = simulator(Fault(fault)), tmp_path / "history.om"
    async with api.listen() as url:
        config = write_config(tmp_path / "config.yaml", url)
        config.write_text(config.read_text().replace("per_minute: 6000", "per_minute: 60"))
        with capture_logs() as lines:
            progress = await backfilled(config, output)
    assert len(api.requests) == calls
    assert [line["event"] for line in lines] == [event]
    assert (progress.missing, progress.is_complete) == (60, False)
    assert not output.exists(), "nothing is known, so nothing is written"


async def test_another_target_is_read_all_the_same(tmp_path: Path) -> None:
    api, output = simulator(Fault("invalid_key", where={"AccountName": SENDERS[0]})), tmp_path / "history.om"
    async with api.listen() as url:
        settings = load(write_config(tmp_path / "config.yaml", url, SENDERS[0]))
        other = load(write_config(tmp_path / "config.yaml", url, SENDERS[1])).targets[0]
        both = replace(settings, targets=(*settings.targets, replace(other, name="other")))
        with capture_logs():
            progress = await backfilled(both, output, days=3)
    assert (progress.read, progress.missing, progress.is_complete) == (3, 3, True)
    assert 'target="other"' in output.read_text()


async def test_ctrl_c_keeps_what_was_read(tmp_path: Path) -> None:
    stopped = asyncio.Event()
    async with simulator().listen() as url:
        config = write_config(tmp_path / "config.yaml", url, head=f"state_file: {tmp_path / 'state.db'}")
        work = Backfill(load(config), SystemClock(), step=DAY, environment=KEYS)

        async def stop() -> None:
            while work.progress.read < 7:
                await asyncio.sleep(0)
            stopped.set()

        async with asyncio.TaskGroup() as group:
            group.create_task(stop())
            progress = await work.run(tmp_path / "history.om", stopped)
        assert 7 <= progress.read < 60
        assert progress.missing == 60 - progress.read
        again = await backfilled(config, tmp_path / "history.om")
    assert again.total == 60 - progress.read


def long_past(tmp_path: Path, step: int) -> Past:
    """Return 30 days of one sender, all of them known."""
    settings = load(write_config(tmp_path / "config.yaml", "http://127.0.0.1:9", SENDERS[0]))
    (plan,) = target_plan.make_all(settings)
    store, now = Store(), datetime.fromisoformat("2026-04-22T12:00:00+00:00")
    for age in range(1, 31):
        day = now.date() - timedelta(days=age)
        cell = Cell(Engagement(4000, 700, 500, 90, 60), None, now.timestamp())
        store.put(plan.combinations[0].key, day, cell, day_start=0.0)
    return Past([plan], store, now.timestamp(), step, 30, SCRAPED)


async def test_stopped_while_it_is_written_there_is_no_file(tmp_path: Path) -> None:
    output, stopped = tmp_path / "history.om", asyncio.Event()
    with pytest.raises(Interrupted):
        await long_past(tmp_path, 300).write(output, stopped, lambda size: stopped.set())
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]


@pytest.mark.parametrize("step", [DAY, 300, 60])
def test_the_estimated_size_is_close_to_that_of_the_file(step: int, tmp_path: Path) -> None:
    past = long_past(tmp_path, step)
    text = "".join(text for text in past.lines() if "_window_" not in text and "# " not in text)
    assert past.sizes().size == pytest.approx(len(text), rel=0.15)
    series = {line.rsplit(" ", 2)[0] for line in text.splitlines()}
    assert past.sizes().series == len(series)


def test_what_is_in_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """A piece of the text is at most one day of one series."""
    pieces = [len(text) for text in long_past(tmp_path, 10).lines()]
    assert sum(pieces) > 300 * max(pieces) > 0


async def test_off_a_terminal_a_line_every_ten_seconds_has_the_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    clock, progress = ScriptedClock(), Progress(total=60)
    telling = asyncio.create_task(backfill.lines(progress, clock))
    await clock.advance(9)
    assert capsys.readouterr().err == ""
    for read in (20, 30):
        progress.read = read
        await clock.advance(10)
    telling.cancel()
    assert [line.split(",")[0] for line in capsys.readouterr().err.splitlines()] == [
        "20 of 60 days of combinations",
        "30 of 60 days of combinations",
    ]


def test_the_start_shows_the_cost_and_how_to_reduce_it() -> None:
    forecast = Forecast(calls=1830, known=0, seconds=3660.0, series=3120, size=412_000_000)
    output = "\n".join(backfill.announcement(forecast, "30", Path("history.om")))
    for words in ("1830 calls at 30 a minute", "about 1h1m;", "history.om will have about 412.0 MB", "--step 15m"):
        assert words in output


async def test_the_command_shows_the_cost_and_where_the_file_is(tmp_path: Path) -> None:
    output = tmp_path / "history.om"
    async with simulator().listen() as url:
        config = write_config(tmp_path / "config.yaml", url)
        flags = ("--config.file", str(config), "--days", "3", *LABELS, "--output", str(output))
        async with program("backfill", *flags, environment=KEYS) as command:
            await command.line_with("Reading: 6 calls at 6000 a minute of each operation, about 1s; 0 days")
            await command.line_with("6 days read, 0 known before, 0 missing.")
            assert await command.process.wait() == 0
    assert output.read_text().endswith("# EOF\n")


async def test_the_command_ends_with_status_1_when_days_are_missing(tmp_path: Path) -> None:
    async with simulator(Fault("stat_null", times=1)).listen() as url:
        config = write_config(tmp_path / "config.yaml", url)
        flags = ("--config.file", str(config), "--days", "3", *LABELS, "--output", str(tmp_path / "history.om"))
        async with program("backfill", *flags, environment=KEYS) as command:
            await command.line_with("5 days read, 0 known before, 1 missing.")
            assert await command.process.wait() == 1


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--query", "none", *LABELS], "is not a query of the config; write one of by_sender"),
        (["--output", "/nowhere/x.om", *LABELS], "is not a directory"),
        (["--days", "31", *LABELS], "31"),
        (["--step", "5", *LABELS], "is not a duration; write 5s"),
        (["--step", "100ms", *LABELS], "is not whole seconds from 10s to 1d"),
        ([], "--label job=directmail --label instance=localhost:10058"),
        (["--label", "job=directmail"], "instance not given"),
        (["--label", "job", *LABELS], "'job' is not a label"),
        (["--label", "query=x", *LABELS], "is a label of the exporter's own"),
    ],
)
def test_wrong_flags_are_reported(flags: list[str], says: str, tmp_path: Path) -> None:
    config = write_config(tmp_path / "config.yaml", "http://127.0.0.1:9")
    given = ["backfill", "--config.file", str(config), "--output", str(tmp_path / "x.om"), *flags]
    ended = CliRunner(env={"COLUMNS": "1000"}).invoke(cli, given)
    assert ended.exit_code == 2
    assert says in " ".join(ended.output.split())


def test_a_blank_label_is_left_out(tmp_path: Path) -> None:
    given = ["--label", "job=mail", "--label", "instance=", "--output", str(tmp_path / "x.om")]
    assert backfill.command.make_context("backfill", given).params["labels"] == {"job": "mail"}


BACKFILLED = {"Emails delivered", "Unique open rate", "Senders"}
"""Panels of the engagement board that show the live exporter and the month before it alike."""


async def test_a_graph_across_the_start_of_the_exporter_has_no_gap(tool: Callable[[str], Path], tmp_path: Path) -> None:
    """A real Prometheus with the backfilled month scrapes a live exporter: to it both are one series."""
    clock, board = MachineClock(), load_board(FILES[0])
    zone = morning_zone(clock.time())  # no midnight meanwhile
    traffic, address, output = Traffic(choices=Choices(zone)), free_address(), tmp_path / "history.om"
    tool("promtool")
    async with simulator(traffic=traffic, clock=clock).listen() as url:
        config = write_config(tmp_path / "config.yaml", url)
        settings = load(config)
        settings = replace(settings, targets=(replace(settings.targets[0], timezone=zone),))
        labels = {"job": "directmail", "instance": address}
        work = Backfill(settings, clock, labels=labels, environment=KEYS)
        await work.run(output, asyncio.Event())
        await stack.load(tmp_path, output)
        live = App(settings, Options((address,)), clock=clock, environment=KEYS)
        running, _ = await started(live)
        async with prometheus(tool, tmp_path, address) as server:
            selected = 'directmail_track_emails{window="yesterday"}'
            found = await server.until(f"{selected} and on (instance) up == 1", 2)
            now = float(found[0]["value"][0])
            graph = await server.query_range(selected, now - 2 * DAY, now, 60)
            last_week = await server.query(f"{selected} offset 1w", now)
            noon = traffic.day_start(traffic.today(now)) - 12 * 3600
            days = await server.query_range(selected, noon - 28 * DAY, noon, DAY)
            for query in queries(board):
                if query.panel["title"] in BACKFILLED:
                    for at in (now, now - 10 * DAY):
                        values = {**chosen(board), "window": "yesterday"}
                        assert await result(server, board, query, values, at), query.panel["title"]
        live.stop()
        await running
    day = traffic.today(now)
    for series in days:
        sender = series["metric"]["account_name"]
        mails = [traffic.counts(day - timedelta(days=age), now, sender=sender).emails for age in range(30, 1, -1)]
        assert [float(value) for _, value in series["values"]] == mails, "the month has a number for each day"
    assert len(days) == len(graph) == 2, "past and present are the same series"
    for series in graph:
        times = [float(at) for at, _ in series["values"]]
        assert {round(later - earlier) for earlier, later in pairwise(times)} == {60}
        assert times[-1] - times[0] == pytest.approx(2 * DAY, abs=1)
    shown = {each["metric"]["account_name"]: float(each["value"][1]) for each in last_week}
    then = day - timedelta(days=8)
    assert shown == {sender: traffic.counts(then, now, sender=sender).emails for sender in SENDERS[:2]}


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

    async def test_where_the_list_fails_the_values_of_the_state_file_are_used(self, tmp_path: Path) -> None:
        api, output = simulator(), tmp_path / "history.om"
        async with api.listen() as url:
            config = self.config(tmp_path / "config.yaml", url)
            await backfilled(config, output, days=1)
            api.faults.append(Fault("forbidden", action="QueryTagByParam"))
            with capture_logs() as lines:
                progress = await backfilled(config, output, days=3)
        assert progress.total == 4
        assert [line["action"] for line in lines if line["log_level"] == "warning"] == ["QueryTagByParam"]

    async def test_a_key_that_the_list_already_rejects_is_not_tried_for_the_days(self, tmp_path: Path) -> None:
        api = simulator(Fault("invalid_key"))
        async with api.listen() as url:
            config = self.config(tmp_path / "config.yaml", url)
            with capture_logs() as lines:
                await backfilled(config, tmp_path / "history.om", days=1)
        assert [seen.action for seen in api.requests] == ["QueryTagByParam"]
        assert [line["event"] for line in lines] == ["target failing; skipping the rest of its days"]

    async def test_stopped_while_it_lists_it_writes_what_is_known(self, tmp_path: Path) -> None:
        api, output = simulator(), tmp_path / "history.om"
        async with api.listen() as url:
            config = self.config(tmp_path / "config.yaml", url)
            await backfilled(config, output, days=1)
            before = set(samples(output))
            api.faults.append(Fault("hang", action="QueryTagByParam"))
            stopped = asyncio.Event()
            stopped.set()
            work = Backfill(load(config), SystemClock(), days=1, step=DAY, labels=SCRAPED, environment=KEYS)
            await work.run(output, stopped)
        assert set(samples(output)) == before
