"""Calls per combination and poll interval, beside what naive polling and a scrape-time exporter would need."""

from collections.abc import Iterator

from benchmarks.measure import Figure
from exporter.clock import DAY
from exporter.directmail.statistics.registry import STATISTICS
from tests.support.clock import ScriptedClock
from tests.support.tasks import running
from tests.support.worlds import World, make_config

SENDERS = 10
NAIVE = 1 + 1 + 5
"""today; 7 days in one span; 30 days in spans of 7 days at the most."""
SCRAPES = 5
"""Scrapes in a poll interval of five minutes, at one a minute."""


async def figures() -> Iterator[Figure]:
    """Return what three days of each statistic cost by the scripted clock, after a first day of filling."""
    ours = {statistic.name: await _calls(statistic.name) for statistic in STATISTICS.values()}
    most = max(ours.values())
    figure = Figure(
        "API calls per combination, statistic and poll interval",
        ", ".join(f"{name} {calls:.2f}" for name, calls in ours.items()),
        f"naive polling {NAIVE}, a request at every scrape {NAIVE * SCRAPES}: "
        f"{NAIVE / most:.1f} and {NAIVE * SCRAPES / most:.0f} times as many",
        "at most 1.5",
        met=most <= 1.5,
    )
    return iter([figure])


async def _calls(statistic: str) -> float:
    clock = ScriptedClock()
    config = make_config(senders=SENDERS, head="windows: [today, 7d, 30d]", statistic=statistic)
    world = World(config, clock, statistic=statistic)
    async with running(world.collector.run()):
        await clock.advance(DAY)
        world.api.requested.clear()
        await clock.advance(3 * DAY)
    intervals = 3 * DAY / world.collector.plan.poll_interval
    return len(world.api.requested) / intervals / SENDERS
