"""`init`: writes a first config from the account's contents; prints what it left out and how to continue."""

import os
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import click

from exporter.clock import Clock, SystemClock
from exporter.commands import check, exit_status, init_config
from exporter.commands.init_config import Draft, failed, intervals, target_of
from exporter.commands.init_survey import Survey, senders_of, survey
from exporter.config import loader
from exporter.config.model import Config
from exporter.config.regions import REGIONS
from exporter.directmail import account
from exporter.directmail.credentials import FromEnvironment
from exporter.directmail.errors import DirectMailError
from exporter.directmail.listing import OPERATIONS, Listed
from exporter.directmail.ram_policy import allowing
from exporter.directmail.statistics.registry import STATISTICS
from exporter.directmail.transport import open_session
from exporter.plan import calendar
from exporter.reload import checked
from exporter.target_client import connect

SEARCHED = tuple(region for region in REGIONS if region != "ap-southeast-2")
"""The regions that are searched for senders when none is named; the missing one is closed."""
NO_KEY = "Set both variables: init has no config yet that could name files with a key."
KINDS = {
    "account_name": "sender",
    "tag_name": "tag",
    "domain": "domain",
    "dedicated_ip": "dedicated IP",
    "dedicated_ip_pool_id": "pool",
}


class NoConfig(Exception):
    """No config can be written; the text has the reasons, one line each."""


@click.command()
@click.option(
    "--region", type=click.Choice(list(REGIONS)), help="Region of the account.  [default: the regions with senders]"
)
@click.option("--endpoint", metavar="URL", help="API endpoint, instead of a region.")
@click.option(
    "--rate-limit",
    "per_minute",
    type=click.FloatRange(0.1, 100_000),
    default=30.0,
    show_default=True,
    help="Calls per minute of each operation, now and in the config.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default="config.yaml",
    show_default=True,
    help="File to write.",
)
@click.option("--force", is_flag=True, help="Overwrite the file.")
def command(region: str | None, endpoint: str | None, per_minute: float, output: Path, force: bool) -> None:
    """Write a config from the account's contents: senders, tags, domains, dedicated IPs and pools.

    It needs an access key in the environment, and makes at most a hundred requests.
    """
    if region and endpoint:
        raise click.UsageError("set either --region or --endpoint, not both")
    if output.exists() and not force:
        exit_status.fail(f"nothing written: {output} exists; use --force to overwrite it, or another --output")
    if not output.parent.is_dir():
        exit_status.fail(f"nothing written: {output.parent} is not a directory")
    exit_status.check_writable(output)
    places = [(region or "", endpoint or "")] if region or endpoint else [(each, "") for each in SEARCHED]
    drafts = exit_status.run(drafted(places, SystemClock(), per_minute=per_minute, notify=_notify), NoConfig)
    if drafts is None:
        exit_status.fail("interrupted; nothing written")
    text = init_config.render(drafts, calendar.today(time.time(), drafts[0].survey.target.timezone))
    settings = checked(str(output), *loader.parse(text))
    try:
        with output.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        exit_status.fail(f"{output}: cannot be written: {error.strerror}")
    for line in summary(settings, drafts, output):
        exit_status.message(line)


def _notify(text: str) -> None:
    click.echo(text, err=True)


