"""Which page comes next and when all have arrived, whatever the server says of its own pages.

TotalPages and Total are two witnesses. Where they agree they are believed. Where they do not, and where there
are none, pages are asked for until one is empty or repeats the one before.
"""

from collections.abc import Mapping
from typing import Any

from exporter.directmail import answers
from exporter.directmail.answers import Page, Row
from exporter.directmail.errors import ParseError

MOST_PAGES = 200
_NOTHING = Page([], None, None, None, None)


class Pages:
    """The pages of one question."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.asked = 0
        self.request_id = ""
        """Of the last page."""
        self.changed = False
        """Whether the list changed while it was read: then its rows are worth nothing."""
        self.wanted: int | None = 1
        """The number of the page to ask for, None when there is nothing more to ask."""
        self._first = _NOTHING
        self._before: list[Row] | None = None

    def take(self, document: Mapping[str, Any]) -> None:
        """Take in the answer to the page that was wanted. Raise ParseError where it makes no sense."""
        request_id = str(document.get("RequestId", ""))
        self.add(answers.page(document, request_id), request_id)

    def add(self, page: Page, request_id: str) -> None:
        """Take in the page that was wanted. Raise ParseError where rows that were promised do not come."""
        self.asked += 1
        self.request_id = request_id
        if self.asked == 1:
            self._first = page
        is_zero = not any(any(row.counts) for row in page.rows)
        if _differ(self._first, page, is_last=self.asked == self._first.pages):
            self.changed, self.wanted = True, None
        elif not page.rows:
            self._end("is empty")
        elif page.number not in (None, self.asked):
            self._end(f"came as page {page.number}")
        elif page.rows == self._before and not (is_zero and self._is_promised()):
            self._end("repeats the one before")
        else:
            self.rows += page.rows
            self._before = page.rows
            self._go_on()

    def _go_on(self) -> None:
        if self._is_complete():
            self.wanted = None
        elif self.asked >= MOST_PAGES:
            raise ParseError(f"more than {MOST_PAGES} pages", request_id=self.request_id)
        else:
            self.wanted = self.asked + 1

    def _end(self, what: str) -> None:
        """Take this page, which brings nothing, for the end. Raise ParseError where it was promised rows."""
        if self._is_promised():
            said = f"TotalPages {self._first.pages}, Total {self._first.total}"
            text = f"page {self.asked} {what}, although the answer says {said}"
            raise ParseError(text, request_id=self.request_id)
        self.wanted = None

    def _is_promised(self) -> bool:
        """Whether every witness says that the page that was just asked for has rows."""
        first = self._first
        if self.asked == 1:
            # One page is what there is of nothing, too: Total goes first.
            return bool(first.rows) or bool(first.total) or (first.total is None and (first.pages or 0) > 1)
        pages = None if first.pages is None else self.asked <= first.pages
        total = None if first.total is None else len(self.rows) < first.total
        witnesses = [said for said in (pages, total) if said is not None]
        return bool(witnesses) and all(witnesses)

    def _is_complete(self) -> bool:
        """Whether everything that the server counts has come."""
        first = self._first
        pages = None if first.pages is None else self.asked >= first.pages
        total = None if first.total is None else len(self.rows) >= first.total
        witnesses = [said for said in (pages, total) if said is not None]
        if witnesses:
            return all(witnesses)
        return first.size is not None and len(self._before or ()) < first.size


def _differ(first: Page, page: Page, *, is_last: bool) -> bool:
    """Whether two pages are of different lists: rows came or went, or the page size changed.

    PageSize may be meant as the rows of this page, so the last page's may be its own length.
    """
    if (page.total, page.pages) != (first.total, first.pages):
        return True
    return page.size != first.size and not (is_last and page.size == len(page.rows))
