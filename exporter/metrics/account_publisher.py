"""Renders the accounts' metrics, each value for as long as it is fresh."""

import math
from collections.abc import Mapping
from datetime import date
from zoneinfo import ZoneInfo

from exporter.clock import Clock
from exporter.config.model import Config, Target
from exporter.directmail.account import Usage
from exporter.metrics import account
from exporter.metrics.account import FAMILIES, Shown
from exporter.metrics.exposition import Exposition
from exporter.plan.calendar import today
from exporter.store.account_facts import AccountFacts, Fact, Facts, Value

CHECK_EVERY = 1.0
"""Seconds between two checks of the clock."""
GRACE = 900.0
"""Seconds for which a value stays after it was to be read again, where `stale_after` does not say."""
_SECTION = "account"


class AccountPublisher:
    """The accounts of all targets."""

    def __init__(self, facts: AccountFacts, exposition: Exposition, clock: Clock) -> None:
        self.facts = facts
        self._exposition = exposition
        self._clock = clock
        self._targets: dict[str, Target] = {}
        self._day: dict[str, date] = {}
        """The day that each target shows."""
        self._fresh_for: dict[str, float] = {}
        """Until when each target shows nothing stale, in monotonic time."""

    def follow(self, config: Config) -> None:
        """Show the accounts of this config's targets, and no others."""
        wanted = config.account_interval is not None or config.domains_interval is not None
        targets = {target.name: target for target in config.targets} if wanted else {}
        for name in self._targets.keys() - targets.keys():
            self._exposition.drop((name, _SECTION))
        self._config, self._targets = config, targets
        for name in targets:
            self.refresh(name)

    def refresh(self, name: str) -> None:
        """Show a target's account as it is known now."""
        target = self._targets.get(name)
        if target is None:
            return
        self._fresh_for[name] = math.inf
        self._day[name] = today(self._clock.time(), target.timezone)
        shown = self._shown(target, self.facts.of(name))
        self._exposition.swap((name, _SECTION), FAMILIES, {None: account.block(name, shown, target.labels)})

    async def run(self) -> None:
        """Drop what has gone stale, and what a day had that has ended, until cancelled."""
        while True:
            await self._clock.sleep(CHECK_EVERY)
            for name, target in self._targets.items():
                is_stale = self._clock.monotonic() > self._fresh_for[name]
                if is_stale or today(self._clock.time(), target.timezone) != self._day[name]:
                    self.refresh(name)

    def _shown(self, target: Target, facts: Facts) -> Shown:
        account_for, domains_for = (
            self._held_for(self._config.account_interval),
            self._held_for(self._config.domains_interval),
        )
        domains = self._fresh(target, facts.domains, domains_for) or {}
        described = {name: self._fresh(target, fact, domains_for) or {} for name, fact in facts.described.items()}
        return Shown(
            self._fresh(target, facts.summary, account_for),
            _usage(
                facts.senders,
                self._fresh(target, facts.senders, account_for) or {},
                self._clock.time(),
                target.timezone,
            ),
            {name: {**checks, **described.get(name, {})} for name, checks in domains.items()},
            account.reads(facts, account_interval=account_for > 0, domains_interval=domains_for > 0),
        )

    def _held_for(self, interval: float | None) -> float:
        """Return how old a value may be that is read that often, less than 0 where it is not read at all."""
        return -1.0 if interval is None else interval + (self._config.stale_after or GRACE)

    def _fresh(self, target: Target, fact: Fact[Value], held_for: float) -> Value | None:
        """Return the value unless it is too old, and note until when it is not."""
        rest = held_for - fact.age(self._clock)
        if rest < 0:
            return None
        self._fresh_for[target.name] = min(self._fresh_for[target.name], self._clock.monotonic() + rest)
        return fact.value


def _usage(
    fact: Fact[Mapping[str, Usage]], senders: Mapping[str, Usage], now: float, zone: ZoneInfo
) -> dict[str, Usage]:
    """Return the senders' usage; what is of a day or month that has ended is None."""
    read_on, on = (today(at, zone) for at in (fact.read_at or 0.0, now))
    is_month = (read_on.year, read_on.month) == (on.year, on.month)
    return {
        name: Usage(each.today if read_on == on else None, each.month if is_month else None)
        for name, each in senders.items()
    }
