"""Decides from the API's results whether the account can use a filter, since that is not documented.

An account without dedicated IPs may not be able to filter by mailbox provider, IP or pool. The API then rejects the
filter, returns nothing, or returns all mail. None of these results may be shown.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import accumulate
from typing import NamedTuple, TypeVar

from exporter.config.queries import ESPS
from exporter.directmail.classification import is_about_dates
from exporter.directmail.errors import InvalidRequest
from exporter.directmail.model import Filters
from exporter.directmail.statistics.statistic import Totals
from exporter.plan.combinations import Combination

UNRELIABLE = ("domain", "esp", "dedicated_ip", "dedicated_ip_pool_id")
"""The filters that an account may not be able to use."""
MAY_BE_ALL = ("domain", "dedicated_ip", "dedicated_ip_pool_id")
"""Filters of which one value may well have all of the mail."""
JUDGEMENTS = 8
"""How often a group is judged while all of its values are read once; a small one at every result."""
ENOUGH = 100
"""With this many mails, zero or the same number again cannot be chance."""
NEAR = 0.1
"""The relative difference up to which two reads of a day count as equal: it grows, and replicas lag."""
OTHER_CAUSES = ("InvalidMailAddress", "InvalidTagName")
"""Prefixes of error Codes that, like those about dates, concern something other than the filter."""
_Each = TypeVar("_Each")


class Unsupported(Enum):
    """Why a filter cannot be used."""

    REJECTED = "the API rejects the filter"
    EMPTY = "no value has mail, although the account has"
    WHOLE = "the API ignores the filter: every value matches all mail"


class Reading(NamedTuple):
    """The parts of a cell that are compared."""

    totals: Totals
    read_at: float


@dataclass(slots=True)
class FilterGroup:
    """The combinations that differ in one filter only, and the one without it."""

    key: str
    members: tuple[Combination, ...]
    whole: Combination | None
    """None where the config does not request it."""
    finding: Unsupported | None = None
    """Why the filter cannot be used, None while there is no evidence."""
    is_proven: bool = False
    """Whether a result has shown that it works."""
    is_presumed: bool = False
    """Whether that follows only from numbers shown before a restart, or from other groups."""
    is_inherited: bool = False
    """Whether the finding is that of other groups of the filter."""
    rejected: set[Combination] = field(default_factory=set)
    """Members that the API rejected at the last try."""
    has_result: bool = False
    """Whether the API has ever returned a result for a member."""
    unjudged: int = 0
    """Results since the group was last judged."""

    @property
    def is_comparable(self) -> bool:
        """Whether there is anything to compare a member with."""
        return len(self.members) > 1 or (self.whole is not None and self.key not in MAY_BE_ALL)

    @property
    def combinations(self) -> tuple[Combination, ...]:
        """The members, and the one without the filter."""
        return with_whole(self.members, self.whole)

    def withholds(self, totals: Totals, whole: Totals | None) -> bool:
        """Return whether a member's numbers of a day are not shown; `whole` are those without the filter, if known.

        They may be those of all mail. A 0 where there is mail may be the API's way of ignoring the filter.
        """
        if self.finding is not None or self.is_proven or not self.is_comparable:
            return self.finding is not None
        return any(totals) or (self.whole is not None and (whole is None or any(whole)))

    def note_result(self, combination: Combination) -> bool:
        """Note that the API returned a result; return whether the group is to be judged now."""
        if combination != self.whole:
            self.has_result = True
            self.rejected.discard(combination)
        self.unjudged += 1
        if self.unjudged * JUDGEMENTS < len(self.members):
            return False
        self.unjudged = 0
        return True

    def presume(self) -> None:
        """Presume that the filter works; a value without mail is then nothing special."""
        self.is_proven = self.is_presumed = True
        if self.finding is Unsupported.EMPTY:
            self.finding, self.is_inherited = None, False

    def retract(self) -> None:
        """Retract a new finding that other groups may still disprove."""
        self.finding = None

    def judge(self, readings: Sequence[Reading], whole: Reading | None, *, is_closed: bool) -> None:
        """Update the finding from one day: the members' readings, and the one without the filter."""
        if is_narrower(readings, whole, is_closed=is_closed):
            self.finding, self.is_proven, self.is_presumed, self.is_inherited = None, True, False, False
        elif self._is_complete(readings) and is_empty(readings, whole, is_closed=is_closed):
            self.finding = Unsupported.EMPTY
        elif len(readings) >= min(2, len(self.members)) and is_whole(
            readings, whole, may_be_all=self.key in MAY_BE_ALL, is_closed=is_closed
        ):
            self.finding = Unsupported.WHOLE
        elif readings and self.finding is Unsupported.REJECTED:
            self.finding = None

    def inherit(self, finding: Unsupported | None) -> None:
        """Adopt the finding of other groups of the filter, where this one cannot be compared."""
        if finding is None and self.is_inherited:
            self.finding, self.is_inherited = None, False
        elif finding is not None and self.finding is None:
            self.finding, self.is_inherited = finding, True

    def reject(self, combination: Combination, error: InvalidRequest) -> bool:
        """Note a rejected member; return whether the filter is, or may turn out to be, useless."""
        if error.code.startswith(OTHER_CAUSES) or is_about_dates(error.code) or self.is_proven:
            return False
        self.rejected.add(combination)
        if len(self.rejected) == len(self.members):
            self.finding = Unsupported.REJECTED
        return self.finding is not None or not self.has_result

    def _is_complete(self, readings: Sequence[Reading]) -> bool:
        """Whether the readings are of all values that may have mail.

        Of a filter that is proven to work only all mailbox providers have to have some.
        """
        every = ESPS if self.is_proven and self.key == "esp" else () if self.is_proven else self.members
        return len(readings) == len(self.members) == len(every)


