"""VictoriaMetrics with the demo's history answers the queries of dashboards and rules as Prometheus does.

Both hold the same samples, those that rules record included: only how they answer may differ. The one thing that does
is described on the page on other databases.
"""

import asyncio
import math
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
import pytest_asyncio
import yaml
from aiohttp import web

from exporter.clock import DAY, HOUR
from exporter.commands import demo
from exporter.commands.demo_replay import moments, replay
from exporter.config.model import Config, Refresh
from exporter.directmail.statistics.registry import STATISTICS
from exporter.simulator import incidents
from exporter.simulator.traffic import Traffic
from tests.support import boards
from tests.support.processes import PATIENCE
from tests.support.rule_files import EVERY_RULE, ROOT
from tests.support.victoria import add, victoria_metrics
from tools.stack import programs, prometheus, rules
from tools.stack.prometheus import Prometheus, Series, Stretch
from tools.stack.worlds import MOMENT

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("machine_clock")]

PAGE = (ROOT / "docs" / "integrations.md").read_text()
STORY = ("esp_spam:start=-20h,for=3d", "tracking_down:start=-6h,for=14h", "bounce_spike:start=-10h")
COARSE, FINE = HOUR, HOUR / 4
"""Seconds between two samples, and between those of the last day and a half."""
START, TURN, END = MOMENT - 9 * DAY, MOMENT - 1.5 * DAY, MOMENT + 4 * HOUR + 1
ON_SAMPLES = (MOMENT - DAY, MOMENT - 4 * HOUR, MOMENT + 4 * HOUR)
BETWEEN_SAMPLES = MOMENT + 2 * HOUR + 437
EXTRAPOLATED = re.compile(r"\b(increase|rate)\(")
LOOKBACK = "61m"
"""A little longer than the longest step between two samples."""
INTERVALS = {"__rate_interval": "1h"}
ENOUGH = 60
"""Questions that have a response at a moment, of panels and of rules."""


class Both(NamedTuple):
    """The two that are compared."""

    prometheus: Prometheus
    victoria: Prometheus


def settings() -> Config:
    """Return the demo's config, with delivery wherever that is possible."""
    made = demo.settings("http://127.0.0.1:1", speed=demo.USUAL_POLL / demo.POLL_SECONDS)
    (target,) = made.targets
    queries = tuple(
        each if "config_set_id" in each.filters else replace(each, statistics=tuple(STATISTICS))
        for each in target.queries
    )
    return replace(
        made,
        windows=("today", "yesterday", "7d"),
        refresh=Refresh(recent=3 * HOUR, older=DAY),
        account_interval=HOUR,
        targets=(replace(target, queries=queries),),
    )


def write_history(file: Path) -> None:
    """Write what a Prometheus would have got of the demo in nine days, its account included."""
    traffic = {demo.TARGET: Traffic(incidents=[incidents.parse(text, MOMENT) for text in STORY])}
    times = (*moments(START, TURN, COARSE), *moments(TURN, END, FINE))
    labels = {"job": demo.JOB, "instance": demo.ADDRESS}
    replay(settings(), traffic, times, labels=labels).write(file)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def both(
    machine_clock: None, tool: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Both]:
    """The exporter's metrics get into VictoriaMetrics by the line of the page."""
    program, folder = tool("victoria-metrics"), tmp_path_factory.mktemp("databases")
    past = folder / "backfill.om"
    write_history(past)
    await prometheus.load(folder, past)
    stretches = [Stretch(START, TURN, COARSE), Stretch(TURN, END, FINE)]
    lookback = f"--query.lookback-delta={LOOKBACK}"
    await prometheus.record(folder, rules.passes(folder), stretches, lookback)
    async with (
        prometheus.prometheus(folder, "{}", lookback) as one,
        victoria_metrics(program, folder, f"-search.maxLookback={LOOKBACK}") as other,
    ):
        (line,) = re.findall(r"^    (sed .*backfill\.om.*)$", PAGE, re.MULTILINE)
        command = line.replace("backfill.om", str(past)).replace("http://127.0.0.1:8428", other.url)
        await programs.run("bash", "-c", command)
        for name in {rule["record"] for rule in EVERY_RULE if "record" in rule}:
            await add(other, await one.query(f"{name}[{END - START:.0f}s]", END))
        yield Both(one, other)


class StatisticRequest(NamedTuple):
    """An expression and where it is from."""

    place: str
    expression: str


def of_boards() -> Iterator[StatisticRequest]:
    """Yield what the panels query when a board is opened, every variable at All."""
    for path in boards.FILES:
        board = boards.load(path)
        values = {name: ".+" for name, each in boards.variables(board).items() if each.get("multi")}
        values["window"] = "7d"
        for query in boards.queries(board):
            expression = boards.expanded(query.expr, {**INTERVALS, **values})
            yield StatisticRequest(f"{query.panel['title']} {query.ref}", expression)


def of_rules() -> Iterator[StatisticRequest]:
    for number, rule in enumerate(EVERY_RULE):
        yield StatisticRequest(f"{number} {rule.get('alert') or rule['record']}", rule["expr"])


