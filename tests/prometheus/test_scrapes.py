"""A real Prometheus scrapes the exporter, which polls the simulator."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio
from suite_clock import machine_time

from exporter.app import App
from exporter.clock import Clock, SystemClock, VirtualClock
from exporter.reload import load
from exporter.simulator.account import PROVIDERS
from exporter.simulator.behaviour import Behaviour
from exporter.simulator.server import KEY_ID, SECRET, Simulator
from exporter.web.server import Options
from tests.support.processes import PATIENCE, get, started
from tests.support.scrapers import PROMETHEUS_2, PROMETHEUS_3, Prometheus, prometheus

SENDERS = ("news@mail.example.com", "no-reply@notify.example.com", "product@mail.example.com")


MORNING = datetime(2026, 4, 22, 10, tzinfo=ZoneInfo("Asia/Shanghai")).timestamp()


class FrozenTime(SystemClock):
    """A clock whose wall time does not pass, and so no mail comes: what is read once stays the truth."""

    def time(self) -> float:
        return MORNING


@asynccontextmanager
async def exporter(folder: Path, api: Simulator, clock: Clock) -> AsyncIterator[str]:
    """Run an exporter of the simulator with every kind of breakdown; yield its URL when everything was read."""
    async with api.listen() as url:
        path = folder / "config.yaml"
        path.write_text(
            f"""
poll_interval: 1h
windows: [today, yesterday, 7d]
targets:
  - name: shop
    endpoint: {url}
    rate_limit_per_minute: 12000
    labels: {{team: growth}}
    queries:
      - name: account
      - name: by_sender
        account_name: [{", ".join(SENDERS)}]
      - name: by_esp
        account_name: {SENDERS[1]}
        esp: [{", ".join(PROVIDERS)}]
"""
        )
        environment = {"ALIBABA_CLOUD_ACCESS_KEY_ID": KEY_ID, "ALIBABA_CLOUD_ACCESS_KEY_SECRET": SECRET}
        app = App(load(path), Options(("127.0.0.1:0",)), clock=clock, environment=environment)
        task, base = await started(app)
        async with asyncio.timeout(PATIENCE):
            while (await get(f"{base}/metrics"))[1].count('_emails{account_name="",') < 3:
                await asyncio.sleep(0.1)
            while 'backlog_cells{action="GetTrackList",target="shop"} 0.0' not in (await get(f"{base}/metrics"))[1]:
                await asyncio.sleep(0.1)
        yield base
        app.stop()
        await task


@pytest.fixture
async def stack(tool: Callable[[str], Path], tmp_path: Path) -> AsyncIterator[tuple[Prometheus, Simulator, str]]:
    """Simulator, exporter and Prometheus at one moment that does not pass."""
    clock = FrozenTime()
    api = Simulator(clock=clock, behaviour=Behaviour(calls_per_minute=100_000))
    async with (
        exporter(tmp_path, api, clock) as base,
        prometheus(tool, tmp_path, base.removeprefix("http://")) as server,
    ):
        yield server, api, base


async def test_prometheus_reads_what_is_true(stack: tuple[Prometheus, Simulator, str]) -> None:
    """One start of Prometheus for all of it: its first scrape takes seconds."""
    server, api, _ = stack
    (up,) = await server.until('up{job="directmail"} == 1')
    assert up["value"][1] == "1"
    at = float(up["value"][0])  # nothing is stale then, however late the queries come
    now = api.clock.time()
    today = api.traffic.today(now)
    for sender in SENDERS:
        (series,) = await server.query(
            f'directmail_track_unique_opens{{query="by_sender",account_name="{sender}",window="today"}}', at
        )
        assert float(series["value"][1]) == api.traffic.counts(today, now, sender=sender).unique_opens
        assert series["metric"]["team"] == "growth"
    (account,) = await server.query('directmail_track_emails{query="account",window="7d"}', at)
    days = [today.fromordinal(today.toordinal() - age) for age in range(1, 8)]
    assert float(account["value"][1]) == sum(api.traffic.counts(day, now).emails for day in days)
    (share,) = await server.query(
        'sum(directmail_track_emails{query="by_esp",window="7d"}) / '
        'sum(directmail_track_emails{query="by_sender",window="7d",account_name="no-reply@notify.example.com"})',
        at,
    )
    assert float(share["value"][1]) == 1
    counters = await server.query("directmail_track_observed_opens_total", at)
    assert len(counters) == 1 + len(SENDERS) + len(PROVIDERS)
    assert {series["metric"].get("esp", "") for series in counters} == {"", *PROVIDERS}


FORMATS = {"text": "text/plain", "prometheus-2": PROMETHEUS_2, "prometheus-3": PROMETHEUS_3}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def exposed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What one exporter answers to each of FORMATS."""
    clock = FrozenTime()
    api = Simulator(clock=clock, behaviour=Behaviour(calls_per_minute=100_000))
    async with exporter(tmp_path_factory.mktemp("exposed"), api, clock) as base:
        return {name: (await get(f"{base}/metrics", Accept=accept))[1] for name, accept in FORMATS.items()}


