"""How a target is polled for one statistic: its combinations, when each day is read again, and what that costs."""

from collections.abc import Sequence
from dataclasses import dataclass

from exporter.clock import MINUTE
from exporter.config.model import Config, Target
from exporter.directmail.statistics.registry import STATISTICS
from exporter.plan.calendar import window_ages
from exporter.plan.combinations import Combination, configured
from exporter.plan.pacing import OLDEST_AGE, RECENT_AGES, all_ages, budget, pace


@dataclass(frozen=True, slots=True)
class TargetPlan:
    """How a target is polled for one statistic. Times are seconds."""

    target: Target
    statistic: str
    combinations: tuple[Combination, ...]
    windows: tuple[str, ...]
    reported_rates: bool
    ages: frozenset[int]
    """The days that some window needs, and today."""
    poll_interval: float
    recent: float
    older: float
    stale_after: float
    pages_per_cell: float
    left_out: int
    """Discovered combinations that are not polled."""
    requests_per_minute: float
    """The requests of the plan in the steady state, pages included."""

    @property
    def action(self) -> str:
        """The operation that is called."""
        return STATISTICS[self.statistic].action

    @property
    def cells(self) -> int:
        return len(self.combinations) * len(self.ages)

    def next_read(self, age: int, read_at: float | None, day_end: float) -> float | None:
        """Return when a cell is to be read (seconds since the epoch), None for no longer.

        `read_at` is the last complete read, None for never: then it has been due since 0.
        """
        if age < 0 or age > OLDEST_AGE:
            return None
        if read_at is None:
            return 0.0 if age in self.ages else None
        if age == 0:
            return read_at + self.poll_interval
        if age == OLDEST_AGE:
            return None  # the oldest day: it was read the day before
        if read_at < day_end:
            return day_end  # read once more after its end
        if age not in self.ages:
            return None
        return read_at + self.refresh(age)

    def refresh(self, age: int) -> float:
        """Return the seconds between two reads of a day of that age."""
        if age == 0:
            return self.poll_interval
        return self.recent if age in RECENT_AGES else self.older

    def minutes_to_fill(self, window: str) -> float:
        """Return about how many minutes after a cold start the window is complete for every combination."""
        pages = len(self.combinations) * self.pages_per_cell
        depth = max((age for age in window_ages(window)), default=0)
        allowed = budget(self.target)
        first_pass = pages / allowed
        if (depth + 1) * first_pass * MINUTE <= self.poll_interval:
            return (depth + 1) * first_pass
        recent = sum(age in self.ages for age in RECENT_AGES)
        busy = pages * MINUTE * (1 / self.poll_interval + recent / self.recent)
        return first_pass + depth * pages / max(allowed - busy, allowed * 0.01)


def make(
    config: Config,
    target: Target,
    statistic: str,
    combinations: Sequence[Combination] | None = None,
    pages_per_cell: float = 1.0,
    *,
    left_out: int = 0,
) -> TargetPlan:
    """Return how the target is polled for a statistic, when a cell takes that many calls on average.

    `combinations` replaces what the target's queries expand to.
    """
    if combinations is None:
        combinations = configured(target, statistic)
    return TargetPlan(
        target=target,
        statistic=statistic,
        combinations=tuple(combinations),
        windows=config.windows,
        reported_rates=config.reported_rates,
        ages=all_ages(config),
        pages_per_cell=pages_per_cell,
        left_out=left_out,
        **pace(config, target, len(combinations), pages_per_cell)._asdict(),
    )


def make_all(config: Config) -> list[TargetPlan]:
    """Return how every target is polled for each of its statistics, by what the config names."""
    return [make(config, target, statistic) for target in config.targets for statistic in target.statistics]
