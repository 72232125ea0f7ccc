"""Several statistics in one state file: those of one are beside those of another, and know nothing of each other."""

from datetime import date
from pathlib import Path

from exporter.directmail.statistics.delivery import Delivery
from exporter.directmail.statistics.engagement import Engagement
from exporter.store.memory import Cell, Store
from tests.support.states import DAY, KEY, opened, reread, same

OPENS, MAILS = KEY, ("shop", "delivery", KEY[2])


def grow(store: Store) -> None:
    """Let both grow: opens by 7, delivered mails by 20 and failed ones by 1."""
    for opens, delivered, failed in ((50, 70, 2), (57, 90, 3)):
        store.put(OPENS, DAY, Cell(Engagement(100, opens, 9, 0, 0), None, 1000.0), day_start=0.0)
        store.put(MAILS, DAY, Cell(Delivery(100, delivered, failed, 1), None, 1000.0), day_start=0.0)


async def test_the_counters_of_both_are_written_shown_and_restored(tmp_path: Path) -> None:
    store, reported = Store(), []
    file = await opened(tmp_path / "state.db", store, written=reported.append)
    grow(store)
    assert store.get(MAILS).observed is None, "it is not on disk"
    await file.save()
    assert set(reported) == {OPENS, MAILS}
    await file.close()
    again = Store()
    file = await opened(tmp_path / "state.db", again)
    assert again.get(OPENS).observed == Engagement(0, 7, 0, 0, 0)
    assert again.get(MAILS).observed == Delivery(0, 20, 1, 0)
    assert same(again, store)
    await file.close()


async def test_discarding_from_one_keeps_the_other(tmp_path: Path) -> None:
    store = Store()
    file = await opened(tmp_path / "state.db", store)
    grow(store)
    await file.save()
    store.prune("shop", "engagement", date(2026, 6, 1), ())
    await file.close()
    assert list((await reread(tmp_path / "state.db")).keys()) == [MAILS]
