"""Finds out what an account has and what its key may do: its lists, one try of each operation, which filters work."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, TypeVar

from exporter.clock import Clock
from exporter.collector.filter_groups import ENOUGH, Reading, Unsupported, groups
from exporter.config.durations import format_duration
from exporter.config.model import Target
from exporter.config.queries import ESPS
from exporter.directmail import account, responses
from exporter.directmail.client import Client
from exporter.directmail.errors import (
    AuthError,
    DirectMailError,
    InvalidRequest,
    NetworkError,
    PermissionDenied,
    RequestTimeout,
)
from exporter.directmail.listing import OPERATIONS, Listed, domain_id
from exporter.directmail.model import Filters
from exporter.directmail.statistics.registry import STATISTICS
from exporter.directmail.statistics.statistic import Statistic
from exporter.plan import calendar
from exporter.plan.combinations import Combination

LISTED = ("account_name", "tag_name", "domain", "dedicated_ip", "dedicated_ip_pool_id")
"""The filters whose values are listed."""
DAYS = 7
"""How many days back to search for a day with mail, to try filters with."""
MOST_PAIRS = 60
"""The product of senders and tags up to which used pairs are searched: two minutes at 30 requests a minute."""
TRIED_DOMAINS = 3
"""Domains that are compared with each other; more of them would show nothing new."""

_OF_ALL = (AuthError, NetworkError, RequestTimeout)
"""Failures that every further request would meet too."""
_Result = TypeVar("_Result")
_Notify = Callable[[str], None]


@dataclass
class Survey:
    """What was found in one account."""

    target: Target
    lists: dict[str, Listed] = field(default_factory=dict)
    """By filter; what could not be listed is not there."""
    statistics: tuple[str, ...] = ()
    """Those that the key may request."""
    failures: dict[str, DirectMailError] = field(default_factory=dict)
    """By operation: why it failed."""
    unproven: dict[str, str] = field(default_factory=dict)
    """By filter: why it is not proven to work."""
    tags_of: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """By sender: the tags that it had mail with in the last week. Empty where that is unknown."""
    useless: dict[str, str] = field(default_factory=dict)
    """By filter: why the account cannot use it."""

    @property
    def denied(self) -> tuple[str, ...]:
        """The operations that the key lacks a permission for."""
        return tuple(action for action, error in self.failures.items() if is_missing_permission(error))

    def values(self, key: str) -> tuple[str, ...]:
        """Return a filter's values, senders and domains with most mail this month first, none where unknown."""
        values = self.lists[key].values if key in self.lists else ()
        if key == "account_name":
            return tuple(sorted(values, key=lambda sender: -self._mail(sender)))
        if key == "domain":
            mail = dict.fromkeys(values, 0)
            for sender in self.values("account_name"):
                domain = sender.rpartition("@")[2]
                mail[domain] = mail.get(domain, 0) + self._mail(sender)
            return tuple(sorted(values, key=lambda domain: -mail[domain]))
        return values

    def _mail(self, sender: str) -> int:
        return account.usage(self.lists["account_name"].facts.get(sender, {})).month or 0


async def survey(
    target: Target, client: Client, clock: Clock, *, senders: Listed | None = None, notify: _Notify = lambda text: None
) -> Survey:
    """Return what the target's account has and what its key may do; `senders` are those that were listed already.

    Raise AuthError, NetworkError and RequestTimeout: every further request would meet them too.
    """
    surveyor = _Surveyor(Survey(target), client, clock)
    found = surveyor.found
    if senders is not None:
        found.lists["account_name"] = senders
    for key in (key for key in LISTED if key not in found.lists):
        notify(f"listing with {OPERATIONS[key].action}")
        listed = await surveyor.attempt(OPERATIONS[key].action, client.list_values(OPERATIONS[key]))
        if listed is not None:
            found.lists[key] = listed
    notify("testing the key's permissions")
    await surveyor.account()
    await surveyor.statistics()
    if found.statistics:
        statistic = STATISTICS[found.statistics[0]]
        notify("testing filters")
        await surveyor.filters(statistic)
        pairs = len(found.values("account_name")) * len(found.values("tag_name"))
        if 0 < pairs <= MOST_PAIRS:
            seconds = pairs * client.limiters.of(statistic.action).spacing
            notify(f"requesting each sender with each tag: {pairs} requests, about {format_duration(seconds)}")
            await surveyor.tags(statistic)
    return found


async def senders_of(clients: Mapping[str, Client]) -> dict[str, Listed | DirectMailError]:
    """Return each client's senders, or why they could not be listed. Raise AuthError where a key is rejected."""
    operation = OPERATIONS["account_name"]
    lists = await asyncio.gather(
        *(client.list_values(operation) for client in clients.values()), return_exceptions=True
    )
    found: dict[str, Listed | DirectMailError] = {}
    for name, result in zip(clients, lists, strict=True):
        if isinstance(result, AuthError) or not isinstance(result, Listed | DirectMailError):
            raise result
        found[name] = result
    return found


