"""The sibling operations that list what an account has, each with its own style of paging."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from exporter.simulator.account import STREAMS


def answer(action: str, parameters: Mapping[str, str], senders: Sequence[str]) -> dict[str, Any] | None:
    """Return the answer of a listing operation, None for any other."""
    through = sorted({stream.through for stream in STREAMS})
    if action == "QueryMailAddressByParam":
        senders = _matching(parameters.get("KeyWord", ""), senders)
        items = [{"AccountName": name, "AccountStatus": "0", "Sendtype": "batch"} for name in senders]
        return _numbered(parameters, "mailAddress", items)
    if action == "QueryTagByParam":
        tags = _matching(parameters.get("KeyWord", ""), sorted({stream.tag for stream in STREAMS}))
        items = [{"TagId": str(n), "TagName": tag, "TagDescription": ""} for n, tag in enumerate(tags, 1)]
        return _numbered(parameters, "tag", items)
    keyword = parameters.get("Keyword", "")
    if action == "ConfigSetList":
        names = _matching(keyword, [each.config_set_id for each in through])
        return _indexed(parameters, "ConfigSets", [{"Id": name, "Name": name} for name in names])
    if action == "DedicatedIpList":
        pools = {each.dedicated_ip: each.dedicated_ip_pool_id for each in through}
        ips = _matching(keyword, list(pools))
        return _indexed(parameters, "Ips", [{"Id": ip, "Ip": ip, "IpPoolName": pools[ip]} for ip in ips])
    if action == "DedicatedIpPoolList":
        wanted = parameters.get("PoolId", "")
        ips_of = {each.dedicated_ip_pool_id: each.dedicated_ip for each in through}
        found = [
            {"Id": pool, "Name": pool, "IpCount": 1, "Ips": [{"Id": ips_of[pool], "Ip": ips_of[pool]}]}
            for pool in _matching(keyword, list(ips_of))
            if wanted in ("", pool)
        ]
        return _indexed(parameters, "IpPools", found)
    return None


def whole(text: str | None, default: int) -> int:
    """Return the number that a parameter holds, the default for what is none, not positive, or endless."""
    return int(text) if text and re.fullmatch(r"[1-9]\d{0,8}", text, re.ASCII) else default


def _matching(keyword: str, names: Sequence[str]) -> list[str]:
    return [name for name in names if keyword in name]


def _numbered(parameters: Mapping[str, str], name: str, items: list[dict[str, str]]) -> dict[str, Any]:
    number, size = whole(parameters.get("PageNo"), 1), whole(parameters.get("PageSize"), 10)
    shown = items[(number - 1) * size : number * size]
    return {"PageNumber": number, "PageSize": size, "TotalCount": len(items), "data": {name: shown}}


def _indexed(parameters: Mapping[str, str], name: str, items: list[dict[str, Any]]) -> dict[str, Any]:
    index = whole(parameters.get("PageIndex"), 1)
    size = len(items) or 1 if parameters.get("All", "").lower() == "true" else whole(parameters.get("PageSize"), 10)
    shown = items[(index - 1) * size : index * size]
    return {
        "CurrentPage": index,
        "HasMore": index * size < len(items),
        "TotalCounts": len(items),
        name: shown,
    }
