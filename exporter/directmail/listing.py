"""The operations that list an account's filter values, and how their pages become a list.

Each has its own names for its pages; `paging` decides when all have arrived. A partial list is an error.
"""

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

from exporter.directmail import account, responses
from exporter.directmail.errors import ParseError
from exporter.directmail.paging import Page, Paging

LARGEST_PAGE = 100
MOST_PAGES = 1000
LONGEST_VALUE = 256
"""Characters of a name that can be requested; a longer one is left out."""


@dataclass(frozen=True, slots=True)
class Operation:
    """The parameters and response fields of one operation (the official SDK's models of 2015-11-23)."""

    action: str
    page: str
    """The parameter that takes the number of the page, from 1."""
    items: tuple[str, ...]
    """The path to the items."""
    value: str
    """The field of an item that a filter of GetTrackList takes."""
    number: str
    """The page's own number in the response."""
    total: str
    has_more: str = ""
    """"" where the response has none."""
    facts: tuple[str, ...] = ()
    """Further fields of an item that are of use (`account`)."""


def _numbered(action: str, items: str, value: str, facts: Iterable[str] = ()) -> Operation:
    return Operation(action, "PageNo", ("data", items), value, "PageNumber", "TotalCount", facts=tuple(facts))


def _indexed(action: str, items: str, value: str) -> Operation:
    return Operation(action, "PageIndex", (items,), value, "CurrentPage", "TotalCounts", "HasMore")


OPERATIONS: Mapping[str, Operation] = {
    "account_name": _numbered("QueryMailAddressByParam", "mailAddress", "AccountName", account.USAGE),
    "tag_name": _numbered("QueryTagByParam", "tag", "TagName"),
    "domain": _numbered(
        "QueryDomainByParam",
        "domain",
        "DomainName",
        (account.DOMAIN_ID, *account.LISTED_CHECKS.values(), account.CREATED, account.CREATED_SECONDS),
    ),
    "config_set_id": _indexed("ConfigSetList", "ConfigSets", "Id"),
    "dedicated_ip": _indexed("DedicatedIpList", "Ips", "Ip"),
    "dedicated_ip_pool_id": _indexed("DedicatedIpPoolList", "IpPools", "Id"),
}
"""The operation that lists the values of a filter."""


class Listed(NamedTuple):
    """A whole list."""

    values: tuple[str, ...]
    """Each once, in the API's order."""
    unusable: int
    """Names that cannot be a filter's value: empty, too long, or with control characters."""
    pages: int
    """Pages that were requested, with those of lists that changed meanwhile."""
    request_id: str
    """Of the last page."""
    facts: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
    """What the operation's `facts` are of each value."""


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a list, the same as another one of its name."""

    name: str
    facts: Mapping[str, Any] = field(compare=False)


class ListPage(NamedTuple):
    """One page; missing values are None."""

    items: list[Item]
    number: int | None
    size: int | None
    total: int | None
    has_more: bool | None

    @property
    def names(self) -> list[str]:
        return [item.name for item in self.items]


class Listing(Paging[Item]):
    """The pages of one list."""

    def __init__(self, operation: Operation, page_size: int) -> None:
        super().__init__(MOST_PAGES)
        self._operation = operation
        self._page_size = min(page_size, LARGEST_PAGE)

    @property
    def parameters(self) -> dict[str, str]:
        """The parameters of the request for the wanted page."""
        return {self._operation.page: str(self.wanted), "PageSize": str(self._page_size)}

    def take(self, document: Mapping[str, Any]) -> None:
        """Add the response for the wanted page. Raise ParseError where it is invalid."""
        request_id = str(document.get("RequestId", ""))
        found = page(self._operation, document, request_id)
        same = (found.total,)
        self.put(Page(found.items, found.number, found.total, found.has_more, same, is_distinct=True), request_id)

    def result(self, pages: int) -> Listed:
        """Return the whole list, which took so many pages."""
        usable = [item for item in self.items if is_usable(item.name)]
        facts = {item.name: item.facts for item in usable}
        return Listed(tuple(facts), len(self.items) - len(usable), pages, self.request_id, facts)


def page(operation: Operation, document: Mapping[str, Any], request_id: str) -> ListPage:
    """Return the page that a 200 holds.

    Raise ParseError for an item without a name, and where there are no items at all: missing is never an empty list.
    """
    items: Any = document
    for step in operation.items:
        items = items.get(step) if isinstance(items, Mapping) else None
    if not isinstance(items, list):
        raise ParseError(f"the response has no {'.'.join(operation.items)}", request_id=request_id)
    found = [
        Item(_name(operation, item, request_id), {name: item.get(name) for name in operation.facts}) for item in items
    ]
    number, size, total = (
        responses.number(document.get(name)) for name in (operation.number, "PageSize", operation.total)
    )
    return ListPage(found, number, size, total, _flag(document.get(operation.has_more)))


def is_usable(name: str) -> bool:
    """Return whether a name can be requested and shown: not blank, not too long, no control characters."""
    return 0 < len(name.strip()) <= len(name) <= LONGEST_VALUE and (
        name.isprintable() or not any(unicodedata.category(each) in ("Cc", "Cs") for each in name)
    )


def domain_id(facts: Mapping[str, Any]) -> str:
    """Return the id of a listed domain for DescDomain, "" where the list has none that can be requested."""
    found = facts.get(account.DOMAIN_ID)
    text = str(found) if isinstance(found, int | str) and not isinstance(found, bool) else ""
    return text if is_usable(text) else ""


def _name(operation: Operation, item: Any, request_id: str) -> str:
    value = item.get(operation.value) if isinstance(item, Mapping) else None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        text = f"an item of {'.'.join(operation.items)} has no {operation.value}"
        raise ParseError(text, request_id=request_id)
    return value


def _flag(value: Any) -> bool | None:
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower())
    return value if isinstance(value, bool) else None
