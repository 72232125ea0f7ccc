"""The process is killed over and over while a reader sees every scrape and the disk fills up and frees again."""

import asyncio
import multiprocessing
import os
import random
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from zoneinfo import ZoneInfo

import aiohttp
import pytest

from exporter.app import App
from exporter.clock import SystemClock, VirtualClock
from exporter.directmail.statistics.delivery import DELIVERY
from exporter.directmail.statistics.engagement import ENGAGEMENT
from exporter.reload import load
from exporter.simulator.behaviour import Behaviour
from exporter.simulator.server import KEY_ID, SECRET, Simulator
from exporter.web.server import Options
from tests.support.processes import PATIENCE
from tests.support.programs import SENDERS

SPEED, MAIL_SPEED = 5.0, 300.0
"""How fast the exporters' clock runs, so that a life of half a second has polls and writes, and that of the mail."""
MAIL_LASTS = 12 * 3600.0
"""Seconds after MORNING at which the clock of the mail stops."""
MORNING = datetime(2026, 4, 22, 10, tzinfo=ZoneInfo("Asia/Shanghai")).timestamp()
OBSERVED = "directmail_track_observed_", "directmail_delivery_observed_"
GAUGES = "directmail_track_", "directmail_delivery_"
COUNTS = len(ENGAGEMENT.names) + len(DELIVERY.names)
PROCESSES = multiprocessing.get_context("forkserver")
"""Real processes that start in a moment: each is forked off one that has everything imported."""
PROCESSES.set_forkserver_preload(["exporter.app", "exporter.plan.validation"])


class Mail(SystemClock):
    """The clock of the mail; it shows the late morning until it is started, and again when it is stopped.

    However long the machine takes, it is still the same day.
    """

    def __init__(self) -> None:
        self._running: VirtualClock | None = None
        self._stands_at = MORNING

    def time(self) -> float:
        return self._stands_at if self._running is None else min(self._running.time(), MORNING + MAIL_LASTS)

    def start(self) -> None:
        self._running = VirtualClock(MAIL_SPEED, MORNING)

    def stop(self) -> None:
        self._stands_at, self._running = self.time(), None


def live(config: Path, now: float, addresses: Connection) -> None:
    """Be an exporter whose clock starts at `now`."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    keys = {"ALIBABA_CLOUD_ACCESS_KEY_ID": KEY_ID, "ALIBABA_CLOUD_ACCESS_KEY_SECRET": SECRET}
    app = App(load(config), Options(("127.0.0.1:0",)), clock=VirtualClock(SPEED, now), environment=keys)
    asyncio.run(app.run(lambda found: addresses.send(found[0])))


class Life:
    """One process, from its start to its kill."""

    def __init__(self, process: BaseProcess, address: str) -> None:
        self._process = process
        self.url = f"http://{address}/metrics"

    @classmethod
    async def begin(cls, config: Path, now: float) -> "Life":
        """Start a process; return when it listens."""
        receiver, sender = PROCESSES.Pipe(duplex=False)
        process = PROCESSES.Process(target=live, args=(config, now, sender))
        process.start()
        sender.close()
        address = await asyncio.to_thread(receiver.recv)
        return cls(process, address)

    def fill_disk(self) -> None:
        """Let none of its files grow from now on: the kernel rejects the write."""
        self._limit(0)

    def free_disk(self) -> None:
        self._limit(resource.RLIM_INFINITY)

    async def kill(self) -> None:
        assert self._process.is_alive(), "it ended by itself"
        self._process.kill()
        await asyncio.to_thread(self._process.join)

    def _limit(self, size: int) -> None:
        assert self._process.pid is not None
        resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


class Reader:
    """Sees every scrape it can get, and is strict."""

    def __init__(self) -> None:
        self.url: str | None = None
        self.scrapes = 0
        self.counters: dict[str, float] = {}
        """The last value of each counter."""
        self.firsts: dict[str, float] = {}
        self.gauges: dict[str, float] = {}
        """The first value of each gauge: what the API said at the first read."""
        self.writable: set[str] = set()
        """What was said of the disk."""

    async def run(self) -> None:
        async with aiohttp.ClientSession() as session:
            while True:
                if self.url is not None:
                    try:
                        async with session.get(self.url) as response:
                            self._take_in(await response.text())
                    except (aiohttp.ClientError, OSError):
                        pass  # killed meanwhile
                await asyncio.sleep(0.005)

    def _take_in(self, text: str) -> None:
        self.scrapes += 1
        for line in text.splitlines():
            series, _, value = line.rpartition(" ")
            if series.startswith(OBSERVED):
                before = self.counters.get(series, 0.0)
                assert float(value) >= before, f"{series} was {before} and is {value}"
                self.counters[series] = float(value)
                self.firsts.setdefault(series, float(value))
            elif series == "directmail_exporter_state_writable":
                self.writable.add(value)
            elif series.startswith(GAUGES):
                self.gauges.setdefault(series, float(value))


@contextmanager
def mail() -> Iterator[tuple[Simulator, Mail, VirtualClock]]:
    """Yield the API, the mail's clock, and the clock of the exporters."""
    watch, clock = VirtualClock(SPEED, MORNING), Mail()
    yield Simulator(clock=clock, signing_time=watch.time, behaviour=Behaviour(calls_per_minute=1_000_000)), clock, watch


