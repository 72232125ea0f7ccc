"""The rows of combinations: rates of today and of the closed week, right or absent."""

from datetime import timedelta

import pytest

from exporter.directmail.statistics.delivery import DELIVERY, Delivery
from exporter.directmail.statistics.engagement import ENGAGEMENT, Engagement
from exporter.directmail.statistics.statistic import Statistic, Totals
from exporter.plan.calendar import day_end
from exporter.plan.combinations import Combination
from exporter.store.memory import Cell, Store
from exporter.web.status_rows import Rows
from tests.support.clock import ScriptedClock
from tests.support.status_pages import TODAY
from tests.support.worlds import make_config, make_plan

PLAN = make_plan(make_config())
ZONE = PLAN.target.timezone
COMBINATION: Combination = PLAN.combinations[0]


def shares(
    statistic: Statistic, today: Totals | None, week: Totals | None = None, *, days: int = 7, too_early: int = 0
) -> dict[str, tuple[float | None, float | None]]:
    """Return the rates of a row: of today, and of so many closed days, the oldest of them read before their end."""
    store, clock = Store(), ScriptedClock()
    if today is not None:
        store.put(COMBINATION.key, TODAY, Cell(today, None, clock.time()), day_start=0.0)
    for age in range(1, days + 1) if week else ():
        day = TODAY - timedelta(days=age)
        read_at = day_end(day, ZONE) + (-1 if age > days - too_early else 1)
        store.put(COMBINATION.key, day, Cell(week or (), None, read_at), day_start=0.0)
    found: dict[str, tuple[float | None, float | None]] = Rows(statistic, store, clock).row(COMBINATION, "fresh", ZONE)[
        "shares"
    ]
    return found


@pytest.mark.parametrize(
    ("today", "days", "too_early", "expected"),
    [
        pytest.param((200, 90, 50, 9, 4), 7, 0, ((0.25, 0.3), (0.02, 0.03)), id="all-known"),
        pytest.param((0, 0, 0, 0, 0), 7, 0, ((None, 0.3), (None, 0.03)), id="no-mail-today"),
        pytest.param(None, 7, 0, ((None, 0.3), (None, 0.03)), id="today-not-read"),
        pytest.param((200, 90, 50, 9, 4), 6, 0, ((0.25, None), (0.02, None)), id="a-day-is-missing"),
        pytest.param((200, 90, 50, 9, 4), 7, 1, ((0.25, None), (0.02, None)), id="a-day-was-read-before-its-end"),
        pytest.param((200, 90, 0, 9, 0), 7, 0, ((0.0, 0.3), (0.0, 0.03)), id="no-opens"),
    ],
)
def test_opens_and_clicks_are_unique_ones_by_mails(
    today: tuple[int, ...] | None, days: int, too_early: int, expected: tuple[tuple[float | None, float | None], ...]
) -> None:
    week = Engagement(1000, 500, 300, 90, 30)
    its = None if today is None else Engagement(*today)
    found = shares(ENGAGEMENT, its, week, days=days, too_early=too_early)
    assert found == {
        label: tuple(None if value is None else pytest.approx(value) for value in values)
        for label, values in zip(("open rate", "click rate"), expected, strict=True)
    }


def test_delivery_has_the_part_that_was_delivered() -> None:
    assert shares(DELIVERY, Delivery(200, 190, 6, 4)) == {"delivery rate": (0.95, None)}


def test_numbers_that_are_withheld_have_no_rate() -> None:
    store, clock = Store(), ScriptedClock()
    store.put(COMBINATION.key, TODAY, Cell(Engagement(9, 9, 9, 9, 9), None, clock.time()), day_start=0.0)
    store.judged(COMBINATION.key, is_supported=True, is_withheld=True)
    row = Rows(ENGAGEMENT, store, clock).row(COMBINATION, "fresh", ZONE)
    assert row["shares"] == {"open rate": (None, None), "click rate": (None, None)}