def test_promtool_finds_nothing_to_complain_of(tool: Callable[[str], Path], exposed: dict[str, str]) -> None:
    checked = subprocess.run(
        [tool("promtool"), "check", "metrics"], input=exposed["text"].encode(), capture_output=True, check=False
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


@pytest.mark.parametrize("version", ["prometheus-2", "prometheus-3"])
def test_prometheus_gets_openmetrics(version: str, exposed: dict[str, str]) -> None:
    assert exposed[version].endswith("# EOF\n")


async def test_the_increase_of_an_observed_counter_is_the_growth_that_the_api_had(
    tool: Callable[[str], Path], tmp_path: Path
) -> None:
    """The mail's clock runs fast, so that seconds bring hundreds of opens. It is late morning where they are read."""
    speed = 600
    watch, mail = VirtualClock(start=MORNING), VirtualClock(speed, MORNING)
    api = Simulator(clock=mail, signing_time=watch.time, behaviour=Behaviour(calls_per_minute=1_000_000))
    poll = 1.0
    async with api.listen() as url:
        path = tmp_path / "config.yaml"
        path.write_text(
            f"poll_interval: {poll:.0f}s\nwindows: [today]\ntargets:\n  - name: shop\n    endpoint: {url}\n"
            f"    rate_limit_per_minute: 6000\n    queries: [{{name: by_sender, account_name: {SENDERS[1]}}}]\n"
        )
        environment = {"ALIBABA_CLOUD_ACCESS_KEY_ID": KEY_ID, "ALIBABA_CLOUD_ACCESS_KEY_SECRET": SECRET}
        app = App(load(path), Options(("127.0.0.1:0",)), clock=watch, environment=environment)
        day = api.traffic.today(MORNING)
        task, base = await started(app)
        async with prometheus(tool, tmp_path, base.removeprefix("http://"), every="500ms") as server:
            await server.until("count_over_time(directmail_track_observed_opens_total[1h]) >= 12")
            (raw,) = await server.query("directmail_track_observed_opens_total[1h]")
            at = float(raw["values"][-1][0])  # more samples may have come since
            (series,) = await server.query("increase(directmail_track_observed_opens_total[1h])", at)
        now = (machine_time(), mail.time())
        app.stop()
        await task
    scraped = [float(at) for at, _ in raw["values"]]
    first, last = (
        api.traffic.counts(day, now[1] - (now[0] - at) * speed, sender=SENDERS[1]).opens
        for at in (scraped[0], scraped[-1])
    )
    growth_of_a_poll = (last - first) / (scraped[-1] - scraped[0]) * poll
    assert last - first > 100
    # A sample is up to a poll older than its scrape, at both ends; increase() reaches half a scrape beyond each end.
    beyond = float(series["value"][1]) - (last - first)
    assert -growth_of_a_poll <= beyond <= 2 * growth_of_a_poll
