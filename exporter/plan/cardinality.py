"""How many series the combinations expose."""

from collections.abc import Sequence

from exporter.config.model import Config, Target
from exporter.plan.combinations import configured

SERIES_PER_WINDOW = 10
SERIES_PER_WINDOW_REPORTED = 4
SERIES_PER_COMBINATION = 8
SERIES_PER_TARGET_WINDOW = 2


def series(config: Config, combinations: int, targets: int) -> int:
    """Return how many data and query series so many combinations expose when every window is filled."""
    per_window = SERIES_PER_WINDOW + SERIES_PER_WINDOW_REPORTED * config.reported_rates
    windows = len(config.windows)
    return combinations * (windows * per_window + SERIES_PER_COMBINATION) + targets * windows * SERIES_PER_TARGET_WINDOW


def exposed_by(config: Config, targets: Sequence[Target]) -> int:
    """Return how many data and query series the targets expose by what the config names, every window filled."""
    return series(config, sum(len(configured(target)) for target in targets), len(targets))


def room(config: Config, combinations: int) -> int:
    """Return how many combinations `max_series` allows beside so many."""
    each = series(config, 1, 0)
    return max(0, (config.max_series - series(config, combinations, len(config.targets))) // each)
