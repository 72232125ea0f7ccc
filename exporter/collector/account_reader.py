"""Reads an account's quota, reputation and state, the usage of its senders and the DNS checks of its domains.

Senders and domains come from discovery's lists, so each list is requested only once.
"""

import random
from collections.abc import Callable
from functools import partial

import structlog

from exporter.clock import MINUTE, Clock
from exporter.collector.due_requests import DueRequests
from exporter.collector.outages import Outages
from exporter.directmail import account
from exporter.directmail.client import Client
from exporter.directmail.errors import DirectMailError
from exporter.directmail.listing import Listed, domain_id
from exporter.store.account_facts import AccountFacts, Checks, Fact, Facts

SENDERS, DOMAINS = "account_name", "domain"
"""The filters whose lists are of use here."""


class AccountReader:
    """The account of one target."""

    def __init__(
        self,
        target: str,
        client: Client,
        facts: AccountFacts,
        clock: Clock,
        outages: Outages,
        *,
        changed: Callable[[], None],
        rng: random.Random | None = None,
    ) -> None:
        """`changed` is called after every update. Nothing is requested before `follow` has set the intervals."""
        self._target = target
        self._client = client
        self._known = facts
        self._clock = clock
        self._changed = changed
        self._log = structlog.get_logger().bind(target=target)
        self._account_interval: float | None = None
        self._domains_interval: float | None = None
        self._ids: dict[str, str] = {}
        """The listed domains and their ids for DescDomain."""
        self._due = DueRequests(clock, outages, rng, self._read)
        """The account ("") and each domain."""
        self._states: frozenset[str] = frozenset()
        """The account's states as they are logged."""
        self._unknown_status: int | None = None
        """The account's status as it is logged, where it is not known."""

    def follow(self, account_interval: float | None, domains_interval: float | None) -> None:
        """Request the account and its domains every so many seconds from now on; None is never."""
        self._account_interval, self._domains_interval = account_interval, domains_interval
        self._follow()

    @property
    def _facts(self) -> Facts:
        """The target's facts, which are discarded when it points at another account."""
        return self._known.of(self._target)

    @property
    def lists(self) -> dict[str, float]:
        """The filters whose values are to be listed, and every how many seconds."""
        wanted = {SENDERS: self._account_interval, DOMAINS: self._domains_interval}
        return {key: interval for key, interval in wanted.items() if interval is not None}

    @property
    def requests(self) -> int:
        """How many things are requested, without lists."""
        return len(self._due.intervals)

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
            self._follow_domains({name: domain_id(each) for name, each in found.facts.items()}, known)
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
        await self._due.run()

    def _follow_domains(self, ids: dict[str, str], known: frozenset[str]) -> None:
        """Request new domains at once, and removed ones no longer."""
        self._ids = {name: found for name, found in ids.items() if found}
        for name in [name for name in self._facts.described if name not in known]:
            del self._facts.described[name]
        self._follow()

    def _follow(self) -> None:
        wanted = {"": self._account_interval, **dict.fromkeys(self._ids, self._domains_interval)}
        self._due.follow({subject: interval for subject, interval in wanted.items() if interval is not None})

    async def _read(self, subject: str) -> None:
        """Request the account (""), or the domain of that name."""
        action = account.DOMAIN if subject else account.SUMMARY
        requested_at, requesting_at = self._clock.time(), self._due.begin(subject, action)
        if requesting_at is None:
            return
        try:
            if subject:
                document = await self._client.call(action, {account.DOMAIN_ID: self._ids[subject]})
                self._described(subject).succeeded(account.described(document), requested_at, self._clock)
            else:
                summary = account.summary(await self._client.call(action, {}))
                self._facts.summary.succeeded(summary, requested_at, self._clock)
                self._log_unknown(summary.unknown_status)
                self._log_states(summary.states)
        except DirectMailError as error:
            (self._described(subject) if subject else self._facts.summary).failed(error)
            log = partial(self._log.warning, "account read failing", action=action, domain=subject, **error.facts())
            subjects = len(self._ids) if subject else 1
            self._due.failed(subject, action, error, requesting_at, of=subjects, log=log)
        else:
            if self._due.succeeded(subject, action, requesting_at):
                self._log.info("account read recovered", action=action, domain=subject)
        self._changed()

    def _log_unknown(self, status: int | None) -> None:
        """Log a status that is not known, once."""
        if status is not None and status != self._unknown_status:
            self._log.warning("account has an unknown status", status=status, advice=account.UNKNOWN_ADVICE)
        self._unknown_status = status

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
