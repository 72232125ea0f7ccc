"""The demo: everything is shown within seconds, at whatever hour it is started."""

import asyncio
import os
import re
import signal
import subprocess
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import click
import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from exporter.app import App
from exporter.clock import SystemClock
from exporter.commands import demo
from exporter.simulator.behaviour import Behaviour
from exporter.simulator.server import Simulator
from exporter.simulator.traffic import Choices, Traffic
from exporter.web.server import Options
from tests.support.command_line import run
from tests.support.processes import PATIENCE, program, started, until
from tests.support.programs import KEYS

DAY = 86_400
PAST = 1 / 8
"""Days of history."""
OPENS = "directmail_track_observed_unique_opens_total"
MIDNIGHT = datetime.fromisoformat("2028-02-28T23:30:00+00:00")
"""Half an hour before a leap day."""


@pytest.mark.parametrize("hours", range(48))
def test_it_is_late_morning_in_the_demos_time_zone_at_any_local_hour(hours: int) -> None:
    now = (MIDNIGHT + timedelta(hours=hours)).timestamp()
    zone = demo.morning_zone(now)
    there = datetime.fromtimestamp(now, zone)
    assert (there.hour, there.minute) == (11, 30)
    made = demo.settings("http://127.0.0.1:1", zone=zone)
    assert made.targets[0].timezone == zone, "both sides know the zone"


async def test_the_demo_shows_every_window_of_every_kind_of_breakdown_without_an_account() -> None:
    began = SystemClock().time()
    async with program("demo", "--listen", "127.0.0.1:0") as running:
        address = await running.address()
        said = re.search(r"It is (\d\d:\d\d) .* \((.*)\)", await running.line_with("in the account's time zone"))
        assert said is not None
        moments = began, SystemClock().time()
        assert said[2] in {str(demo.morning_zone(each)) for each in moments}
        earliest, latest = (f"{datetime.fromtimestamp(each, ZoneInfo(said[2])):%H:%M}" for each in moments)
        assert earliest <= said[1] <= latest
        for part in (
            'esp="others",query="by_esp",tag_name="",target="demo",window="30d"',
            "directmail_delivery_requested_emails{",
            "directmail_account_daily_quota_emails{",
            'directmail_up{target="demo"} 1.0',
        ):
            text = await until(f"http://{address}/metrics", part)
        assert await running.end() == 0
    for window in ("today", "yesterday", "7d", "30d"):
        assert f'window="{window}"' in text
    for query in ("account", "by_sender", "by_esp", "by_domain", "by_tag", "by_dedicated_ip", "by_config_set_id"):
        assert f'query="{query}"' in text
    assert "directmail_track_reported_unique_open_rate{" in text


async def test_the_demo_needs_no_folder_to_write_to(tmp_path: Path) -> None:
    """As in a container whose file system is read-only."""
    guard = "import tempfile; tempfile.mkdtemp = lambda *a, **k: 1 // 0"
    (tmp_path / "no_folder.py").write_text(f"{guard}\nfrom exporter.commands.main import main\nmain()\n")
    path = os.pathsep.join((str(tmp_path), str(Path.cwd()), os.environ.get("PYTHONPATH", "")))
    environment = {"PYTHONPATH": path}
    async with program("demo", "--listen", "127.0.0.1:0", environment=environment, module="no_folder") as running:
        await running.address()
        assert await running.end() == 0


@pytest.mark.parametrize("speed", ["1", "61", "600", "1000"])
def test_the_demo_can_go_as_fast_as_it_says(speed: str) -> None:
    given = demo.command.make_context("demo", ["--speed", speed]).params["speed"]
    assert demo.settings("http://127.0.0.1:1", given).targets


def test_a_missing_folder_is_reported_before_the_history_is_made() -> None:
    result = run("demo", "--history", "/nowhere/x.om")
    assert (result.exit_code, result.output) == (1, "/nowhere is not a directory\n")


def test_the_demo_rejects_a_speed_that_its_budget_has_no_calls_for() -> None:
    with pytest.raises(click.BadParameter, match="1<=x<=1000"):
        demo.command.make_context("demo", ["--speed", "1001"])


async def test_an_incident_in_the_demo_shows_in_its_numbers() -> None:
    opens = 'directmail_track_unique_open_ratio{account_name="news@mail.example.com",config_set_id="",dedicated_ip="",'
    flags = ("--incident", "bad_subject:start=-20d,for=20d,factor=0.01", "--timezone", "Asia/Tokyo")
    async with program("demo", "--listen", "127.0.0.1:0", *flags) as running:
        address = await running.address()
        text = await until(
            f"http://{address}/metrics",
            f'{opens}dedicated_ip_pool_id="",domain="",esp="",query="by_sender",tag_name="",target="demo",window="7d"',
        )
        await running.line_with("in the account's time zone (Asia/Tokyo)")
        await running.end()
    line = next(
        line for line in text.splitlines() if line.startswith(opens) and 'esp=""' in line and 'window="7d"' in line
    )
    assert float(line.rsplit(" ", 1)[1]) < 0.2


