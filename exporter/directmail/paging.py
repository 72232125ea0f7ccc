"""Decides which page to request next and when all have arrived, even if the server's page counts are wrong.

A server announces more items in two ways: the total number of items, and whether pages follow (TotalPages, HasMore).
Where both agree they are accepted. Otherwise, and where neither is there, pages are requested until one is empty or
repeats another. An announcement of less than has arrived announces nothing, and neither does the size of pages: a short
page may be the server's own limit. Where a page that repeats may also be the next one with equal items, the list is an
error: a part never passes for the whole.
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
    """A page, with its number and totals; None for missing ones."""

    items: list[Item]
    number: int | None
    """Its own number; the first is 1, or 0."""
    total: int | None
    more: bool | None
    """Whether pages follow."""
    same: tuple[int | None, ...]
    """Values that are equal on every page, unless items were added or removed meanwhile."""
    may_repeat: bool = False
    """Whether another page may look just like it and does no harm if it is added twice."""
    is_distinct: bool = False
    """Whether no two of its items are equal, so that a page that looks like it is the same one."""


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
        self._first = Page[Item]([], None, None, None, ())
        self._pages: list[list[Item]] = []
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
            self._end(f"came as page {page.number}", is_partial=self._is_short_of_total())
            self.changed = page.items not in self._pages
        elif page.items in self._pages and (repeats := self._repeats(page)):
            self._end(repeats, is_partial=self._is_short_of_total(), is_unclear=self._is_unclear(page))
        else:
            self.items += page.items
            self._pages.append(page.items)
            self._more = page.more
            self._continue()

    def _repeats(self, page: Page[Item]) -> str:
        """Return which page one is that looks like an earlier one, "" where it is the next one with equal items."""
        if page.items == self._pages[-1]:
            return "" if page.may_repeat and any(self._announcements()) else "repeats the previous one"
        is_next = page.may_repeat or (not page.is_distinct and (self._is_promised() or self._is_short_of_total()))
        return "" if is_next else "repeats an earlier one"

    def _is_unclear(self, page: Page[Item]) -> bool:
        """Whether a page that looks like an earlier one may be the next one with equal items.

        Without any number, a server that does not know pages is believed: it sends its only page again and again.
        """
        only_page = page.number is None and not self._announcements() and len(self._pages) == 1
        return not page.is_distinct and not only_page

    def _continue(self) -> None:
        announced = self._announcements()
        if announced and not any(announced):
            self.wanted = None
        elif self.sent >= self._most:
            raise ParseError(f"more than {self._most} pages", request_id=self.request_id)
        else:
            self.wanted = self.sent + 1

    def _end(self, what: str, *, is_partial: bool = False, is_unclear: bool = False) -> None:
        """End the list with this page without new items. Raise ParseError where items are or may be missing."""
        if is_partial or self._is_promised():
            total = self._first.total
            come = "" if total is None else f": {len(self.items)} of {total} items received"
            text = f"page {self.sent} {what}, although the response announces more{come}"
            raise ParseError(text, request_id=self.request_id)
        if is_unclear:
            text = f"page {self.sent} {what}, or has equal rows: the end of the list is unknown"
            raise ParseError(text, request_id=self.request_id)
        self.wanted = None

    def _is_short_of_total(self) -> bool:
        """Whether fewer items have arrived than the total number."""
        return self._first.total is not None and len(self.items) < self._first.total

    def _is_promised(self) -> bool:
        """Whether all announcements agree that the page that was just requested has items."""
        if self.sent == 1 and self._first.items:
            return True  # there are some, of another page
        announced = self._announcements()
        return bool(announced) and all(announced)

    def _announcements(self) -> list[bool]:
        """Return for each announcement whether there are more items than have arrived."""
        total, received = self._first.total, len(self.items)
        more = None if total is None or total < received else received < total
        return [value for value in (more, self._more) if value is not None]


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
            self.put(Page(page.rows, None, len(page.rows), None, ()), request_id)

    def add(self, page: StatisticPage, request_id: str) -> None:
        """Add the wanted page. Raise ParseError where announced rows are missing."""
        number, size = self.sent + 1, page.size
        if number == 1:
            self._size = size
        elif number == page.pages and size == len(page.rows):
            size = self._size  # PageSize may be meant as the rows of this page: the last one's is its own length
        more = None if page.pages is None or page.pages < number else number < page.pages
        same = (page.total, page.pages, size)
        is_zero = not any(any(row.counts) for row in page.rows)
        times = {row.created for row in page.rows}
        is_distinct = len(times) == len(page.rows) > 1 and None not in times
        self.put(Page(page.rows, page.number, page.total, more, same, is_zero, is_distinct), request_id)
