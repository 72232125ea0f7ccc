"""Builds responses, as faults leave them: two styles of paged lists, and responses without a list."""

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, TypeVar

from exporter.simulator.call import Call

WRONG_COUNTS = {"negative": "-5", "non_numeric": "many"}
"""What a fault writes instead of a count."""
Item = dict[str, Any]
Found = TypeVar("Found")


def whole(text: str | None, default: int) -> int:
    """Return the number that a parameter holds, the default for what is none, not positive, or endless."""
    return int(text) if text and re.fullmatch(r"[1-9]\d{0,8}", text, re.ASCII) else default


def numbered(
    call: Call, name: str, found: Sequence[Found], item: Callable[[Found], Item], counts: Sequence[str] = ()
) -> dict[str, Any]:
    """Return the page of a list that counts PageNo: `item` makes what is shown, and faults may corrupt its `counts`."""
    number = whole(call.parameters.get("PageNo"), 1)
    size = min(whole(call.parameters.get("PageSize"), 10), call.behaviour.largest_page)
    items = corrupted([item(each) for each in found[(number - 1) * size : number * size]], counts, call.fault)
    data = {} if call.fault == "no_data" else {"data": listed(name, items, call.fault)}
    return {"PageNumber": number, "PageSize": size, "TotalCount": len(found), **data}


def indexed(call: Call, name: str, items: Sequence[Item]) -> dict[str, Any]:
    """Return the page of a list that counts PageIndex and says whether there is more."""
    index = whole(call.parameters.get("PageIndex"), 1)
    is_all = call.parameters.get("All", "").lower() == "true"
    usual = min(whole(call.parameters.get("PageSize"), 10), call.behaviour.largest_page)
    size = len(items) or 1 if is_all else usual
    return {
        "CurrentPage": index,
        "HasMore": index * size < len(items),
        "TotalCounts": len(items),
        **({} if call.fault == "no_data" else listed(name, items[(index - 1) * size : index * size], call.fault)),
    }


def flat(fields: Item, counts: Sequence[str], fault: str) -> Item:
    """Return a response that has no list, as a fault leaves it."""
    if fault == "stat_null":
        return dict.fromkeys(fields)
    return {} if fault in ("no_data", "empty") else corrupted([fields], counts, fault)[0]


def listed(name: str, items: Sequence[Item], fault: str) -> dict[str, Any]:
    """Return a list under its name, as a fault leaves it."""
    return {name: {"stat_null": None, "empty": []}.get(fault, items)}


def corrupted(items: Sequence[Item], counts: Sequence[str], fault: str, others: Sequence[str] = ()) -> list[Item]:
    """Return the items as a fault of counts leaves the first one's; exponents hit `others` of its numbers, too."""
    if not items:
        return []
    first, *rest = items
    if fault == "exponents":
        plain = [name for name in (*counts, *others) if str(first[name]).replace(".", "", 1).isdecimal()]
        return [{**first, **{name: f"{Decimal(first[name]):E}" for name in plain}}, *rest]
    return [{**first, **dict.fromkeys(counts, WRONG_COUNTS[fault])} if fault in WRONG_COUNTS else first, *rest]
