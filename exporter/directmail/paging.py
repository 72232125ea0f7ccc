"""Which page comes next and when all have arrived, whatever the server says of its own pages.

TotalPages and Total are two witnesses. Where they agree they are believed. Where they do not, pages are asked for
until one is empty or repeats the one before.
"""

from typing import Any

from exporter.directmail.answers import Page
from exporter.directmail.errors import ParseError

MOST_PAGES = 200


class Pages:
    """The pages of one question."""

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self.asked = 0
        self.request_id = ""
        self.changed = False
        """Whether the list changed while it was read: then its rows are worth nothing."""
        self.wanted: int | None = 1
        """The number of the page to ask for, None when there is nothing more to ask."""
        self._first: Page | None = None
        self._before: list[Any] | None = None

    def add(self, page: Page, request_id: str) -> None:
        """Take in the page that was wanted. Raise ParseError where rows that were promised do not come."""
        self.asked += 1
        self.request_id = request_id
        first = self._first = self._first or page
        if (page.total, page.pages, page.size) != (first.total, first.pages, first.size):
            self.changed, self.wanted = True, None
            return
        promised_pages = first.pages is not None and self.asked <= first.pages
        promised_rows = first.total is not None and len(self.rows) < first.total
        promised = promised_pages and promised_rows
        another = self.asked > 1 and page.number is not None and page.number != self.asked
        repeats = another or (bool(page.rows) and page.rows == self._before)
        if not page.rows or repeats:
            if promised and self.asked > 1:
                text = f"page {self.asked} is not there, although the answer counts {first.pages} pages of {first.total} rows"
                raise ParseError(text, request_id=request_id)
            if promised and first.total:
                raise ParseError(
                    f"the answer counts {first.total} rows and holds none", request_id=request_id
                )
            self.wanted = None
            return
        self.rows += page.rows
        self._before = page.rows
        if self._complete(first):
            self.wanted = None
        elif self.asked >= MOST_PAGES:
            raise ParseError(f"more than {MOST_PAGES} pages", request_id=request_id)
        else:
            self.wanted = self.asked + 1

    def _complete(self, first: Page) -> bool:
        """Whether everything that the server counts has come. Unknown counts are no witnesses."""
        pages = None if first.pages is None else self.asked >= first.pages
        total = None if first.total is None else len(self.rows) >= first.total
        witnesses = [said for said in (pages, total) if said is not None]
        if witnesses:
            return all(witnesses)
        return first.size is None or len(self._before or ()) < first.size
