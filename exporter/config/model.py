"""The config as run: frozen values, durations in seconds."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self
from zoneinfo import ZoneInfo

from exporter.config.shards import Shard
from exporter.directmail.statistics.registry import STATISTICS


@dataclass(frozen=True, slots=True)
class Refresh:
    """Seconds between two reads of days that have ended."""

    recent: float
    older: float


@dataclass(frozen=True, slots=True)
class Credentials:
    """Where the credentials come from; never the credentials themselves."""

    type: str
    access_key_id_file: Path | None
    access_key_secret_file: Path | None
    security_token_file: Path | None
    options: Mapping[str, str] = field(repr=False)
    """What the types of the extra `ram` need; an address among them may hold a password."""


@dataclass(frozen=True, slots=True)
class Discover:
    """Selects among the values that the API lists. Expressions match the whole value."""

    include: tuple[re.Pattern[str], ...]
    """At least one matches, where there are any."""
    exclude: tuple[re.Pattern[str], ...]
    limit: int
    """The most values, those known longest first."""

    def matches(self, value: str) -> bool:
        """Return whether the expressions match a value."""
        wanted = not self.include or any(each.fullmatch(value) for each in self.include)
        return wanted and not any(each.fullmatch(value) for each in self.exclude)


@dataclass(frozen=True, slots=True)
class Query:
    """A block of a query: a matrix of filter values. A query may have several, over the same filters."""

    place: str
    name: str
    filters: Mapping[str, tuple[str, ...]]
    discovered: Mapping[str, Discover]
    """The filters whose values the API lists."""
    exclude: tuple[Mapping[str, str], ...]
    statistics: tuple[str, ...]
    """The statistics of its combinations, by name."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The filters that it has values for, given or discovered."""
        return tuple(sorted((*self.filters, *self.discovered)))


@dataclass(frozen=True, slots=True)
class Target:
    """One Direct Mail account in one region."""

    place: str
    name: str
    region: str
    """"" where only an endpoint is given."""
    endpoint: str
    """`https://host[:port]`."""
    timezone: ZoneInfo
    rate_limit_per_minute: float
    timeout: float
    page_size: int
    labels: Mapping[str, str]
    credentials: Credentials
    queries: tuple[Query, ...]

    @property
    def account(self) -> str:
        """Identifies the account and its time zone: stored data of one account is not used for another."""
        return f"{self.region or self.endpoint} {self.timezone.key}"

    @property
    def connection(self) -> tuple[object, ...]:
        """Identifies the account and how it is called: as long as it is equal, client, budget and data stay in use."""
        return (
            self.account,
            self.endpoint,
            self.credentials,
            self.rate_limit_per_minute,
            self.timeout,
            self.page_size,
        )

    @property
    def statistics(self) -> tuple[str, ...]:
        """The statistics that some query wants, each once, in the order of the list of them."""
        wanted = {name for query in self.queries for name in query.statistics}
        return tuple(name for name in STATISTICS if name in wanted)

    @property
    def discovered(self) -> tuple[str, ...]:
        """The filters that some query wants discovered, each once."""
        return tuple(dict.fromkeys(key for query in self.queries for key in query.discovered))


@dataclass(frozen=True, slots=True)
class Config:
    """The whole config file, durations in seconds."""

    poll_interval: float | None
    """None is `auto`."""
    windows: tuple[str, ...]
    refresh: Refresh
    stale_after: float | None
    """None is the default, which depends on the poll interval."""
    state_file: Path | None
    max_series: int
    discovery_interval: float
    """Seconds between two lists of the same values."""
    account_interval: float | None
    """Seconds between two reads of each account; None is never."""
    domains_interval: float | None
    """Seconds between two reads of each sender domain; None is never."""
    reported_rates: bool
    targets: tuple[Target, ...]
    digest: str
    """SHA-256 of the text that this was read from."""

    def of(self, shard: Shard) -> Self:
        """Return the part that a shard runs: everything, with its own targets only, which may be none."""
        return replace(self, targets=shard.part(self.targets))
