"""`make demo-stack`: exporter, simulator, Prometheus and Alertmanager on loopback, with 30 days behind them.

The story unless incidents are named: Gmail began to put the transactional sender's mail into spam yesterday afternoon,
and product@'s tracking broke in the night; the rest of the month was quiet. Both alerts come within minutes;
where nobody else sends that day, the second comes of product@'s IP, pool and configuration set too.
"""

import asyncio
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import click
import yaml

from exporter.commands.demo import COARSE_STEP, DAYS, FINE, FINE_STEP, JOB, LOOKBACK, SHOWN, STEP, morning_zone
from exporter.metrics.history import History
from exporter.metrics.text_format import Family
from exporter.simulator import incidents as known
from tools.stack import programs, prometheus, rules
from tools.stack.prometheus import Prometheus, Stretch
from tools.stack.receiver import Receiver, receiver
from tools.stack.verdicts import episodes

STORY = ("esp_spam:start=-20h,for=3d", "tracking_down:start=-6h,for=14h")
FAMILIES = (
    Family("ALERTS", "Alerts that are pending or firing, always 1.", "gauge"),
    Family("ALERTS_FOR_STATE", "Since when an alert holds, in seconds since the epoch.", "gauge"),
)
"""What Prometheus itself writes of alerts."""
AT_ONCE = "--rules.alert.for-grace-period=1m"
"""Alerts that hold already fire a minute after the start of Prometheus, which waits ten by default."""
EVALUATED = "15s"
"""A Prometheus that starts says of an alert whether it fires after three evaluations."""
ADDRESSES = {"exporter": "127.0.0.1:10058", "prometheus": "127.0.0.1:9090", "alertmanager": "127.0.0.1:9093"}


@dataclass(frozen=True)
class Stack:
    """Where everything listens (`host:port`)."""

    exporter: str
    prometheus: str
    alertmanager: str


@asynccontextmanager
async def running(
    folder: Path, incidents: Sequence[str], receiver: str, where: Stack, days: float = DAYS
) -> AsyncIterator[Prometheus]:
    """Run the stack with the block, its data in `folder`; alerts go to the webhook at `receiver`.

    Its past is of so many days. Raise Missing and Broken.
    """
    now = time.time()
    until = now // FINE_STEP * FINE_STEP
    past, state = folder / "history.om", folder / "state.db"
    story, zone = [dated(text, until) for text in incidents], str(morning_zone(now))
    await programs.run(
        *(sys.executable, "-m", "tools.stack.past", past, state, f"{until:.0f}", f"{days:g}", zone, where.exporter),
        *story,
    )
    await prometheus.load(folder, past)
    past.unlink()
    await prometheus.record(folder, rules.passes(folder), stretches(until, days), LOOKBACK)
    await remember(folder, until, days)
    async with AsyncExitStack() as stack:
        options = [option for text in story for option in ("--incident", text)]
        exporter = (sys.executable, "-m", "exporter", "demo", "--listen", where.exporter, "--timezone", zone, *options)
        exporter = (*exporter, "--state-file", str(state))
        ready = f"http://{where.exporter}/-/healthy"
        await stack.enter_async_context(programs.running(*exporter, log=folder / "exporter.log", ready=ready))
        routes = rules.routes(receiver)
        await stack.enter_async_context(prometheus.alertmanager(folder, routes, where.alertmanager))
        config = scraping(where)
        flags = (LOOKBACK, AT_ONCE)
        yield await stack.enter_async_context(prometheus.prometheus(folder, config, *flags, address=where.prometheus))


def dated(text: str, now: float) -> str:
    """Return an incident with its start as a moment, so that it is one and the same for the past and for the demo.

    Some minutes of difference would bring events back that the past has lost. Raise ValueError.
    """
    start = datetime.fromtimestamp(known.parse(text, now).start, UTC)
    return f"{text}{',' if ':' in text else ':'}start={start.isoformat()}"


def stretches(until: float, days: float = DAYS) -> list[Stretch]:
    """Return how often rules are evaluated in the past: wherever it has samples."""
    start, turn = until - days * 86_400, until - FINE
    shown = max(start, until - SHOWN)
    parts = [
        Stretch(start, shown - 1, COARSE_STEP),
        Stretch(shown, turn - 1, STEP),
        Stretch(turn, until, FINE_STEP),
    ]
    return [part for part in parts if part.start < part.end]


