"""The evidence on one statistic of a target: its config, and the API's responses so far."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

from exporter.config.model import Config, Target
from exporter.directmail.account import Summary
from exporter.directmail.listing import ListPage
from exporter.directmail.model import Filters
from exporter.directmail.statistics.statistic import Statistic
from exporter.doctor.created import clocks
from exporter.doctor.findings import Response
from exporter.plan.target_plan import TargetPlan

WEEK = 7
"""Days of the longest request, today included (GetTrackList's documentation: at most 7)."""


def domain_of(sender: str) -> str:
    """Return the domain of a sender's address, in lower case."""
    return sender.rpartition("@")[2].lower()


@dataclass
class Account:
    """The responses about the account; None for those that were not read."""

    requested_at: float | None = None
    """When, seconds since the epoch; None where it was not requested."""
    summary: Summary | None = None
    senders: ListPage | None = None
    domains: ListPage | None = None
    described: dict[str, Mapping[str, bool]] = field(default_factory=dict)
    """The checks that only DescDomain has, by domain."""
    denied: tuple[str, ...] = ()
    """Operations that the key may not call, and that the config does not need."""

    @property
    def clocks(self) -> set[float]:
        """How many seconds the texts of CreateTime are ahead of UTC: one number where it is known."""
        return clocks(item.facts for item in self.domains.items) if self.domains else set()

    @property
    def clock_ahead(self) -> float | None:
        """The same, None where it is unknown."""
        found = self.clocks
        return found.pop() if len(found) == 1 else None

    @property
    def domains_in_use(self) -> set[str] | None:
        """The domains of the senders; None where those were not listed."""
        return None if self.senders is None else {domain_of(name) for name in self.senders.names}


@dataclass
class Evidence:
    """Filled by steps and read by checks. Times are seconds since the epoch."""

    settings: Config
    """With this target alone."""
    target: Target
    statistic: Statistic
    """What the requests are about."""
    plan: TargetPlan
    """Of the statistic, revised by what discovery brings."""
    began_at: float
    today: date
    """In the target's zone, when it began."""
    account: Account = field(default_factory=Account)
    """The same for every statistic."""
    ended_at: float = 0.0
    span: tuple[date, date] = field(init=False)
    """The days that filters are requested for: a week, or yesterday where the API takes no week."""
    days: list[Response] = field(default_factory=list)
    """Responses about single days of the whole account."""
    parts: dict[Filters, Response | None] = field(default_factory=dict)
    """Responses about the span; None for filters that brought no response. No filters are the whole account."""
    rejected: set[Filters] = field(default_factory=set)
    """Those of them that the API rejected."""
    whole: Response | None = None
    """The response about a week of the whole account."""
    second_page: Response | None = None
    tomorrow: Response | None = None
    ahead: tuple[float, float] | None = None
    """The least and the most seconds that our clock is ahead of the API's; None where no response has a Date."""
    slowest: float = 0.0
    """Seconds until the headers of the slowest response."""

    def __post_init__(self) -> None:
        self.span = (self.today - timedelta(days=WEEK - 1), self.today)

    @property
    def responses(self) -> list[Response]:
        """All responses about the past and today."""
        return [*self.days, *self._found()]

    @property
    def has_mail(self) -> bool:
        """Whether there is mail in any response."""
        return any(each.has_mail for each in self.responses)

    def _found(self) -> Iterator[Response]:
        return (each for each in self.parts.values() if each is not None)
