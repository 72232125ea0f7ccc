"""Applies to the store what the results show of the filters that an account may not be able to use.

Numbers that may repeat all of the mail are withheld until a result proves that they do not. Combinations of a filter
that turns out to be useless lose what is known of them: none of it was theirs.
"""

from collections.abc import Iterable
from datetime import date

from structlog.typing import FilteringBoundLogger

from exporter.collector.filter_groups import (
    MAY_BE_ALL,
    FilterGroup,
    Reading,
    Unsupported,
    finding_elsewhere,
    groups,
    is_usable,
    with_whole,
)
from exporter.directmail.errors import InvalidRequest
from exporter.plan.calendar import day_end
from exporter.plan.combinations import Combination
from exporter.plan.target_plan import TargetPlan
from exporter.store.memory import Store

ADVICE = (
    "The account may lack what the filter needs, such as dedicated IPs. Its combinations have no data and are tried "
    "once a day; remove them from the query to save that."
)

KIN = ("esp", "dedicated_ip", "dedicated_ip_pool_id")
"""Filters that all need dedicated IPs: where one is useless, so are the others."""
_Filter = tuple[str, str]
"""(query, filter key): what is reported once, however many groups it has."""


class FilterSupport:
    """The doubtful filters of one statistic of a target."""

    def __init__(self, plan: TargetPlan, store: Store, log: FilteringBoundLogger) -> None:
        self._store = store
        self._log = log
        self._groups: dict[tuple[Combination, ...], FilterGroup] = {}
        self._probed: dict[Combination, date] = {}
        """The day that an unsupported combination was last requested."""
        self._reported: set[_Filter] = set()
        self.follow(plan)

    def follow(self, plan: TargetPlan) -> None:
        """Judge the combinations of this plan from now on; what is known of groups that stay is kept."""
        self._zone = plan.target.timezone
        made = {group.combinations: group for group in groups(plan.combinations)}
        self._groups = {key: self._groups.get(key, group) for key, group in made.items()}
        self._of: dict[Combination, list[FilterGroup]] = {}
        self._by_filter: dict[str, list[FilterGroup]] = {}
        for key, group in self._groups.items():
            if not group.is_proven and any(map(self._was_shown, group.members)):
                group.presume()
            self._by_filter.setdefault(group.key, []).append(group)
            for combination in key:
                self._of.setdefault(combination, []).append(group)

    def is_supported(self, combination: Combination) -> bool:
        """Return whether no filter of the combination is known not to work."""
        return not any(group.finding for group in self.groups_of(combination))

    def is_wanted(self, combination: Combination, day: date, today: date) -> bool:
        """Return whether a cell is to be read: of an unsupported combination only the day that ended last, once."""
        if self.is_supported(combination):
            return True
        is_probe = (today - day).days == 1 and self._probed.get(combination) != day
        if is_probe:
            self._probed[combination] = day
        return is_probe

    def add_result(self, combination: Combination, day: date) -> list[Combination]:
        """Judge a result that was stored; return the combinations that are shown differently now."""
        changed: list[Combination] = []
        for group in self._of.get(combination, ()):
            if group.note_result(combination):
                changed += self._judge(group, day)
            elif combination != group.whole and not group.is_proven:
                self._mark(combination)
        return changed

    def rejected(self, combination: Combination, error: InvalidRequest) -> tuple[bool, list[Combination]]:
        """Judge a rejection; return whether it concerns the filter, and the combinations that are shown differently."""
        concerns, changed = False, list[Combination]()
        for group in self.groups_of(combination):
            before = group.finding
            concerns = group.reject(combination, error) or concerns
            changed += self._settle(group, before, error)
        return concerns, changed

    def groups_of(self, combination: Combination) -> list[FilterGroup]:
        """Return the groups of which the combination is a member, not the one without the filter."""
        return [group for group in self._of.get(combination, ()) if group.whole != combination]

    def _judge(self, group: FilterGroup, day: date) -> list[Combination]:
        readings = [reading for member in group.members if (reading := self._reading(member, day))]
        whole, end = self._reading(group.whole, day), day_end(day, self._zone)
        is_closed = all(reading.read_at >= end for reading in with_whole(readings, whole))
        before, was_proven = group.finding, group.is_proven
        self._presume(group)
        group.judge(readings, whole, is_closed=is_closed)
        if group.finding is Unsupported.EMPTY and before is None and not self._others_are_read(group, day):
            group.retract()
        if group.finding is None and was_proven and before is None and group.is_comparable:
            return []
        changed = self._settle(group, before)
        if (before, was_proven) != (group.finding, group.is_proven):
            kin = KIN if group.key in KIN else (group.key,)
            changed += self._spread(each for key in kin for each in self._by_filter.get(key, ()))
        elif not group.is_comparable:
            changed += self._spread([group])
        return changed

    def _others_are_read(self, group: FilterGroup, day: date) -> bool:
        """Return whether other values, which may prove the filter, were all tried on a day, where one may be empty."""
        others = (each for each in self._by_filter[group.key] if each is not group and not each.finding)
        return group.key not in MAY_BE_ALL or all(
            self._reading(member, day) or self._store.get(member.key).last_attempt_ok is False
            for each in others
            for member in each.members
        )

    def _presume(self, group: FilterGroup) -> None:
        """Presume that a filter works where other values of it prove that: a domain or an IP may have no mail."""
        if group.key in MAY_BE_ALL and not group.is_proven and is_usable(self._by_filter[group.key]):
            group.presume()

    def _spread(self, others: Iterable[FilterGroup]) -> list[Combination]:
        """Apply the findings of all groups of a filter to these groups."""
        changed: list[Combination] = []
        for group in others:
            before, was_proven = group.finding, group.is_proven
            self._presume(group)
            if not group.is_comparable:
                everything = self._by_filter[group.key]
                finding = None if is_usable(everything) else finding_elsewhere(everything) or self._of_kin(group)
                records = [self._store.get(member.key) for member in group.members]
                has_mail = any(any(cell.totals) for record in records for cell in record.cells.values())
                group.inherit(None if finding is Unsupported.EMPTY and has_mail else finding)
            if (before, was_proven) != (group.finding, group.is_proven):
                changed += self._settle(group, before)
        return changed

    def _of_kin(self, group: FilterGroup) -> Unsupported | None:
        """Return the finding of the other filters that need what this one needs; idle IPs and pools say nothing."""
        kin = [each for key in KIN if group.key in KIN for each in self._by_filter.get(key, ())]
        idle = [each for each in kin if each.key in MAY_BE_ALL and each.finding is Unsupported.EMPTY]
        return None if is_usable(kin) else finding_elsewhere(each for each in kin if each not in idle)

    def _settle(
        self, group: FilterGroup, before: Unsupported | None, error: InvalidRequest | None = None
    ) -> list[Combination]:
        """Apply the finding to the store; return the combinations that are shown differently now."""
        if (group.finding is None) != (before is None):
            for member in group.members:
                self._store.discard(member.key)
        changed = [member for member in group.members if self._mark(member)]
        self._report(group, error)
        return changed

    def _mark(self, member: Combination) -> bool:
        is_supported = self.is_supported(member)
        is_withheld = not is_supported or self._is_withheld(member)
        return self._store.judged(member.key, is_supported=is_supported, is_withheld=is_withheld)

    def _is_withheld(self, member: Combination) -> bool:
        for group in self.groups_of(member):
            for day, cell in self._store.get(member.key).cells.items():
                whole = self._reading(group.whole, day)
                if group.withholds(cell.totals, whole and whole.totals):
                    return True
        return False

    def _report(self, group: FilterGroup, error: InvalidRequest | None) -> None:
        name: _Filter = (group.members[0].query, group.key)
        if group.finding is not None and name not in self._reported:
            self._reported.add(name)
            self._log.warning(
                "filter not supported",
                query=name[0],
                filter=name[1],
                reason=group.finding.value,
                **({"code": error.code, "request_id": error.request_id} if error else {}),
                advice=ADVICE,
            )
        elif name in self._reported and not any(
            each.finding for each in self._groups.values() if (each.members[0].query, each.key) == name
        ):
            self._reported.discard(name)
            self._log.info("filter supported", query=name[0], filter=name[1])

    def _reading(self, combination: Combination | None, day: date) -> Reading | None:
        cell = self._store.get(combination.key).cells.get(day) if combination else None
        return None if cell is None else Reading(cell.totals, cell.read_at)

    def _was_shown(self, member: Combination) -> bool:
        record = self._store.find(member.key)
        return record is not None and not record.is_withheld and any(any(cell.totals) for cell in record.cells.values())