@pytest.mark.parametrize("kills", [12, pytest.param(60, marks=pytest.mark.stack)])
async def test_no_counter_restarts_lower_and_the_increase_is_right(kills: int, tmp_path: Path) -> None:
    """The first life is long enough for a first number, the last one for a disk that frees while it runs."""
    chance, reader = random.Random(3), Reader()
    with mail() as (api, clock, watch):
        async with api.listen() as url, asyncio.timeout((3 + kills / 6) * PATIENCE), asyncio.TaskGroup() as tasks:
            config = tmp_path / "config.yaml"
            config.write_text(
                f"poll_interval: 1s\nwindows: [today]\nstate_file: {tmp_path / 'state.db'}\nstale_after: 10m\n"
                f"targets:\n  - name: shop\n    endpoint: {url}\n    rate_limit_per_minute: 6000\n"
                f"    queries:\n      - name: by_sender\n        account_name: [{', '.join(SENDERS)}]\n"
                "        statistics: [engagement, delivery]\n"
            )
            reading = tasks.create_task(reader.run())
            for number in range(kills):
                life = await Life.begin(config, watch.time())
                reader.url = life.url
                while not number and len(reader.firsts) < COUNTS * len(SENDERS):
                    await asyncio.sleep(0.01)
                if not number:  # what is read first is seen first, however late the reader comes
                    clock.start()
                disk = chance.choice(["free", "free", "full from the start", "full meanwhile"])
                if disk == "full from the start":
                    life.fill_disk()
                await asyncio.sleep(chance.uniform(0.0, 0.4))
                if disk == "full meanwhile":
                    life.fill_disk()
                await asyncio.sleep(chance.uniform(0.0, 0.4))
                await life.kill()
            life = await Life.begin(config, watch.time())
            reader.url = life.url
            life.fill_disk()
            await asyncio.sleep(1.5)
            held = dict(reader.counters)
            await asyncio.sleep(0.5)
            assert reader.counters == held, "nothing is shown that is not on disk"
            life.free_disk()
            clock.stop()
            truth = _truth(api, clock)
            while any(reader.counters[name] < truth[name] - reader.gauges[_gauge(name)] for name in truth):
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.5)
            await life.kill()
            reading.cancel()
    assert set(reader.firsts.values()) == {0.0}
    increase = {name: reader.counters[name] - reader.firsts[name] for name in truth}
    assert increase == {name: truth[name] - reader.gauges[_gauge(name)] for name in truth}
    assert sum(increase.values()) > 100
    assert reader.scrapes > 3 * kills
    assert reader.writable == {"0.0", "1.0"}


def _truth(api: Simulator, clock: Mail) -> dict[str, float]:
    """Return each count of each statistic and sender, as the API has it, by the name of its counter."""
    now = clock.time()
    day = api.traffic.today(now)
    labels = 'account_name="{}",config_set_id="",dedicated_ip="",dedicated_ip_pool_id="",domain="",esp="",'
    labels += 'query="by_sender",tag_name="",target="shop"'
    truth = {}
    for sender in SENDERS:
        its = labels.format(sender)
        for field, count in api.traffic.counts(day, now, sender=sender)._asdict().items():
            truth[f"directmail_track_observed_{field}_total{{{its}}}"] = float(count)
        for field, count in api.traffic.delivery(day, now, sender=sender)._asdict().items():
            truth[f"directmail_delivery_observed_{field}_emails_total{{{its}}}"] = float(count)
    return truth


def _gauge(counter: str) -> str:
    """Return the gauge of the count whose counter it is."""
    return (
        counter.replace("_observed", "")
        .replace("_total{", "{")
        .replace('target="shop"', 'target="shop",window="today"')
    )
