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
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import click
import yaml

from exporter.commands.demo import JOB, morning_zone
from exporter.metrics.exposition import Family
from exporter.metrics.history import History
from exporter.simulator import incidents as known
from tools.stack import programs, prometheus, rules
from tools.stack.prometheus import Stretch
from tools.stack.receiver import Receiver, receiver

STORY = ("esp_spam:start=-20h,for=3d", "tracking_down:start=-6h,for=14h")
DAYS, STEP = 30, 900.0
HELD = 12 * 3600.0
"""Seconds that are looked back for alerts that hold already."""
LOOKBACK = "--query.lookback-delta=16m"
"""The past has a sample every quarter of an hour."""
ADDRESSES = {"exporter": "127.0.0.1:10058", "prometheus": "127.0.0.1:9090", "alertmanager": "127.0.0.1:9093"}


@dataclass(frozen=True)
class Stack:
    """Where everything listens (`host:port`)."""

    exporter: str
    prometheus: str
    alertmanager: str


@asynccontextmanager
async def running(folder: Path, incidents: Sequence[str], receiver: str, where: Stack) -> AsyncIterator[None]:
    """Run the stack with the block, its data in `folder`; alerts go to the webhook at `receiver`.

    Raise Missing and Broken.
    """
    now = time.time()
    until = now // STEP * STEP
    past = folder / "history.om"
    story, zone = [dated(text, until) for text in incidents], str(morning_zone(now))
    await programs.run(sys.executable, "-m", "tools.stack.past", past, f"{until:.0f}", zone, where.exporter, *story)
    await prometheus.load(folder, past)
    past.unlink()
    month = Stretch(until - DAYS * 86_400, until, STEP)
    await prometheus.record(folder, rules.passes(folder), [month], LOOKBACK)
    await _remember(folder, until)
    async with AsyncExitStack() as stack:
        options = [option for text in story for option in ("--incident", text)]
        exporter = (sys.executable, "-m", "exporter", "demo", "--listen", where.exporter, "--timezone", zone, *options)
        ready = f"http://{where.exporter}/-/healthy"
        await stack.enter_async_context(programs.running(*exporter, log=folder / "exporter.log", ready=ready))
        routes = rules.routes(receiver)
        await stack.enter_async_context(prometheus.alertmanager(folder, routes, where.alertmanager))
        config = scraping(where)
        await stack.enter_async_context(prometheus.prometheus(folder, config, LOOKBACK, address=where.prometheus))
        yield


def dated(text: str, now: float) -> str:
    """Return an incident with its start as a moment, so that it is one and the same for the past and for the demo.

    Some minutes of difference would bring events back that the past has lost. Raise ValueError.
    """
    start = datetime.fromtimestamp(known.parse(text, now).start, UTC)
    return f"{text}{',' if ':' in text else ':'}start={start.isoformat()}"


async def _remember(folder: Path, until: float) -> None:
    """Add since when alerts hold, as a Prometheus does that ran all the time: the next one goes on from there."""
    state = History([Family("ALERTS_FOR_STATE", "Since when an alert holds, in seconds since the epoch.", "gauge")])
    last = until - STEP
    async with prometheus.prometheus(folder, "{}", LOOKBACK) as server:
        for alert in rules.alerts():
            for series in await server.query_range(alert.expression, until - HELD, last, STEP):
                moments = {float(at) for at, _ in series["values"]}
                since = last
                while since - STEP in moments:
                    since -= STEP
                if last in moments:
                    labels = {**series["metric"], "__name__": "", "alertname": alert.name, "severity": alert.severity}
                    state.series("ALERTS_FOR_STATE", labels).add(last, since)
    if len(state):
        file = folder / "state.om"
        await asyncio.to_thread(state.write, file)
        await prometheus.load(folder, file)
        file.unlink()


def scraping(where: Stack) -> str:
    """Return our Prometheus' config with its addresses and paths as they are here."""
    document = yaml.safe_load(rules.PROMETHEUS.read_text())
    document["rule_files"] = [str(rules.FOLDER / name) for name in document["rule_files"]]
    document["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [where.alertmanager]}]}]
    document["scrape_configs"] = [{"job_name": JOB, "static_configs": [{"targets": [where.exporter]}]}]
    return str(yaml.safe_dump(document))


async def run(incidents: Sequence[str]) -> None:
    """Run until cancelled. Raise Missing and Broken."""
    programs.find()
    where = Stack(**{name: programs.free_address(wished) for name, wished in ADDRESSES.items()})
    with tempfile.TemporaryDirectory(prefix="directmail-stack-") as made:
        async with receiver() as told:
            click.echo(f"Writing {DAYS} days of history and evaluating the rules over them: about a minute.")
            async with running(Path(made), incidents, told.address, where):
                click.echo(f"Exporter:      http://{where.exporter}/")
                click.echo(f"Prometheus:    {await alerts_page(f'http://{where.prometheus}')}")
                click.echo(f"Alertmanager:  http://{where.alertmanager}/")
                click.echo(f"  Debian's has no pages: amtool --alertmanager.url=http://{where.alertmanager} alert")
                click.echo("Alerts are shown here as they arrive at a webhook. Ctrl-C ends everything.")
                await _tell(told)


async def alerts_page(prometheus: str) -> str:
    """Return where a Prometheus shows alerts. Debian's is built without the newer pages."""
    async with aiohttp.ClientSession() as session, session.get(f"{prometheus}/alerts") as answer:
        return f"{prometheus}{'' if answer.ok else '/classic'}/alerts"


async def _tell(told: Receiver) -> None:
    shown = 0
    while True:
        for alert in told.alerts[shown:]:
            click.echo(line(alert))
        shown = len(told.alerts)
        await told.more()


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
