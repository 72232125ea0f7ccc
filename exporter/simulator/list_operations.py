"""The operations that list tags, configuration sets, dedicated IPs and their pools."""

from collections.abc import Sequence
from typing import Any

from exporter.simulator.account import Infrastructure
from exporter.simulator.call import Call
from exporter.simulator.paging import indexed, numbered


def tags(call: Call) -> dict[str, Any]:
    """Answer QueryTagByParam."""
    found = list(enumerate(matching(call, "KeyWord", call.inventory.tags), 1))
    return numbered(call, "tag", found, lambda each: {"TagId": str(each[0]), "TagName": each[1], "TagDescription": ""})


def config_sets(call: Call) -> dict[str, Any]:
    """Answer ConfigSetList."""
    found = matching(call, "Keyword", [each.config_set_id for each in call.inventory.through])
    return indexed(call, "ConfigSets", [{"Id": name, "Name": name} for name in found])


def dedicated_ips(call: Call) -> dict[str, Any]:
    """Answer DedicatedIpList."""
    pools = {each.dedicated_ip: each.dedicated_ip_pool_id for each in _dedicated(call)}
    found = matching(call, "Keyword", list(pools))
    return indexed(call, "Ips", [{"Id": ip, "Ip": ip, "IpPoolName": pools[ip]} for ip in found])


def pools(call: Call) -> dict[str, Any]:
    """Answer DedicatedIpPoolList."""
    wanted = call.parameters.get("PoolId", "")
    ips_of = {each.dedicated_ip_pool_id: each.dedicated_ip for each in _dedicated(call)}
    found = [
        {"Id": pool, "Name": pool, "IpCount": 1, "Ips": [{"Id": ips_of[pool], "Ip": ips_of[pool]}]}
        for pool in matching(call, "Keyword", list(ips_of))
        if wanted in ("", pool)
    ]
    return indexed(call, "IpPools", found)


def matching(call: Call, parameter: str, names: Sequence[str]) -> list[str]:
    """Return the names that contain the word that the parameter holds."""
    keyword = call.parameters.get(parameter, "")
    return [name for name in names if keyword in name]


def _dedicated(call: Call) -> Sequence[Infrastructure]:
    """Return what mail is sent through, nothing where the account has no IPs of its own."""
    return () if call.behaviour.no_dedicated_ips else call.inventory.through
