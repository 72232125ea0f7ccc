"""What is known of one statistic of a target: its config, and what the API has answered so far."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta

from exporter.config.model import Config, Target
from exporter.directmail.model import Filters
from exporter.directmail.statistics.statistic import Statistic
from exporter.doctor.findings import Answer
from exporter.plan.target_plan import TargetPlan

WEEK = 7
"""Days of the longest question, today included (GetTrackList's documentation: at most 7)."""


@dataclass
class Evidence:
    """What steps add to and checks read. Times are seconds since the epoch."""

    settings: Config
    """With this target alone."""
    target: Target
    statistic: Statistic
    """What is asked about."""
    plan: TargetPlan
    """Of the statistic, revised by what discovery brings."""
    began_at: float
    today: date
    """In the target's zone, when it began."""
    ended_at: float = 0.0
    span: tuple[date, date] = field(init=False)
    """The days that filters are asked for: a week, or yesterday where the API takes no week."""
    days: list[Answer] = field(default_factory=list)
    """Answers about single days of the whole account."""
    parts: dict[Filters, Answer | None] = field(default_factory=dict)
    """Answers about the span; None for filters that brought no answer. No filters are the whole account."""
    whole: Answer | None = None
    """The answer about a week of the whole account."""
    second_page: Answer | None = None
    tomorrow: Answer | None = None
    ahead: tuple[float, float] | None = None
    """The least and the most seconds that our clock is ahead of the API's; None where no answer has a Date."""
    slowest: float = 0.0
    """Seconds until the headers of the slowest answer."""

    def __post_init__(self) -> None:
        self.span = (self.today - timedelta(days=WEEK - 1), self.today)

    @property
    def answers(self) -> list[Answer]:
        """Everything that was answered about the past and today."""
        return [*self.days, *self._found()]

    @property
    def has_mail(self) -> bool:
        """Whether there is mail in any answer."""
        return any(each.has_mail for each in self.answers)

    def _found(self) -> Iterator[Answer]:
        return (each for each in self.parts.values() if each is not None)