async def drafted(
    places: Sequence[tuple[str, str]],
    clock: Clock,
    *,
    environment: Mapping[str, str] = os.environ,
    hosts: Mapping[str, str] = MappingProxyType({}),
    per_minute: float = 30.0,
    notify: Callable[[str], None] = lambda text: None,
) -> list[Draft]:
    """Return the queries for each account, by region or endpoint; of several regions those that have senders.

    `hosts` are other endpoints of regions. Raise NoConfig where nothing can be polled.
    """
    try:
        made = [target_of(region, endpoint, per_minute) for region, endpoint in places]
    except ValueError as error:
        raise NoConfig(str(error)) from None
    targets = {target.name: replace(target, endpoint=hosts.get(target.region, target.endpoint)) for _, target in made}
    config = made[0][0]
    try:
        await FromEnvironment(environment, NO_KEY).get()
        async with open_session() as session:
            clients = {name: connect(each, session, clock, environment) for name, each in targets.items()}
            known: dict[str, Listed] = {}
            if len(targets) > 1:
                notify(f"looking for senders in {', '.join(targets)}")
                known = _with_senders(await senders_of(clients))
            surveys = [
                await survey(
                    targets[name], clients[name], clock, senders=known.get(name), notify=_prefixed(notify, name)
                )
                for name in known or targets
            ]
    except DirectMailError as error:
        raise NoConfig(f"nothing written: {error}. {error.advice}") from None
    for each in surveys:
        if not each.statistics:
            raise NoConfig(_nothing_allowed(each))
    return [init_config.draft(each, replace(config, targets=(each.target,))) for each in surveys]


def _prefixed(notify: Callable[[str], None], name: str) -> Callable[[str], None]:
    return lambda text: notify(f"{name}: {text}")


def _with_senders(found: Mapping[str, Listed | DirectMailError]) -> dict[str, Listed]:
    """Return the regions that have senders. Raise NoConfig where there is none, with each region's error."""
    known = {name: each for name, each in found.items() if isinstance(each, Listed) and each.values}
    if not known:
        reasons = [
            f"{name}: {each if isinstance(each, DirectMailError) else 'no sender'}" for name, each in found.items()
        ]
        raise NoConfig("\n".join(["nothing written: no senders found; name your region with --region", *reasons]))
    return known


def _nothing_allowed(found: Survey) -> str:
    name, actions = found.target.name, [each.action for each in STATISTICS.values()]
    whys = [f"{name}: {failed(found, action)}" for action in actions if failed(found, action)]
    lines = ["nothing written: no statistic can be read", *whys]
    if denied := [action for action in actions if action in found.denied]:
        lines.append(f"attach this policy to the key's RAM user or role (docs/ram-policy.md): {_policy(denied)}")
    return "\n".join(lines)


def summary(settings: Config, drafts: Sequence[Draft], output: Path) -> Iterator[str]:
    """Yield the summary: what was found, the plan, what is left out and why, how to continue."""
    for each in drafts:
        found = each.survey
        counts = (_counted(len(found.lists[key].values), what) for key, what in KINDS.items() if key in found.lists)
        yield f"{found.target.name}: {', '.join(counts) or 'nothing could be listed'}"
    yield from ("", *check.report(settings).splitlines(), "")
    left_out = {
        **{f"{each.survey.target.name}, {name}": why for each in drafts for name, why in each.why_not.items()},
        **{name: why for name, why in intervals([each.survey for each in drafts]).items() if why is not None},
    }
    if left_out:
        yield from ("Left out:", *(f"  {name}: {why}" for name, why in left_out.items()), "")
    denied = dict.fromkeys(action for each in drafts for action in each.survey.denied)
    if OPERATIONS["domain"].action in denied:
        denied[account.DOMAIN] = None  # which could not be tried without a domain, and is of no use alone
    if denied:
        yield "Permissions that the key lacks, as a policy for its RAM user or role (docs/ram-policy.md):"
        yield from (f"  {line}" for line in allowing(denied).splitlines())
        yield "Attach it and run init again with --force."
        yield ""
    query = next((name for each in drafts for _, name, _ in each.queries if name == "by_sender"), "account")
    named = f"--config.file {shlex.quote(str(output))}"
    yield f"{output} is written. Continue with:"
    yield f"  directmail-exporter doctor {named}"
    yield f"  directmail-exporter show {named} --query {query}"
    yield f"  directmail-exporter {named}"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"


def _policy(actions: Sequence[str]) -> str:
    """Return a policy in one line."""
    return " ".join(allowing(actions).split())