class _Surveyor:
    def __init__(self, found: Survey, client: Client, clock: Clock) -> None:
        self.found = found
        self._client = client
        self._clock = clock
        self._day = calendar.today(clock.time(), found.target.timezone) - timedelta(days=1)
        """The day that is requested: a closed one."""
        self._whole: Reading | None = None
        """The whole account on that day."""

    async def attempt(self, action: str, request: Awaitable[_Result]) -> _Result | None:
        """Return the response, None for a failure, which is noted. Raise what every further request would meet too."""
        try:
            return await request
        except _OF_ALL:
            raise
        except DirectMailError as error:
            self.found.failures[action] = error
            return None

    async def account(self) -> None:
        """Try to read the account's summary, and one of its domains."""
        await self.attempt(account.SUMMARY, self._summary())
        listed = self.found.lists.get("domain")
        known = listed.facts.items() if listed else ()
        found = next((each for _, facts in known if (each := domain_id(facts))), None)
        if found is not None:
            await self.attempt(account.DOMAIN, self._client.call(account.DOMAIN, {account.DOMAIN_ID: found}))

    async def _summary(self) -> Any:
        return account.summary(await self._client.call(account.SUMMARY, {}))

    async def statistics(self) -> None:
        """Try each statistic with the whole account, and find a day that has mail to try filters with."""
        readings: list[Reading] = []
        for statistic in STATISTICS.values():
            reading = await self.attempt(statistic.action, self._read(statistic, Filters(), self._day))
            if reading is not None:
                self.found.statistics += (statistic.name,)
                readings.append(reading)
        if readings:
            first = STATISTICS[self.found.statistics[0]]
            self._whole = await self.attempt(first.action, self._with_mail(first, readings[0]))

    async def _with_mail(self, statistic: Statistic, whole: Reading) -> Reading | None:
        for age in range(DAYS):
            day = self._day - timedelta(days=age)
            try:
                reading = await self._read(statistic, Filters(), day) if age else whole
            except InvalidRequest:
                return None
            if reading.totals[0] >= ENOUGH:
                self._day = day
                return reading
        return None

    async def filters(self, statistic: Statistic) -> None:
        """Test whether the filters that not every account can use work."""
        await self._try_filter(statistic, "esp", ESPS, is_every=True)
        domains = self.found.values("domain")
        if len(domains) > 1:
            tried = domains[:TRIED_DOMAINS]
            await self._try_filter(statistic, "domain", tried, is_every=len(tried) == len(domains))

    async def tags(self, statistic: Statistic) -> None:
        """Find the tags of each sender's mail in the last week; nothing where the API does not show them."""
        known: dict[str, tuple[str, ...]] = {}
        for sender in self.found.values("account_name"):
            try:
                tags = [tag for tag in self.found.values("tag_name") if await self._has_mail(statistic, sender, tag)]
            except _OF_ALL:
                raise
            except DirectMailError:
                return
            known[sender] = tuple(tags)
        self.found.tags_of = {sender: tags for sender, tags in known.items() if tags}

    async def _has_mail(self, statistic: Statistic, sender: str, tag: str) -> bool:
        last = calendar.today(self._clock.time(), self.found.target.timezone) - timedelta(days=1)
        first, filters = last - timedelta(days=DAYS - 1), Filters(account_name=sender, tag_name=tag)
        parameters = statistic.request(filters, first, last, size=self.found.target.page_size)
        document = await self._client.call(statistic.action, parameters)
        rows = responses.page(statistic, document, str(document["RequestId"])).rows
        return any(any(row.counts) for row in rows)

    async def _try_filter(self, statistic: Statistic, key: str, values: Iterable[str], *, is_every: bool) -> None:
        found = self.found
        if self._whole is None:
            found.unproven[key] = f"no day of the last {DAYS} has the {ENOUGH} mails that a trial needs"
            return
        name, own = found.target.name, f"by_{key}"
        members = [Combination(name, statistic.name, own, Filters(**{key: value})) for value in values]
        (group,) = groups([Combination(name, statistic.name, "account", Filters()), *members])
        readings: list[Reading] = []
        for member in members:
            try:
                readings.append(await self._read(statistic, member.filters, self._day))
            except InvalidRequest as error:
                group.reject(member, error)
            except _OF_ALL:
                raise
            except DirectMailError as error:
                found.unproven[key] = f"{statistic.action} failed when tried: {error}"
                return
        group.judge(readings, self._whole, is_closed=True)
        if group.finding is not None and (is_every or group.finding is not Unsupported.EMPTY):
            found.useless[key] = group.finding.value
        elif not group.is_proven:
            found.unproven[key] = f"the responses for {self._day} do not show whether the API can filter by it"

    async def _read(self, statistic: Statistic, filters: Filters, day: date) -> Reading:
        requested_at = self._clock.time()
        return Reading((await self._client.read(statistic, filters, day)).totals, requested_at)


def is_missing_permission(error: DirectMailError) -> bool:
    """Return whether a RAM policy would help; a `User.*` Code is about the account itself."""
    return isinstance(error, PermissionDenied) and not error.code.startswith("User.")