def by_labels(found: Series) -> dict[tuple[tuple[str, str], ...], float]:
    """Return the finite values by labels. A name is none: where a value is computed, only one of the two keeps it."""
    return {
        tuple(sorted((name, value) for name, value in each["metric"].items() if name != "__name__")): float(
            each["value"][1]
        )
        for each in found
        if math.isfinite(float(each["value"][1]))
    }


def difference(ours: Mapping[object, float], theirs: Mapping[object, float]) -> str:
    """Return in what two responses differ, "" where they do not."""
    if missing := ours.keys() - theirs.keys():
        return f"{len(missing)} of {len(ours)} series are missing: {next(iter(missing))}"
    if added := theirs.keys() - ours.keys():
        return f"{len(added)} series beside {len(ours)}: {next(iter(added))}"
    pairs = {key: (value, theirs[key]) for key, value in ours.items()}
    far = [(key, pair) for key, pair in pairs.items() if not math.isclose(*pair, rel_tol=1e-6, abs_tol=1e-9)]
    return f"{len(far)} of {len(ours)} values differ: {far[0]}" if far else ""


async def compare(both: Both, questions: Iterator[StatisticRequest], at: float) -> dict[StatisticRequest, str]:
    """Return the questions that are answered differently at a moment, and how. Enough of them must have a response."""
    differing, compared = {}, 0
    for request in questions:
        ours, theirs = [by_labels(await each.query(request.expression, at)) for each in both]
        compared += bool(ours)
        if found := difference(ours, theirs):
            differing[request] = found
    assert compared > ENOUGH
    return differing


QUERIED = pytest.mark.parametrize(
    "requested", [pytest.param(of_boards, id="panels"), pytest.param(of_rules, id="rules")]
)


@QUERIED
@pytest.mark.parametrize("at", ON_SAMPLES)
async def test_its_results_are_those_of_prometheus(
    both: Both, requested: Callable[[], Iterator[StatisticRequest]], at: float
) -> None:
    differing = await compare(both, requested(), at)
    (seen,) = await both.prometheus.query(f"count_over_time(up[{FINE:.0f}s])", at)
    if seen["value"][1] == "1":  # Prometheus 3, without the sample on the left edge, extrapolates here, too
        differing = {each: found for each, found in differing.items() if not EXTRAPOLATED.search(each.expression)}
    assert differing == {}


@QUERIED
async def test_between_two_samples_only_increases_differ_and_those_by_whole_mails(
    both: Both, requested: Callable[[], Iterator[StatisticRequest]]
) -> None:
    """Prometheus extrapolates to the edges of a range, VictoriaMetrics does not."""
    differing = await compare(both, requested(), BETWEEN_SAMPLES)
    assert differing
    assert {request: found for request, found in differing.items() if "values differ" not in found} == {}
    assert [request for request in differing if not EXTRAPOLATED.search(request.expression)] == []
    (mails,) = await both.victoria.query(
        'sum(increase(directmail_track_observed_emails_total{query="account"}[6h]))', BETWEEN_SAMPLES
    )
    assert float(mails["value"][1]).is_integer()
    assert "does not extrapolate, and shows whole numbers where Prometheus shows fractions" in PAGE


WRITERS = ("Mimir", "Grafana Cloud", "Alibaba Cloud Managed Service for Prometheus")
"""Sections of the page whose config writes to a remote address, as VictoriaMetrics has one."""


@pytest.mark.parametrize("system", WRITERS)
async def test_what_a_prometheus_writes_to_a_remote_address_arrives_by_its_name(
    tool: Callable[[str], Path], tmp_path: Path, system: str
) -> None:
    """The page's config, but for addresses and the password's file: VictoriaMetrics stands for the service."""
    shared, section = (part.partition("\n## ")[0] for part in (PAGE, PAGE.partition(f"\n## {system}\n")[2]))
    (block,) = re.findall(r"```yaml\n(.*?)```", section, re.DOTALL)
    (scrape,) = re.findall(r"```yaml\n(.*?)```", shared, re.DOTALL)
    password = tmp_path / "password"
    password.write_text("secret")
    async with victoria_metrics(tool("victoria-metrics"), tmp_path) as remote, one_metric() as scraped:
        config = yaml.safe_load(scrape + block)
        config["global"] = {"scrape_interval": "1s"}
        (job,) = config["scrape_configs"]
        del job["scrape_interval"]
        job["static_configs"] = [{"targets": [scraped]}]
        (written,) = config["remote_write"]
        written["url"] = f"{remote.url}/api/v1/write"
        if "basic_auth" in written:
            written["basic_auth"]["password_file"] = str(password)
        async with prometheus.prometheus(tmp_path, yaml.safe_dump(config)), asyncio.timeout(PATIENCE):
            while not (found := await remote.query("directmail_up")):
                await asyncio.sleep(0.2)
    assert found[0]["metric"] == {
        "__name__": "directmail_up", "job": "directmail", "instance": scraped, "target": "shop"
    }  # fmt: skip


@asynccontextmanager
async def one_metric() -> AsyncIterator[str]:
    """Serve a metric to every client that scrapes `host:port`, which is yielded."""

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(text='directmail_up{target="shop"} 1\n')

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