async def remember(folder: Path, until: float, days: float = DAYS) -> None:
    """Add which alerts were pending and firing, as a Prometheus does that ran all the time. Raise Missing and Broken.

    With the time since when each of them holds, the next Prometheus continues from there. The last evaluation is at the
    very end: what fires then is shown until the next Prometheus says so itself.
    """
    past = History(FAMILIES)
    start = until - days * 86_400 // STEP * STEP
    async with prometheus.prometheus(folder, "{}", LOOKBACK) as server, asyncio.TaskGroup() as group:
        results = [
            (alert, group.create_task(server.query_range(alert.expression, start, until, STEP)))
            for alert in rules.alerts()
        ]
        for alert, answer in results:
            for series in await answer:
                labels = {**series["metric"], "__name__": "", "alertname": alert.name, "severity": alert.severity}
                add(past, alert, labels, [float(at) for at, _ in series["values"]], until)
    if len(past):
        file = folder / "alerts.om"
        await asyncio.to_thread(past.write, file)
        await prometheus.load(folder, file)
        file.unlink()


def add(past: History, alert: rules.Alert, labels: dict[str, str], moments: Sequence[float], last: float) -> None:
    """Add the series of an alert whose expression has a value at these moments, up to the `last` one."""
    firing = episodes(moments, STEP, alert.waits, alert.keeps)
    fires = [at for since, until in firing for at in _steps(since, min(until, last + STEP))]
    pending = sorted(set(moments) - set(fires))
    for state, times in (("firing", fires), ("pending", pending)):
        series = past.series("ALERTS", {**labels, "alertstate": state})
        for at in times:
            series.add(at, 1.0)
    held = past.series("ALERTS_FOR_STATE", labels)
    before = since = float("-inf")
    for at in moments:
        since = since if at - before <= STEP else at
        before = at
        held.add(at, since)


def _steps(since: float, until: float) -> Iterator[float]:
    at = since
    while at < until:
        yield at
        at += STEP


def scraping(where: Stack) -> str:
    """Return our Prometheus' config with its addresses and paths as they are here, and alerts that come soon."""
    document = yaml.safe_load(rules.PROMETHEUS.read_text())
    document["global"]["evaluation_interval"] = EVALUATED
    document["rule_files"] = [str(rules.FOLDER / name) for name in document["rule_files"]]
    document["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [where.alertmanager]}]}]
    document["scrape_configs"] = [{"job_name": JOB, "static_configs": [{"targets": [where.exporter]}]}]
    return str(yaml.safe_dump(document))


async def run(incidents: Sequence[str]) -> None:
    """Run until cancelled. Raise Missing and Broken."""
    programs.find()
    where = Stack(**{name: programs.free_address(wished) for name, wished in ADDRESSES.items()})
    with tempfile.TemporaryDirectory(prefix="directmail-stack-") as made:
        async with receiver() as notified:
            click.echo(f"Writing {DAYS} days of history and evaluating the rules over them: about a minute.")
            async with running(Path(made), incidents, notified.address, where):
                click.echo(f"Exporter:      http://{where.exporter}/")
                click.echo(f"Prometheus:    {await alerts_page(f'http://{where.prometheus}')}")
                click.echo(f"Alertmanager:  http://{where.alertmanager}/")
                click.echo(f"  Debian's has no pages: amtool --alertmanager.url=http://{where.alertmanager} alert")
                click.echo("Alerts are shown here as they arrive at a webhook. Ctrl-C ends everything.")
                await _print_alerts(notified)


async def alerts_page(prometheus: str) -> str:
    """Return where a Prometheus shows alerts. Debian's is built without the newer pages."""
    async with aiohttp.ClientSession() as session, session.get(f"{prometheus}/alerts") as response:
        return f"{prometheus}{'' if response.ok else '/classic'}/alerts"


async def _print_alerts(notified: Receiver) -> None:
    shown = 0
    while True:
        for alert in notified.alerts[shown:]:
            click.echo(line(alert))
        shown = len(notified.alerts)
        await notified.more()


def line(alert: dict[str, Any]) -> str:
    """Return an alert as a line for people."""
    labels, text = alert["labels"], alert["annotations"]["description"]
    return (
        f"{alert['receiver']}: {labels['alertname']} ({labels['severity']}) {alert['status']}. {' '.join(text.split())}"
    )


@click.command()
@click.option("--incident", "incidents", multiple=True, default=STORY, show_default=True, help="As of the demo.")
def main(incidents: tuple[str, ...]) -> None:
    """Run the exporter's demo within Prometheus and Alertmanager, with 30 days of history."""
    try:
        for text in incidents:
            known.parse(text, 0.0)
    except ValueError as error:
        raise click.UsageError(str(error)) from None

    async def until_stopped() -> None:
        task = asyncio.ensure_future(run(incidents))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        with suppress(asyncio.CancelledError):
            await task

    try:
        asyncio.run(until_stopped())
    except (programs.Missing, programs.Broken) as error:
        click.echo(str(error), err=True)
        sys.exit(1)


if __name__ == "__main__":
    main(prog_name="demo-stack")
