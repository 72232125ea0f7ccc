"""Calls per combination and poll interval, beside what naive polling and a scrape-time exporter would need."""

from benchmarks.measure import Figure
from tests.support.clock import ScriptedClock
from tests.support.tasks import running
from tests.support.worlds import World, make_config

DAY = 86_400.0
SENDERS = 10
NAIVE = 1 + 1 + 5
"""today; 7 days in one span; 30 days in spans of 7 days at the most."""
SCRAPES = 5
"""Scrapes in a poll interval of five minutes, at one a minute."""


async def calls_per_interval() -> Figure:
    """Return what three days cost by the scripted clock, after a first day of filling."""
    clock = ScriptedClock()
    world = World(make_config(senders=SENDERS, head="windows: [today, 7d, 30d]"), clock)
    async with running(world.collector.run()):
        await clock.advance(DAY)
        world.api.requested.clear()
        await clock.advance(3 * DAY)
    intervals = 3 * DAY / world.collector.plan.poll_interval
    ours = len(world.api.requested) / intervals / SENDERS
    return Figure(
        "API calls per combination and poll interval",
        f"{ours:.2f}",
        f"naive polling {NAIVE}, asking at every scrape {NAIVE * SCRAPES}: "
        f"{NAIVE / ours:.1f} and {NAIVE * SCRAPES / ours:.0f} times as many",
        "at most 1.5",
        met=ours <= 1.5,
    )
