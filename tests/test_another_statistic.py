"""A statistic that nobody has thought of is a row of two tables; everything else follows from them."""

import asyncio
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from exporter.app import App
from exporter.clock import Clock
from exporter.commands.backfill_reading import Backfill
from exporter.config.model import Config
from exporter.directmail.statistics.registry import STATISTICS
from exporter.directmail.statistics.statistic import Ratio, Statistic
from exporter.metrics.table import table
from exporter.metrics.tables import TABLES
from exporter.reload import load
from exporter.simulator import server
from exporter.simulator.behaviour import Behaviour
from exporter.simulator.call import Call
from exporter.simulator.server import Simulator
from exporter.web.server import Options
from tests.support.processes import get, started, until
from tests.support.programs import KEYS
from tests.test_account import LongMoment
from tests.test_polling import calls_made


class Replies(NamedTuple):
    """Mails that were answered, of those that requested it."""

    wanted: int
    given: int


REPLIES = Statistic(
    name="replies",
    action="ListReplies",
    parameters={"account_name": "AccountName"},
    counts=Replies,
    fields=("Asked", "Given"),
    ratios={"ratio": Ratio("given", "wanted")},
    drawn=("wanted", "given"),
)
TABLE = table(
    REPLIES,
    "directmail_replies_",
    "",
    counts={"wanted": "Mails that ask for a reply", "given": "Replies"},
    ratios={"ratio": "Share of mails that were replied to, 0-1"},
)
LABELS = 'account_name="",config_set_id="",dedicated_ip="",dedicated_ip_pool_id="",domain="",esp="",query="account"'


def response(call: Call) -> dict[str, Any]:
    """Answer as many replies as the day of the month, of a hundred, for each day."""
    first, last = (date.fromisoformat(call.parameters[name]) for name in ("StartTime", "EndTime"))
    days = [date.fromordinal(number) for number in range(first.toordinal(), last.toordinal() + 1)]
    rows = [{"CreateTime": day.isoformat(), "Asked": "100", "Given": str(day.day)} for day in days]
    return {"TotalCount": len(rows), "data": {"stat": rows}}


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Simulator:
    """A service that has the statistic, and an exporter that knows of it."""
    monkeypatch.setitem(STATISTICS, "replies", REPLIES)
    monkeypatch.setitem(TABLES, "replies", TABLE)
    monkeypatch.setattr(server, "OPERATIONS", {**server.OPERATIONS, "ListReplies": response})
    return Simulator(clock=LongMoment(), behaviour=Behaviour(calls_per_minute=1_000_000))


def config(folder: Path, url: str) -> Config:
    """Return a config that polls nothing but replies."""
    path = folder / "config.yaml"
    path.write_text(
        f"state_file: {folder / 'state.db'}\npoll_interval: 1h\nwindows: [yesterday, 7d]\ntargets:\n"
        f"  - name: shop\n    endpoint: {url}\n    rate_limit_per_minute: 6000\n"
        "    queries: [{name: account, statistics: [replies]}]\n"
    )
    return load(path)


def app(settings: Config, clock: Clock) -> App:
    return App(settings, Options(("127.0.0.1:0",)), clock=clock, environment=KEYS)


async def test_it_is_polled_exposed_stored_and_restored(api: Simulator, tmp_path: Path) -> None:
    given, shown = sum(range(15, 22)), 'window="7d"} '
    async with api.listen() as url:
        settings = config(tmp_path, url)
        first = app(settings, api.clock)
        task, base = await started(first)
        for part in (f'target="shop",{shown}', "directmail_replies_observed_given_total{"):
            text = await until(f"{base}/metrics", part)
        page = (await get(f"{base}/"))[1]
        first.stop()
        await task
        calls = calls_made(api)
        second = app(settings, api.clock)
        task, base = await started(second)
        after = (await get(f"{base}/metrics"))[1]
        second.stop()
        await task
    assert f'target="shop",{shown}{given}.0' in text
    assert f'directmail_replies_ratio{{{LABELS},tag_name="",target="shop",window="yesterday"}} 0.21' in text
    assert "directmail_replies_observed_given_total{" in text
    assert "replies" in page
    assert calls.keys() == {"ListReplies"}
    lines = [line for line in text.splitlines() if line.startswith("directmail_replies")]
    assert set(lines) <= set(after.splitlines()), "the state file had it before the first call"


async def test_its_past_is_written_for_prometheus(api: Simulator, tmp_path: Path) -> None:
    output = tmp_path / "history.om"
    async with api.listen() as url:
        await Backfill(config(tmp_path, url), api.clock, days=3, query=None, environment=KEYS).run(
            output, asyncio.Event()
        )
    assert "directmail_replies_given{" in output.read_text()
