"""How many series the combinations expose when every window is filled."""

from collections.abc import Sequence

from exporter.config.model import Config, Target
from exporter.directmail.statistics.registry import STATISTICS
from exporter.plan.combinations import configured

HEALTH_SERIES = 4
"""For each combination and statistic."""
SERIES_PER_TARGET_WINDOW = 2


def of_a_combination(config: Config, statistic: str) -> int:
    """Return how many data and query series one combination exposes."""
    row = STATISTICS[statistic]
    reported = len(row.rates) if config.reported_rates else 0
    per_window = len(row.fields) + len(row.ratios) + reported
    return len(config.windows) * per_window + len(row.fields) + HEALTH_SERIES


def of_targets(config: Config, targets: Sequence[Target]) -> int:
    """Return how many data and query series the targets expose by what the config names."""
    bounds = len(targets) * len(config.windows) * SERIES_PER_TARGET_WINDOW
    return bounds + sum(
        of_a_combination(config, statistic) * len(configured(target, statistic))
        for target in targets
        for statistic in target.statistics
    )
