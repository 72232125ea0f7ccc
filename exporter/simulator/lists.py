"""The sibling operations that list what an account has, each with its own style of paging."""

from collections.abc import Mapping, Sequence
from typing import Any

from exporter.simulator.account import STREAMS


def answer(action: str, parameters: Mapping[str, str], senders: Sequence[str]) -> dict[str, Any] | None:
    """Return the answer of a listing operation, None for any other."""
    through = sorted({stream.through for stream in STREAMS})
    if action == "QueryMailAddressByParam":
        return _numbered(
            parameters, "mailAddress", [{"AccountName": sender, "AccountStatus": "0"} for sender in senders]
        )
    if action == "QueryTagByParam":
        tags = sorted({stream.tag for stream in STREAMS})
        return _numbered(parameters, "tag", [{"TagId": str(n), "TagName": tag} for n, tag in enumerate(tags, 1)])
    if action == "ConfigSetList":
        return _indexed(
            parameters,
            "ConfigSets",
            [{"Id": each.config_set_id, "Name": each.config_set_id} for each in through],
        )
    if action == "DedicatedIpList":
        ips = [
            {"Id": str(n), "Ip": each.dedicated_ip, "IpPoolName": each.dedicated_ip_pool_id}
            for n, each in enumerate(through, 1)
        ]
        return _indexed(parameters, "Ips", ips)
    if action == "DedicatedIpPoolList":
        pools = [{"Id": each.dedicated_ip_pool_id, "Name": each.dedicated_ip_pool_id, "IpCount": 1} for each in through]
        return _indexed(parameters, "IpPools", pools)
    return None


def _numbered(parameters: Mapping[str, str], name: str, items: list[dict[str, str]]) -> dict[str, Any]:
    number, size = int(parameters.get("PageNo", "1")), int(parameters.get("PageSize", "10"))
    shown = items[(number - 1) * size : number * size]
    return {"PageNumber": number, "PageSize": size, "TotalCount": len(items), "data": {name: shown}}


def _indexed(parameters: Mapping[str, str], name: str, items: list[dict[str, Any]]) -> dict[str, Any]:
    index, size = int(parameters.get("PageIndex", "1")), int(parameters.get("PageSize", "10"))
    shown = items[(index - 1) * size : index * size]
    return {
        "CurrentPage": index,
        "HasMore": index * size < len(items),
        "TotalCounts": len(items),
        name: shown,
    }
