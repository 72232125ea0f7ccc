"""The sibling operations that list what an account has, each with its own style of paging."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from exporter.simulator.account import STREAMS, Infrastructure


@dataclass(slots=True)
class Inventory:
    """What the account has, apart from its senders; whoever changes it changes the next answer."""

    tags: Sequence[str] = tuple(sorted({stream.tag for stream in STREAMS}))
    through: Sequence[Infrastructure] = tuple(sorted({stream.through for stream in STREAMS}))


def answer(
    action: str,
    parameters: Mapping[str, str],
    senders: Sequence[str],
    inventory: Inventory,
    largest_page: int,
    fault: str = "",
) -> dict[str, Any] | None:
    """Return the answer of a listing operation, None for any other."""
    through = inventory.through
    if action == "QueryMailAddressByParam":
        senders = _matching(parameters.get("KeyWord", ""), senders)
        items = [{"AccountName": name, "AccountStatus": "0", "Sendtype": "batch"} for name in senders]
        return _numbered(parameters, "mailAddress", items, largest_page, fault)
    if action == "QueryTagByParam":
        tags = _matching(parameters.get("KeyWord", ""), inventory.tags)
        items = [{"TagId": str(n), "TagName": tag, "TagDescription": ""} for n, tag in enumerate(tags, 1)]
        return _numbered(parameters, "tag", items, largest_page, fault)
    keyword = parameters.get("Keyword", "")
    if action == "ConfigSetList":
        names = _matching(keyword, [each.config_set_id for each in through])
        return _indexed(parameters, "ConfigSets", [{"Id": name, "Name": name} for name in names], largest_page, fault)
    if action == "DedicatedIpList":
        pools = {each.dedicated_ip: each.dedicated_ip_pool_id for each in through}
        ips = _matching(keyword, list(pools))
        items = [{"Id": ip, "Ip": ip, "IpPoolName": pools[ip]} for ip in ips]
        return _indexed(parameters, "Ips", items, largest_page, fault)
    if action == "DedicatedIpPoolList":
        wanted = parameters.get("PoolId", "")
        ips_of = {each.dedicated_ip_pool_id: each.dedicated_ip for each in through}
        found = [
            {"Id": pool, "Name": pool, "IpCount": 1, "Ips": [{"Id": ips_of[pool], "Ip": ips_of[pool]}]}
            for pool in _matching(keyword, list(ips_of))
            if wanted in ("", pool)
        ]
        return _indexed(parameters, "IpPools", found, largest_page, fault)
    return None


def whole(text: str | None, default: int) -> int:
    """Return the number that a parameter holds, the default for what is none, not positive, or endless."""
    return int(text) if text and re.fullmatch(r"[1-9]\d{0,8}", text, re.ASCII) else default


def _matching(keyword: str, names: Sequence[str]) -> list[str]:
    return [name for name in names if keyword in name]


def _numbered(
    parameters: Mapping[str, str], name: str, items: list[dict[str, str]], largest: int, fault: str
) -> dict[str, Any]:
    number, size = whole(parameters.get("PageNo"), 1), min(whole(parameters.get("PageSize"), 10), largest)
    data = _spoilt(name, items[(number - 1) * size : number * size], fault)
    rest = {} if fault == "no_data" else {"data": data}
    return {"PageNumber": number, "PageSize": size, "TotalCount": len(items), **rest}


def _indexed(
    parameters: Mapping[str, str], name: str, items: list[dict[str, Any]], largest: int, fault: str
) -> dict[str, Any]:
    index = whole(parameters.get("PageIndex"), 1)
    is_all = parameters.get("All", "").lower() == "true"
    size = len(items) or 1 if is_all else min(whole(parameters.get("PageSize"), 10), largest)
    return {
        "CurrentPage": index,
        "HasMore": index * size < len(items),
        "TotalCounts": len(items),
        **_spoilt(name, items[(index - 1) * size : index * size], fault),
    }


def _spoilt(name: str, shown: Sequence[object], fault: str) -> dict[str, Any]:
    """Return the page's items under their name, as a fault leaves them."""
    if fault == "no_data":
        return {}
    return {name: {"stat_null": None, "empty": []}.get(fault, shown)}