def groups(combinations: Iterable[Combination]) -> list[FilterGroup]:
    """Return the groups of one plan, each of combinations that differ in one unreliable filter only."""
    known = {combination.filters: combination for combination in combinations}
    members: dict[tuple[str, str, Filters], list[Combination]] = {}
    for filters, combination in known.items():
        for key in UNRELIABLE:
            if getattr(filters, key):
                members.setdefault((combination.query, key, Filters(**{**filters._asdict(), key: ""})), []).append(
                    combination
                )
    return [FilterGroup(key, tuple(own), known.get(rest)) for (_, key, rest), own in members.items()]


def is_usable(groups: Iterable[FilterGroup]) -> bool:
    """Return whether any of a filter's groups shows that it can be used."""
    return any(
        group.is_proven and group.finding is None and (group.is_comparable or not group.is_presumed) for group in groups
    )


def finding_elsewhere(groups: Iterable[FilterGroup]) -> Unsupported | None:
    """Return the finding of the filter's other groups that are comparable."""
    findings = (group.finding for group in groups if group.is_comparable and not group.is_inherited)
    return next((finding for finding in findings if finding in (Unsupported.EMPTY, Unsupported.WHOLE)), None)


def is_narrower(readings: Sequence[Reading], whole: Reading | None, *, is_closed: bool) -> bool:
    """Return whether the readings cannot all be of the same mail: one is clearly less than another that is not newer.

    The mail of a closed day hardly grows, so there the order does not matter. Replicas that lag differ by less.
    """
    seen = sorted(with_whole(readings, whole), key=lambda each: each.read_at)
    mails = [each.totals[0] for each in seen]
    if not any(each.totals[0] for each in readings):
        return False
    most = [max(mails)] * len(mails) if is_closed else accumulate(mails, max)
    return any(mail < before * (1 - NEAR) for mail, before in zip(mails, most, strict=True))


def is_empty(readings: Sequence[Reading], whole: Reading | None, *, is_closed: bool) -> bool:
    """Return whether there is no mail at all for any value, although there was enough without the filter."""
    if whole is None or whole.totals[0] < ENOUGH or any(each.totals[0] for each in readings):
        return False
    return is_closed or all(each.read_at >= whole.read_at for each in readings)


def is_whole(readings: Sequence[Reading], whole: Reading | None, *, may_be_all: bool, is_closed: bool) -> bool:
    """Return whether every reading has all of the mail."""
    seen = [each.totals[0] for each in with_whole(readings, whole)]
    alone = len(readings) < 2 and (may_be_all or whole is None or not is_closed)
    if not readings or alone or min(seen) < ENOUGH or not (is_closed or whole):
        return False
    is_exact = is_closed and (whole is None or len(readings) < 2)
    return max(seen) == min(seen) if is_exact else max(seen) <= min(seen) * (1 + NEAR)


def with_whole(parts: Sequence[_Each], whole: _Each | None) -> tuple[_Each, ...]:
    """Return what belongs to the members, and what belongs to the one without the filter where there is any."""
    return tuple(parts) if whole is None else (*parts, whole)