async def test_the_demo_can_write_the_past_first_and_shows_how_to_load_it(tmp_path: Path) -> None:
    history = tmp_path / "history.om"
    flags = ("--history", str(history), "--days", "1")
    async with program("demo", "--listen", "127.0.0.1:0", *flags) as running:
        await running.line_with(f"promtool tsdb create-blocks-from openmetrics {history} {tmp_path / 'history'}")
        await running.line_with("--query.lookback-delta=31m")
        assert await running.end() == 0
    text = history.read_text()
    assert 'directmail_track_emails{instance="127.0.0.1:0",job="directmail",query="account",target="demo"' in text
    assert text.endswith("# EOF\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_stop_while_the_past_is_written_leaves_nothing(number: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "temporary").mkdir()
    flags = ("--listen", "127.0.0.1:0", "--history", str(tmp_path / "history.om"))
    async with program("demo", *flags, environment={"TMPDIR": str(tmp_path / "temporary")}) as running:
        (line,) = [await running.line_with("Writing 30 days to")]
        assert await running.end(number) == 0
    assert running.lines == [line]
    assert [each.name for each in tmp_path.rglob("*")] == ["temporary"]


def of_opens(text: str) -> str:
    """Return the lines on the unique opens counted: parsing all of them takes a while."""
    return "".join(line for line in text.splitlines(keepends=True) if "directmail_track_observed_unique_opens" in line)


def observed(families: Iterable[Metric]) -> dict[frozenset[tuple[str, str]], float]:
    """Return the newest unique opens counted, by labels, those that Prometheus adds left out."""
    return {
        frozenset(
            (name, value) for name, value in sample.labels.items() if value and name not in ("job", "instance")
        ): value
        for family in families
        for sample in family.samples
        if sample.name == OPENS
        for value in [sample.value]
    }


async def test_its_counters_continue_from_its_history(tmp_path: Path) -> None:
    """So that `increase()` over both is right from its first value on."""
    clock = SystemClock()
    now = clock.time()
    traffic = Traffic(choices=Choices(demo.morning_zone(now)))
    until_then, history, state = now - 120, tmp_path / "history.om", tmp_path / "state.db"
    await asyncio.to_thread(demo.write_history, history, state, traffic, until_then, "127.0.0.1:10058", days=PAST)
    account = frozenset({("target", "demo"), ("query", "account")})
    past = observed(openmetrics.text_string_to_metric_families(of_opens(history.read_text()) + "# EOF\n"))
    async with Simulator(traffic, behaviour=Behaviour(calls_per_minute=100_000)).listen() as url:
        made = replace(demo.settings(url, zone=traffic.choices.zone), state_file=state)
        app = App(made, Options(("127.0.0.1:0",)), environment=KEYS)
        running, address = await started(app)
        live = past
        async with asyncio.timeout(PATIENCE):
            while live.get(account) == past[account]:  # until the account is read again
                await asyncio.sleep(0.5)  # a page of some megabytes
                page = await until(f"{address}/metrics", "directmail_up")
                live = observed(text_string_to_metric_families(of_opens(page)))
        app.stop()
        await running
    assert live.keys() == past.keys()
    assert all(live[labels] >= past[labels] for labels in past)
    days = [traffic.today(now) - timedelta(days=age) for age in range(10)]
    begun, ended = (
        sum(traffic.counts(day, at).unique_opens for day in days) for at in (until_then - PAST * DAY, clock.time())
    )
    assert past[account] < live[account] <= ended - begun, "each open counts once"


@pytest.mark.parametrize(
    ("target", "installs", "says"),
    [
        ("demo", ["requirements.txt"], ["Setting up .venv with what the exporter needs"]),
        (
            "test",
            ["requirements.txt", "requirements-dev.txt"],
            ["Setting up .venv with what the exporter needs", "Adding what tests and linters need"],
        ),
    ],
)
def test_make_installs_only_what_it_needs_and_prints_it(target: str, installs: list[str], says: list[str]) -> None:
    command = ["make", "--dry-run", "--always-make", target]
    made = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]).stdout
    assert re.findall(r"--requirement (\S+)", made) == installs
    assert all(words in made for words in says)
