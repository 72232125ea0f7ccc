"""Checks results for consistency: rates against counts, and a day's counts against its earlier ones."""

from datetime import date

from structlog.typing import FilteringBoundLogger

from exporter.directmail.client import Result
from exporter.directmail.crosscheck import Crosscheck
from exporter.directmail.statistics.statistic import Statistic
from exporter.plan.combinations import Combination, named
from exporter.plan.schedule import Slot
from exporter.store.memory import Store


class ResultChecks:
    """The checks of one statistic of a target."""

    def __init__(self, statistic: Statistic, store: Store, log: FilteringBoundLogger) -> None:
        self._store = store
        self._log = log
        self.crosscheck = Crosscheck(statistic)
        """The check of rates against counts."""
        self._emptied: dict[Slot, bool] = {}
        """Days with mail that suddenly had none, and whether that is still to be confirmed."""

    def needs_confirmation(self, slot: Slot, result: Result) -> bool:
        """Whether a day that had mail has none for the first time; accepted when a second result confirms it."""
        before = self._store.get(slot.combination.key).cells.get(slot.day)
        is_emptied = before is not None and any(before.totals) and not any(result.totals)
        is_new = is_emptied and not self._emptied.get(slot, False)
        where = {**named(slot.combination), "day": slot.day.isoformat(), "request_id": result.request_id}
        if is_new and slot not in self._emptied:
            self._log.warning("day with mail has none now; requesting it again before showing that", **where)
        elif is_emptied and not is_new:
            self._log.warning("day with mail has none; the API confirms it", **where)
        if is_new or slot in self._emptied:
            self._emptied[slot] = is_new
        return is_new

    def compare(self, combination: Combination, day: date, result: Result) -> None:
        """Compare rates with counts, and log the first mismatch of each kind."""
        for mismatch in self.crosscheck.compare(combination.filters, day, result.rows):
            self._log.warning(
                "response is inconsistent",
                **named(combination),
                day=day.isoformat(),
                **mismatch._asdict(),
                request_id=result.request_id,
                advice="Trust the counts and the ratios; report the RequestId to Alibaba Cloud's support.",
            )

    def discard(self, oldest: date) -> None:
        """Discard the days before one."""
        self._emptied = {slot: waits for slot, waits in self._emptied.items() if slot.day >= oldest}
        self.crosscheck.discard(oldest)
