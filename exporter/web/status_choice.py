"""What a visitor of the status page chose to see, and the links that change one thing of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlencode

from aiohttp import web

SHORTEST_REFRESH, LONGEST_REFRESH = 5, 3600
"""Seconds between two visits of a page that reloads itself."""
LONGEST_SEARCH = 200
"""Characters of a search that are checked; no name is longer."""
PAGES_BESIDE = 2
"""Pages before and after the one shown that have a link of their own."""
_FILTERS = ("target", "query", "statistic", "state", "q")


@dataclass(frozen=True, slots=True)
class Choice:
    """What the visitor chose to see; an empty string is everything, and of the statistics the first."""

    target: str
    query: str
    statistic: str
    state: str
    q: str
    """What to search for."""
    page: int
    """Of the combinations."""
    targets_page: int
    refresh: int | None
    """Seconds after which the page reloads itself, None for never."""
    rejected_refresh: str
    """A `refresh` that cannot be used, as it was given."""

    @classmethod
    def of(cls, request: web.Request) -> "Choice":
        """Return what a request selects; what is not a number is the first page."""
        given = {key: request.query.get(key, "") for key in _FILTERS}
        given["q"] = " ".join(given["q"].split())[:LONGEST_SEARCH]
        page, targets_page = (max(_number(request.query.get(key, "")) or 1, 1) for key in ("page", "targets_page"))
        requested = request.query.get("refresh", "").strip()
        seconds = _number(requested)
        refresh = seconds if seconds is not None and SHORTEST_REFRESH <= seconds <= LONGEST_REFRESH else None
        rejected = requested[:LONGEST_SEARCH] if refresh is None else ""
        return cls(**given, page=page, targets_page=targets_page, refresh=refresh, rejected_refresh=rejected)

    @property
    def is_narrow(self) -> bool:
        """Whether anything is left out."""
        return any(getattr(self, key) for key in _FILTERS)

    def link(self, anchor: str = "combinations", **changes: object) -> str:
        """Return the page's address with some of the choices changed, back at the first pages.

        It is relative, as all links are: a reverse proxy may serve the page under a prefix.
        """
        return "./?" + urlencode(self._kept(changes)) + f"#{anchor}"

    def kept(self, *without: str) -> dict[str, object]:
        """Return what a form has to send along to keep the choices but these and the pages."""
        return {key: value for key, value in self._kept({}).items() if key not in without}

    def _kept(self, changes: dict[str, object]) -> dict[str, object]:
        chosen = {**{key: getattr(self, key) for key in (*_FILTERS, "refresh")}, **changes}
        return {key: value for key, value in chosen.items() if value}


@dataclass(frozen=True, slots=True)
class Pager:
    """The pages of a list, one of which is shown."""

    name: str
    """The parameter of its pages."""
    anchor: str
    found: int
    size: int
    requested: int

    @property
    def pages(self) -> int:
        """How many there are, at least one."""
        return max(1, -(-self.found // self.size))

    @property
    def page(self) -> int:
        """The one shown: the last where more was requested."""
        return min(self.requested, self.pages)

    @property
    def begin(self) -> int:
        return (self.page - 1) * self.size

    @property
    def end(self) -> int:
        return min(self.begin + self.size, self.found)

    @property
    def numbers(self) -> Iterator[int | None]:
        """The pages with a link of their own: the ends and those near the one shown, None for what is between."""
        before = 0
        for number in range(1, self.pages + 1) if self.pages <= 2 * PAGES_BESIDE + 5 else self._few():
            if number != before + 1:
                yield None
            yield number
            before = number

    def _few(self) -> list[int]:
        near = range(max(1, self.page - PAGES_BESIDE), min(self.pages, self.page + PAGES_BESIDE) + 1)
        return sorted({1, *near, self.pages})


def _number(text: str) -> int | None:
    """Return a whole number of at most nine digits, None for anything else."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None
