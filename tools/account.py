"""`make test-account CONFIG=config.yaml`: requests to a real account for what the documentation leaves open.

Read-only and at most MOST_CALLS requests: the doctor's examination of the config's first target, then what it does not
need to know. Prints a table for docs/verified.md and offers to write the recording that it is made from.
"""

import asyncio
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import click

from exporter.clock import Clock, SystemClock
from exporter.commands.doctor import offer
from exporter.config.checking import ConfigError
from exporter.config.model import Config, Target
from exporter.directmail import account, listing
from exporter.directmail.errors import DirectMailError
from exporter.directmail.listing import LARGEST_PAGE, OPERATIONS, Listing
from exporter.directmail.model import Filters
from exporter.directmail.statistics.delivery import DELIVERY
from exporter.directmail.statistics.engagement import ENGAGEMENT
from exporter.directmail.statistics.registry import STATISTICS
from exporter.directmail.statistics.statistic import Statistic
from exporter.directmail.transport import open_session
from exporter.doctor import recording, report
from exporter.doctor.examination import examine
from exporter.doctor.report import Report
from exporter.doctor.sanitizing import Sanitizer
from exporter.plan import calendar
from exporter.plan.combinations import configured
from exporter.reload import load
from exporter.simulator.replay import Recording
from exporter.target_client import connect
from tools.verified import answered

MOST_CALLS = 40
READ_ONLY = frozenset(
    (
        *(each.action for each in STATISTICS.values()),
        *(each.action for each in OPERATIONS.values()),
        account.SUMMARY,
        account.DOMAIN,
    )
)
"""The operations that are called; none of them changes anything or returns recipients."""
Request = tuple[str, dict[str, str]]


async def request(
    settings: Config, clock: Clock, environment: Mapping[str, str], calls: recording.CallRecorder
) -> Report:
    """Examine the first target and make the further requests; `calls` keeps all. Failures are answers too."""
    target = settings.targets[0]
    alone = replace(settings, targets=(target,))
    (found,) = await examine(alone, clock, environment, {target.name: calls})
    async with open_session() as session:
        client = connect(target, session, clock, environment, record=calls, attempts=1)
        for action, parameters in further(target, clock.time(), calls):
            if len(calls.kept) >= MOST_CALLS:
                break
            if not any(call.action == action and call.parameters == parameters for call in calls.kept):
                with suppress(DirectMailError):
                    await client.call(action, parameters)
    return found


def further(target: Target, now: float, calls: recording.CallRecorder) -> Iterator[Request]:
    """Yield the requests that the doctor does not make, the most informative first."""
    today = calendar.today(now, target.timezone)

    def days(
        statistic: Statistic, oldest: int, newest: int, *, size: int = target.page_size, **filters: str
    ) -> Request:
        start, end = (today - timedelta(days=age) for age in (oldest, newest))
        return statistic.action, statistic.request(Filters(**filters), start, end, size=size)

    yield account.SUMMARY, {}
    for operation in OPERATIONS.values():
        yield operation.action, Listing(operation, LARGEST_PAGE).parameters
    for domain_id in _domain_ids(calls):
        yield account.DOMAIN, {account.DOMAIN_ID: domain_id}
    yield from (days(ENGAGEMENT, *ages) for ages in ((2, 2), (1, 1), (2, 1), (6, 0)))
    yield days(replace(ENGAGEMENT, is_paged=False), 1, 1)
    yield days(ENGAGEMENT, 6, 0, size=1000)
    yield days(ENGAGEMENT, 7, 0)
    yield days(ENGAGEMENT, 30, 30)
    for esp in ("gmail.com", "others", "Others"):
        yield days(ENGAGEMENT, 6, 0, esp=esp)
    senders = (each.filters.account_name for each in configured(target, ENGAGEMENT.name))
    for domain in list(dict.fromkeys(sender.rpartition("@")[2] for sender in senders if sender))[:2]:
        yield days(ENGAGEMENT, 6, 0, domain=domain)
    yield from (days(DELIVERY, *ages) for ages in ((1, 1), (6, 0), (30, 0)))


def _domain_ids(calls: recording.CallRecorder) -> Iterator[str]:
    """Yield the id of the first domain that was listed."""
    operation = OPERATIONS["domain"]
    for call in calls.kept:
        if call.action == operation.action and call.reply is not None:
            with suppress(DirectMailError):
                found = listing.page(operation, recording.document_of(call.reply), "")
                ids = (item.facts[account.DOMAIN_ID] for item in found.items[:1])
                yield from (str(domain_id) for domain_id in ids if domain_id)


@click.command()
@click.option("--config.file", "config_file", type=click.Path(path_type=Path), default="config.yaml")
@click.option("--record", "folder", type=click.Path(path_type=Path, file_okay=False), default="recording")
@click.option("--scale-counts", is_flag=True)
@click.option("--yes", is_flag=True)
def main(config_file: Path, folder: Path, scale_counts: bool, yes: bool) -> None:
    """Make the requests, print the table, and offer the recording."""
    if os.environ.get("CI"):
        sys.exit("this makes real calls: not in CI")
    try:
        settings = load(config_file)
    except ConfigError as error:
        sys.exit(str(error))
    clock = SystemClock()
    calls = recording.CallRecorder(clock)
    target = settings.targets[0]
    click.echo(f"At most {MOST_CALLS} calls to {target.endpoint}, read-only.", err=True)
    found = asyncio.run(request(settings, clock, os.environ, calls))
    click.echo(report.as_text([found]))
    made = recording.files(target, calls.kept, found.findings, Sanitizer.random(scaled=scale_counts))
    with tempfile.TemporaryDirectory() as kept:
        recording.write(Path(kept) / folder.name, made)
        if made:
            click.echo(answered([Recording(Path(kept) / folder.name)]))
    offer(folder, [made], yes=yes)


if __name__ == "__main__":
    main()
