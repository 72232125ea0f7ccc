"""Reads an account's quota, reputation and state, the usage of its senders and the DNS checks of its domains.

Senders and domains come from discovery's lists, so each list is requested only once.
"""

import asyncio
import math
import random
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import structlog

from exporter.clock import MINUTE, Clock, sleep_or_wake
from exporter.collector.outages import Outages
from exporter.directmail import account
from exporter.directmail.client import Client
from exporter.directmail.errors import DirectMailError
from exporter.directmail.listing import Listed
from exporter.store.account_facts import Checks, Fact, Facts

FIRST_BACKOFF = 30.0
"""Seconds until a request that failed is made again, about; doubled each time, at most the interval."""
JITTER = 0.1
"""The share of a pause that is random, so that targets and replicas do not run in step."""

SENDERS, DOMAINS = "account_name", "domain"
"""The filters whose lists are of use here."""


class AccountReader:
    """The account of one target."""

    def __init__(
        self,
        target: str,
        client: Client,
        facts: Facts,
        clock: Clock,
        outages: Outages,
        *,
        changed: Callable[[], None],
        rng: random.Random | None = None,
    ) -> None:
        """`changed` is called after every update. Nothing is requested before `follow` has set the intervals."""
        self._client = client
        self._facts = facts
        self._clock = clock
        self._outages = outages
        self._changed = changed
        self._random = rng or random.Random()
        self._log = structlog.get_logger().bind(target=target)
        self._account_interval: float | None = None
        self._domains_interval: float | None = None
        self._ids: dict[str, str] = {}
        """The listed domains and their ids for DescDomain."""
        self._due: dict[str, float] = {}
        """When the account ("") and each domain are requested again, in monotonic time."""
        self._failures: dict[str, int] = {}
        self._reported: set[str] = set()
        """What is logged as failing."""
        self._states: frozenset[str] = frozenset()
        """The account's states as they are logged."""
        self._wake = asyncio.Event()

    def follow(self, account_interval: float | None, domains_interval: float | None) -> None:
        """Request the account and its domains every so many seconds from now on; None is never."""
        now = self._clock.monotonic()
        self._account_interval, self._domains_interval = account_interval, domains_interval
        kept = {"": account_interval, **dict.fromkeys(self._ids, domains_interval)}
        self._due = {
            subject: min(self._due.get(subject, now), now + interval)
            for subject, interval in kept.items()
            if interval is not None
        }
        self._wake.set()

    @property
    def lists(self) -> dict[str, float]:
        """The filters whose values are to be listed, and every how many seconds."""
        wanted = {SENDERS: self._account_interval, DOMAINS: self._domains_interval}
        return {key: interval for key, interval in wanted.items() if interval is not None}

    @property
    def requests(self) -> int:
        """How many things are requested, without lists."""
        return len(self._due)

    def planned_requests(self) -> dict[str, float]:
        """Return the calls a minute that this takes, by operation, without lists."""
        planned = {}
        if self._account_interval is not None:
            planned[account.SUMMARY] = MINUTE / self._account_interval
        if self._domains_interval is not None:
            planned[account.DOMAIN] = len(self._ids) * MINUTE / self._domains_interval
        return planned

    def listed(self, key: str, found: Listed, known: frozenset[str], requested_at: float) -> None:
        """Store a complete list; `known` also has values that must be missing once more before they are dropped."""
        if key == SENDERS and self._account_interval is not None:
            usage = {name: account.usage(facts) for name, facts in found.facts.items()}
            self._facts.senders.succeeded(usage, requested_at, self._clock)
        elif key == DOMAINS and self._domains_interval is not None:
            before = self._facts.domains.value or {}
            checks = {name: account.verified(each, account.LISTED_CHECKS) for name, each in found.facts.items()}
            kept = {name: known_checks for name, known_checks in before.items() if name in known}
            self._facts.domains.succeeded({**kept, **checks}, requested_at, self._clock)
            self._follow_domains({name: _id(each) for name, each in found.facts.items()}, known)
        else:
            return
        self._changed()

    def not_listed(self, key: str, error: DirectMailError) -> None:
        """Store why a list failed."""
        if key in self.lists:
            (self._facts.senders if key == SENDERS else self._facts.domains).failed(error)
            self._changed()

    async def run(self) -> None:
        """Request what is due, until cancelled."""
        while True:
            self._wake.clear()
            for subject in [each for each, due in self._due.items() if due <= self._clock.monotonic()]:
                if subject in self._due:
                    await self._read(subject)
            pause = min(self._due.values(), default=math.inf) - self._clock.monotonic()
            if self._due:
                await sleep_or_wake(self._clock, max(pause, 0.0), self._wake)
            else:
                await self._wake.wait()

    def _follow_domains(self, ids: dict[str, str], known: frozenset[str]) -> None:
        """Request new domains at once, and removed ones no longer."""
        now = self._clock.monotonic()
        self._ids = {name: found for name, found in ids.items() if found}
        for name in [name for name in self._facts.described if name not in known]:
            del self._facts.described[name]
        self._due = {subject: due for subject, due in self._due.items() if not subject or subject in self._ids}
        self._failures = {subject: count for subject, count in self._failures.items() if subject in self._due}
        self._reported &= self._due.keys()
        for name in self._ids.keys() - self._due.keys():
            self._due[name] = now
        self._wake.set()

    async def _read(self, subject: str) -> None:
        """Request the account (""), or the domain of that name."""
        action = account.DOMAIN if subject else account.SUMMARY
        if (pause := self._outages.pause(action)) > 0:
            self._due[subject] = self._clock.monotonic() + pause
            return
        requested_at, requesting_at = self._clock.time(), self._outages.requesting(action)
        try:
            if subject:
                document = await self._client.call(action, {account.DOMAIN_ID: self._ids[subject]})
                checks = account.verified(document, account.DESCRIBED_CHECKS)
                self._described(subject).succeeded(checks, requested_at, self._clock)
            else:
                summary = account.summary(await self._client.call(action, {}))
                self._facts.summary.succeeded(summary, requested_at, self._clock)
                self._log_states(summary.states)
        except DirectMailError as error:
            self._failed(action, subject, error, requesting_at)
        else:
            self._succeeded(action, subject, requesting_at)
        self._changed()

    def _succeeded(self, action: str, subject: str, requesting_at: float) -> None:
        self._outages.succeeded(action, requesting_at)
        self._failures.pop(subject, None)
        self._again(subject, self._interval(subject))
        if subject in self._reported:
            self._reported.discard(subject)
            self._log.info("account read recovered", action=action, domain=subject)

    def _failed(self, action: str, subject: str, error: DirectMailError, requesting_at: float) -> None:
        (self._described(subject) if subject else self._facts.summary).failed(error)
        failures = self._failures[subject] = self._failures.get(subject, 0) + 1
        self._again(subject, min(self._interval(subject), FIRST_BACKOFF * 2.0 ** min(failures - 1, 16)))
        report = None if subject in self._reported else partial(self._report_failing, action, subject, error)
        subjects = len(self._ids) if subject else 1
        self._outages.failed(action, (action, subject), error, requesting_at, of=subjects, report=report)

    def _report_failing(self, action: str, subject: str, error: DirectMailError) -> None:
        self._reported.add(subject)
        self._log.warning("account read failing", action=action, domain=subject, **error.facts())

    def _log_states(self, states: frozenset[str] | None) -> None:
        """Log a change of the account's states; None where the response has none."""
        if states is None or states == self._states:
            return
        self._states = states
        if states:
            found = [name for name in account.STATES if name in states]
            advice = " ".join(account.STATE_ADVICE[name] for name in found)
            self._log.warning("account not in good standing", states=", ".join(found), advice=advice)
        else:
            self._log.info("account in good standing")

    def _described(self, domain: str) -> Fact[Checks]:
        return self._facts.described.setdefault(domain, Fact())

    def _interval(self, subject: str) -> float:
        return (self._domains_interval if subject else self._account_interval) or math.inf

    def _again(self, subject: str, pause: float) -> None:
        """Request it again after about so many seconds."""
        if subject in self._due and pause < math.inf:  # the config may have changed meanwhile
            self._due[subject] = self._clock.monotonic() + pause * self._random.uniform(1 - JITTER, 1 + JITTER)


def _id(facts: Mapping[str, Any]) -> str:
    """Return a domain's id for DescDomain, "" where the list has none."""
    found = facts.get(account.DOMAIN_ID)
    return str(found) if isinstance(found, int | str) else ""
