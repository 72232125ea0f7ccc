"""Decides which page to request next and when all have arrived, even if the server's page counts are wrong.

A server announces more items in two ways: the total number of items, and whether pages follow (TotalPages, HasMore).
Where both agree they are accepted. Otherwise pages are requested until one is empty or repeats the previous one.
"""

from collections.abc import Mapping
from typing import Any, Generic, NamedTuple, TypeVar

from exporter.directmail import responses
from exporter.directmail.errors import ParseError
from exporter.directmail.responses import Row, StatisticPage
from exporter.directmail.statistics.statistic import Statistic

MOST_PAGES = 200

Item = TypeVar("Item")


class Page(NamedTuple, Generic[Item]):
    """A page, with its number, size and totals; None for missing ones."""

    items: list[Item]
    number: int | None
    """Its own number; the first is 1, or 0."""
    size: int | None
    total: int | None
    more: bool | None
    """Whether pages follow."""
    same: tuple[int | None, ...]
    """Values that are equal on every page, unless items were added or removed meanwhile."""
    may_repeat: bool = False
    """Whether the page before may look just like it, because its items cannot be distinguished."""


class Paging(Generic[Item]):
    """The pages of one list."""

    def __init__(self, most: int) -> None:
        """`most` is the number of pages beyond which there is no end to it."""
        self.items: list[Item] = []
        self.sent = 0
        self.request_id = ""
        """Of the last page."""
        self.changed = False
        """Whether the list changed while it was read: then its items are invalid."""
        self.wanted: int | None = 1
        """The number of the page to request, None when there is nothing more to request."""
        self._most = most
        self._first = Page[Item]([], None, None, None, None, ())
        self._before: list[Item] | None = None
        self._more: bool | None = None
        """Whether the last page with items announced more, None if it did not say."""

    def put(self, page: Page[Item], request_id: str) -> None:
        """Add the wanted page. Raise ParseError where announced items are missing."""
        self.sent += 1
        self.request_id = request_id
        if self.sent == 1:
            self._first = page
            self._more = page.more or None  # an empty list has a single page, too
        if page.same != self._first.same:
            self.changed, self.wanted = True, None
        elif not page.items:
            self._end("is empty")
        elif page.number not in (None, self.sent - (self._first.number == 0)):
            self._end(f"came as page {page.number}")
        elif page.items == self._before and not (page.may_repeat and self._is_promised()):
            self._end("repeats the previous one")
        else:
            self.items += page.items
            self._before, self._more = page.items, page.more
            self._continue(page)

    def _continue(self, page: Page[Item]) -> None:
        announced = self._announcements()
        is_short = page.size is not None and len(page.items) < page.size
        if not any(announced) if announced else is_short:
            self.wanted = None
        elif self.sent >= self._most:
            raise ParseError(f"more than {self._most} pages", request_id=self.request_id)
        else:
            self.wanted = self.sent + 1

    def _end(self, what: str) -> None:
        """End the list with this page without new items. Raise ParseError where items were announced."""
        if self._is_promised():
            total = self._first.total
            come = "" if total is None else f": {len(self.items)} of {total} items received"
            text = f"page {self.sent} {what}, although the response announces more{come}"
            raise ParseError(text, request_id=self.request_id)
        self.wanted = None

    def _is_promised(self) -> bool:
        """Whether all announcements agree that the page that was just requested has items."""
        if self.sent == 1 and self._first.items:
            return True  # there are some, of another page
        announced = self._announcements()
        return bool(announced) and all(announced)

    def _announcements(self) -> list[bool]:
        """Return for each announcement whether there are more items than have arrived."""
        total = None if self._first.total is None else len(self.items) < self._first.total
        return [value for value in (total, self._more) if value is not None]


class Pages(Paging[Row]):
    """The pages of one request about a statistic; of one that is not paged, the only response."""

    def __init__(self, statistic: Statistic) -> None:
        super().__init__(MOST_PAGES)
        self._statistic = statistic
        self._size: int | None = None

    def take(self, document: Mapping[str, Any]) -> None:
        """Add the response for the wanted page. Raise ParseError where it is invalid."""
        request_id = str(document.get("RequestId", ""))
        page = responses.page(self._statistic, document, request_id)
        if self._statistic.is_paged:
            self.add(page, request_id)
        elif page.total is not None and len(page.rows) < page.total:
            raise ParseError(f"the response has {len(page.rows)} of {page.total} rows", request_id=request_id)
        else:
            self.put(Page(page.rows, None, None, len(page.rows), None, ()), request_id)

    def add(self, page: StatisticPage, request_id: str) -> None:
        """Add the wanted page. Raise ParseError where announced rows are missing."""
        number, size = self.sent + 1, page.size
        if number == 1:
            self._size = size
        elif number == page.pages and size == len(page.rows):
            size = self._size  # PageSize may be meant as the rows of this page: the last one's is its own length
        more = None if page.pages is None else number < page.pages
        same = (page.total, page.pages, size)
        is_zero = not any(any(row.counts) for row in page.rows)
        self.put(Page(page.rows, page.number, size, page.total, more, same, may_repeat=is_zero), request_id)
