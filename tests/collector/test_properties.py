"""What holds in every world: the call limit, true sums, nothing half, nobody discarded."""

import random
from datetime import UTC, date, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.directmail.errors import DirectMailError, InvalidRequest, ParseError, ServerError
from exporter.directmail.model import Filters
from exporter.directmail.statistics.engagement import Engagement
from exporter.plan.calendar import window_days
from tests.support.clock import ScriptedClock
from tests.support.tasks import running
from tests.support.worlds import World, make_config

FIELDS = dict(
    zip(
        (
            "directmail_track_emails",
            "directmail_track_opens",
            "directmail_track_unique_opens",
            "directmail_track_clicks",
            "directmail_track_unique_clicks",
        ),
        Engagement._fields,
        strict=True,
    )
)
WINDOWS = st.lists(st.sampled_from(["today", "yesterday", "2d", "7d", "30d"]), min_size=1, max_size=3, unique=True).map(
    lambda names: f"windows: [{', '.join(names)}]"
)
STARTS = st.integers(1_700_000_000, 1_800_000_000)
MANY = settings(max_examples=12)


@MANY
@given(
    windows=WINDOWS,
    start=STARTS,
    senders=st.integers(1, 12),
    rate=st.sampled_from([2, 10, 30, 300]),
    zone=st.sampled_from(["UTC", "Asia/Shanghai", "America/New_York"]),
    trouble=st.sampled_from([0.0, 0.2, 0.6]),
    seed=st.integers(0, 1000),
)
async def test_in_every_world_the_limit_holds_and_what_is_shown_is_true(
    windows: str, start: int, senders: int, rate: int, zone: str, trouble: float, seed: int
) -> None:
    chance = random.Random(seed)

    def fails(filters: Filters, day: date) -> DirectMailError | None:
        kinds = (ServerError, InvalidRequest, ParseError)
        return chance.choice(kinds)("by chance") if chance.random() < trouble else None

    def counts(filters: Filters, day: date, now: float) -> int:
        return chance.randrange(1, 1000)  # a day that loses all of its mail is requested again first

    clock = ScriptedClock(float(start))
    each = World(
        make_config(senders=senders, small_query=True, rate=rate, zone=zone, head=windows),
        clock,
        fails=fails,
        counts=counts,
    )
    await each.publisher.show([each.collector.plan])
    async with running(each.collector.run(), each.publisher.run()):
        for _ in range(12):
            await clock.advance(chance.choice([1, 45, 600, 7200]))
            if chance.random() < 0.1:
                jump = chance.choice([-3600, 3600])
                clock.jump(wall=jump)
                await clock.advance(61)
            await _shown_is_true(each)
    times = [at for at, _, _ in each.api.requested]
    for index, at in enumerate(times[rate:]):
        assert at - times[index] >= 60


async def _shown_is_true(world: World) -> None:
    """Every window is the sum of what was last answered for its days, and complete.

    Closed windows may still be those of the day before: which, and for how long, is in test_midnight.
    """
    shown = await world.shown()
    plan = world.collector.plan
    now = datetime.fromtimestamp(world.clock.time(), UTC).astimezone(plan.target.timezone).date()
    for (name, sender, tag, window), value in shown.items():
        if name not in FIELDS:
            continue
        filters = Filters(account_name=sender, tag_name=tag)
        sums = set()
        for day in (now,) if window == "today" else (now, now - timedelta(days=1)):
            results = [world.api.results.get((filters, each)) for each in window_days(window, day)]
            known = [result for result in results if result is not None]
            if len(known) == len(results):
                sums.add(sum(getattr(result, FIELDS[name]) for result in known))
        assert value in sums


@settings(MANY, max_examples=8)
@given(windows=WINDOWS, start=STARTS, senders=st.integers(1, 5), seed=st.integers(0, 1000))
async def test_in_every_world_each_due_cell_is_requested_eventually(
    windows: str, start: int, senders: int, seed: int
) -> None:
    """Half of all calls fail, and there is a budget for little more than today's."""
    chance = random.Random(seed)
    clock = ScriptedClock(float(start))
    each = World(
        make_config(senders=senders, rate=senders, head=f"{windows}\npoll_interval: auto"),
        clock,
        fails=lambda filters, day: ServerError("by chance") if chance.random() < 0.5 else None,
    )
    async with running(each.collector.run()):
        await clock.advance(timedelta(days=1).total_seconds())
    requested = {(filters, day) for _, filters, day in each.api.requested}
    today = datetime.fromtimestamp(start, UTC).date()
    for combination in each.combinations:
        for window in each.collector.plan.windows:
            for day in window_days(window, today):
                if (today - day).days < 29:  # older ones leave the API's reach before the end
                    assert (combination.filters, day) in requested
