"""QueryDomainByParam and DescDomain: the sender domains, and which of their DNS records are verified."""

from typing import Any

from exporter.simulator.account import STREAMS
from exporter.simulator.call import Call
from exporter.simulator.error_responses import ApiError
from exporter.simulator.incidents import Incident, active
from exporter.simulator.list_operations import matching
from exporter.simulator.paging import flat, numbered
from exporter.simulator.random_numbers import uniforms

OPENED = 1_717_379_467
"""When the account began, in seconds since the epoch."""
LISTED = {"ownership": "ConfirmStatus", "spf": "SpfAuthStatus", "mx": "MxAuthStatus", "cname": "CnameAuthStatus"}
"""The checks of QueryDomainByParam and their fields; 0 is verified, 1 is not."""


def query(call: Call) -> dict[str, Any]:
    """Answer QueryDomainByParam."""
    found = [
        domain
        for domain in matching(call, "KeyWord", call.inventory.domains)
        if call.parameters.get("Status", "") in ("", _status(call, domain, "ownership"))
    ]
    return numbered(call, "domain", found, lambda domain: _listed(call, domain), tuple(LISTED.values()))


def describe(call: Call) -> dict[str, Any]:
    """Answer DescDomain. Raise ApiError where no domain has the id; the code of an unknown one is made up."""
    wanted = call.parameters.get("DomainId")
    if not wanted:
        raise ApiError(400, "MissingParameter", "The parameter DomainId is missing.")
    for domain in call.inventory.domains:
        if id_of(domain) == wanted:
            return flat(_described(call, domain), (LISTED["cname"], "DkimAuthStatus"), call.fault)
    raise ApiError(404, "InvalidDomain.NotFound", "The specified domain is not found.")


def id_of(name: str) -> str:
    """Return the id of a domain or sender: always the same, and another one for each."""
    (u,) = uniforms(1, "id", name)
    return str(100_000 + int(u * 900_000))


def unverified(call: Call, domain: str) -> frozenset[str]:
    """Return the checks of a domain that fail: ownership, spf, mx, cname, dkim, dmarc."""
    failing = call.inventory.unverified.get(domain, frozenset())
    lost = active(call.traffic.incidents, "cname_lost", call.now)
    return failing | {"cname"} if any(_hits(incident, domain) for incident in lost) else failing


def _hits(incident: Incident, domain: str) -> bool:
    return any(incident.concerns(each.sender, each.tag, incident.esp) for each in STREAMS if each.domain == domain)


def _status(call: Call, domain: str, check: str) -> str:
    return "1" if check in unverified(call, domain) else "0"


def _common(call: Call, domain: str) -> dict[str, Any]:
    """Return the fields that both operations have."""
    return {
        "DomainId": id_of(domain),
        "DomainName": domain,
        "DomainStatus": _status(call, domain, "ownership"),
        "CnameAuthStatus": _status(call, domain, "cname"),
        "MxAuthStatus": _status(call, domain, "mx"),
        "SpfAuthStatus": _status(call, domain, "spf"),
        "IcpStatus": "1",
        "CreateTime": call.behaviour.clock(_created(domain)),
    }


def _listed(call: Call, domain: str) -> dict[str, Any]:
    """Return one item of the list."""
    return {
        **_common(call, domain),
        "ConfirmStatus": _status(call, domain, "ownership"),
        "DomainRecord": f"verification-{id_of(domain)}",
        "UtcCreateTime": _created(domain),
    }


def _described(call: Call, domain: str) -> dict[str, Any]:
    """Return what DescDomain returns for a domain."""
    return {
        **_common(call, domain),
        "CnameConfirmStatus": "0",
        "CnameRecord": f"dmtrace.{domain}",
        "DefaultDomain": "0",
        "DkimAuthStatus": _status(call, domain, "dkim"),
        "DkimRR": f"dm._domainkey.{domain}",
        "DkimRsaLength": 2048,
        "DmarcAuthStatus": int(_status(call, domain, "dmarc")),
        "DmarcHostRecord": f"_dmarc.{domain}",
        "DomainVersion": 2,
        "HostRecord": f"verification.{domain}",
        "TlDomainName": ".".join(domain.split(".")[-2:]),
    }


def _created(domain: str) -> int:
    return OPENED + int(id_of(domain))
