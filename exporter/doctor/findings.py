"""The doctor's findings, requests and responses."""

from datetime import date
from typing import NamedTuple

from exporter.directmail.model import Filters
from exporter.directmail.responses import StatisticPage
from exporter.directmail.statistics.statistic import Statistic

OK, NOTE, PROBLEM = "ok", "note", "problem"
LEVELS = (OK, NOTE, PROBLEM)


class Finding(NamedTuple):
    """The outcome of one check."""

    check: str
    """A stable name, such as `clock`."""
    level: str
    """One of LEVELS. A note is worth knowing; only a problem must be fixed."""
    text: str
    fix: str = ""
    request_id: str = ""


class StatisticRequest(NamedTuple):
    """A statistic of a range of days, both included, and filters."""

    statistic: Statistic
    start: date
    end: date
    filters: Filters = Filters()

    @property
    def days(self) -> str:
        """The day or the days, for people."""
        return f"{self.start}" if self.start == self.end else f"{self.start} to {self.end}"


class Response(NamedTuple):
    """One page that a request brought."""

    request: StatisticRequest
    page: StatisticPage
    request_id: str

    @property
    def emails(self) -> int:
        """The statistic's base count summed over the page's rows."""
        return sum(row.counts[0] for row in self.page.rows)

    @property
    def has_mail(self) -> bool:
        """Whether any count of any row is more than 0."""
        return any(any(row.counts) for row in self.page.rows)
