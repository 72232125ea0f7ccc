"""One request to the account, and what its response depends on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from exporter.simulator.account import STREAMS, Infrastructure
from exporter.simulator.behaviour import Behaviour
from exporter.simulator.traffic import Traffic


@dataclass(slots=True)
class Inventory:
    """What the account has, apart from its senders; a change shows in the next response."""

    tags: Sequence[str] = tuple(sorted({stream.tag for stream in STREAMS}))
    through: Sequence[Infrastructure] = tuple(sorted({stream.through for stream in STREAMS}))
    domains: Sequence[str] = tuple(sorted({stream.domain for stream in STREAMS}))
    unverified: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """The checks of a domain that fail: ownership, spf, mx, cname, dkim, dmarc."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was accepted: its parameters, the time, the account, and the fault that corrupts the response."""

    parameters: Mapping[str, str]
    now: float
    """Seconds since the epoch."""
    traffic: Traffic
    senders: Sequence[str]
    inventory: Inventory
    behaviour: Behaviour
    fault: str = ""
