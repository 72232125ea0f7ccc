"""The series of a simulated account: its quota, its senders' usage, its domains' checks."""

import math
from collections.abc import Mapping
from datetime import date
from typing import Any

from exporter.commands.demo_series import FilteredHistory
from exporter.config.model import Target
from exporter.directmail import account
from exporter.directmail.listing import OPERATIONS, Listed, Listing, Operation
from exporter.metrics.account import ROWS, AccountRow, Read, Shown
from exporter.metrics.history import Series
from exporter.plan import calendar
from exporter.simulator import server
from exporter.simulator.account import STREAMS
from exporter.simulator.behaviour import Behaviour
from exporter.simulator.call import Call, Inventory
from exporter.simulator.traffic import Traffic

PAGE_SIZE = 100
SENDERS, DOMAINS = OPERATIONS["account_name"], OPERATIONS["domain"]


class AccountSeries:
    """The series of one target's account, which is read every `interval` seconds and after midnight."""

    def __init__(self, target: Target, traffic: Traffic, interval: float, history: FilteredHistory) -> None:
        self._target = target
        self._traffic = traffic
        self._interval = interval
        self._history = history
        self._senders = sorted({stream.sender for stream in STREAMS})
        self._read_at = -math.inf
        self._day: date | None = None
        self._series: dict[tuple[str, ...], list[Series]] = {}

    def add(self, now: float) -> None:
        """Read what is due and add a sample to every series."""
        today = calendar.today(now, self._target.timezone)
        if today != self._day or now >= self._read_at + self._interval:
            self._shown, self._read_at, self._day = self._read(now), now, today
        for row in ROWS:
            for values, value in row.samples(self._shown):
                if value is not None:
                    for series in self._of(row, values):
                        series.add(now, float(value))

    def _of(self, row: AccountRow, values: tuple[str, ...]) -> list[Series]:
        key = (row.name, *values)
        if key not in self._series:
            labels = {"target": self._target.name, **dict(zip(row.labels, values, strict=True))}
            self._series[key] = self._history.series(row.name, {**self._target.labels, **labels})
        return self._series[key]

    def _read(self, now: float) -> Shown:
        senders, domains = self._listed(SENDERS, now), self._listed(DOMAINS, now)
        checks = {
            name: {
                **account.verified(facts, account.LISTED_CHECKS),
                **account.verified(self._described(facts, now), account.DESCRIBED_CHECKS),
            }
            for name, facts in domains.facts.items()
        }
        return Shown(
            account.summary(self._response(account.SUMMARY, {}, now)),
            {name: account.usage(facts) for name, facts in senders.facts.items()},
            checks,
            dict.fromkeys((account.SUMMARY, SENDERS.action, DOMAINS.action, account.DOMAIN), Read(True, now)),
        )

    def _listed(self, operation: Operation, now: float) -> Listed:
        listing = Listing(operation, PAGE_SIZE)
        while listing.wanted is not None:
            listing.take(self._response(operation.action, listing.parameters, now))
        return listing.result(1)

    def _described(self, facts: Mapping[str, Any], now: float) -> Mapping[str, Any]:
        return self._response(account.DOMAIN, {account.DOMAIN_ID: str(facts[account.DOMAIN_ID])}, now)

    def _response(self, action: str, parameters: Mapping[str, str], now: float) -> dict[str, Any]:
        return server.OPERATIONS[action](Call(parameters, now, self._traffic, self._senders, Inventory(), Behaviour()))
