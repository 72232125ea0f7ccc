"""What made-up accounts say of themselves over some weeks: quota, state, senders and domains, read every hour.

The answers are those of the simulator, read and shown by the exporter's own code; nothing is called.
"""

from collections.abc import Iterable, Mapping

from exporter.directmail import account
from exporter.directmail.account import DESCRIBED_CHECKS, LISTED_CHECKS, Usage
from exporter.directmail.listing import OPERATIONS
from exporter.metrics.account import FAMILIES, ROWS, Read, Shown
from exporter.metrics.history import History, Series
from exporter.simulator import account_summary, domains
from exporter.simulator.account import STREAMS
from exporter.simulator.call import Call, Inventory
from exporter.simulator.habits import Habits
from exporter.simulator.traffic import Traffic

INTERVAL = 3600.0
"""Seconds between two reads: `account_interval` and `domains_interval`."""
SENDERS = tuple(sorted({stream.sender for stream in STREAMS}))
READ = (account.SUMMARY, OPERATIONS["account_name"].action, OPERATIONS["domain"].action, account.DOMAIN)
"""The operations that are read."""


def replay(traffic: Mapping[str, Traffic], times: Iterable[float], *, labels: Mapping[str, str]) -> History:
    """Return what a Prometheus would have got of these targets' accounts, had it scraped at these times.

    `labels` are what a Prometheus adds itself.
    """
    history = History(FAMILIES)
    known: dict[tuple[str, str, tuple[str, ...]], Series] = {}
    shown: dict[str, Shown] = {}
    read_at = float("-inf")
    for now in times:
        if now - read_at >= INTERVAL:
            shown = {target: read(each, now) for target, each in traffic.items()}
            read_at = now
        for target, row in ((target, row) for target in shown for row in ROWS):
            for values, value in row.samples(shown[target]):
                if value is None:
                    continue
                key = (target, row.name, values)
                if key not in known:
                    own = dict(zip(row.labels, values, strict=True))
                    known[key] = history.series(row.name, {"target": target, **own, **labels})
                known[key].add(now, float(value))
    return history


def read(traffic: Traffic, now: float) -> Shown:
    """Return what is known of an account that is read at that time, all of it successfully."""

    def call(**parameters: str) -> Call:
        return Call(parameters, now, traffic, SENDERS, Inventory(), Habits())

    listed = domains.query(call())["data"]["domain"]
    checks = {
        each["DomainName"]: {
            **account.verified(each, LISTED_CHECKS),
            **account.verified(domains.describe(call(DomainId=each["DomainId"])), DESCRIBED_CHECKS),
        }
        for each in listed
    }
    return Shown(
        account.summary(account_summary.summary(call())),
        {name: Usage(today, None) for name, today in _requested_today(traffic, now).items()},
        checks,
        dict.fromkeys(READ, Read(last_attempt_ok=True, last_success_at=now)),
    )


def _requested_today(traffic: Traffic, now: float) -> dict[str, int]:
    """Return each sender's mail of the day, as QueryMailAddressByParam has it; its month is no concern of an alert."""
    day = traffic.today(now)
    return {name: traffic.delivery(day, now, sender=name).requested for name in SENDERS}
