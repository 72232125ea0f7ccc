"""Faults of the API, on demand.

Written as `name` or `name:probability`, with `,key=value` for more: `throttle:0.1`, `hang:1,times=3`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from exporter.simulator import incidents
from exporter.simulator.incidents import Incident

NAMES = {
    "throttle": "Throttling.User, HTTP 400",
    "throttle_retry_after": "Throttling.User with x-acs-retry-after",
    "http_429": "HTTP 429 without a body",
    "throttle_200": "Throttling.User, HTTP 200",
    "throttle_xml": "Throttling.User in XML",
    "throttle_gbk": "Throttling.User in GBK, with `code` for `Code`",
    "error": "InternalError, HTTP 500",
    "failed_200": "InternalError with `Success: false` and no rows, HTTP 200",
    "html_500": "an HTML page, HTTP 500",
    "http_503": "ServiceUnavailable, HTTP 503",
    "http_503_retry_after": "ServiceUnavailable, HTTP 503, with Retry-After",
    "truncate": "JSON that stops half way",
    "no_data": "a 200 without data",
    "stat_null": "a 200 whose data.stat is null",
    "empty": "a 200 without rows",
    "negative": "a negative count",
    "non_numeric": "a count that is not a number",
    "exponents": "numbers such as 1.2E+3",
    "many_rows": "a page of 15,000 rows",
    "echo": "a RequestId and a count that repeat the key's id",
    "unasked": "a second response after the first",
    "large_header": "a header of 9 kB",
    "brotli": "a content encoding that was not requested",
    "wrong_content_type": "a good response labelled text/html",
    "huge": "a body of 10 MB",
    "hang": "no response",
    "reset": "the connection is reset",
    "slow_drip": "a response one byte at a time",
    "slow": "a response after `seconds` (2)",
    "invalid_key": "InvalidAccessKeyId.NotFound, HTTP 404",
    "bad_signature": "SignatureDoesNotMatch, HTTP 400, with the request repeated in the message",
    "expired": "InvalidTimeStamp.Expired, HTTP 400",
    "nonce": "SignatureNonceUsed, HTTP 400",
    "forbidden": "Forbidden.RAM, HTTP 403",
    "unknown_sender": "InvalidMailAddress.NotFound, HTTP 404",
    "page_size": "InvalidParameter that names PageSize, HTTP 400",
    "page_fails": "InternalError for every page but the first",
    "pages_up": "TotalPages is 3 too high",
    "pages_down": "TotalPages is always 1",
    "page_cap": "pages of 5 rows, whatever was requested",
    "rows_added": "one more row for every page requested",
    "wrong_rates": "rates that do not fit the counts",
    "more_unique": "more unique opens than opens, and more unique clicks than clicks",
}
ALIASES = {name: kind.fault for name, kind in incidents.NAMES.items() if kind.fault}
"""Incidents that are faults of the API."""
OPTIONS = ("times", "after", "seconds", "retry_after", "action")
PARAMETERS = (
    *("AccountName", "TagName", "Domain", "Esp", "DedicatedIp", "DedicatedIpPoolId", "ConfigSetId"),
    *("StartTime", "EndTime", "PageNumber", "PageSize", "DomainId"),
)

PAGES = ("PageNumber", "PageNo", "PageIndex")
"""The operations' parameters for the page number."""


@dataclass(slots=True)
class Fault:
    """A fault and when it strikes. Raise ValueError for an unknown name or an impossible probability."""

    name: str
    probability: float = 1.0
    times: int | None = None
    """How often it strikes, None forever."""
    after: int = 0
    """How many matching requests pass first."""
    seconds: float = 2.0
    retry_after: int = 2000
    """Milliseconds, for the faults that have a time to wait."""
    where: Mapping[str, str] = field(default_factory=dict)
    """Request parameters that must have these values."""
    action: str = ""
    """The operation that it strikes, empty for all."""
    start: float = -math.inf
    """When it begins, in seconds since the epoch."""
    end: float = math.inf

    def __post_init__(self) -> None:
        self.name = ALIASES.get(self.name, self.name)
        if self.name not in NAMES:
            raise ValueError(f"{self.name!r} is not a fault; write one of {', '.join([*NAMES, *ALIASES])}")
        if not 0 <= self.probability <= 1:
            raise ValueError(f"{self.probability:g} is not a probability; write a number from 0 to 1")

    def strikes(self, action: str, parameters: Mapping[str, str], now: float, chance: float) -> bool:
        """Return whether the fault hits a request; `chance` is a uniform number of the request's own."""
        if self.action not in ("", action) or not self.start <= now < self.end:
            return False
        if any(parameters.get(name) != value for name, value in self.where.items()):
            return False
        if self.name == "page_fails" and all(parameters.get(name, "1") == "1" for name in PAGES):
            return False
        if self.after > 0:
            self.after -= 1
            return False
        if self.times == 0 or chance >= self.probability:
            return False
        if self.times is not None:
            self.times -= 1
        return True


def parse(text: str) -> Fault:
    """Return the fault that `name[:probability][,key=value...]` describes. Raise ValueError that names the choices."""
    head, *rest = text.split(",")
    name, _, probability = head.partition(":")
    fault = Fault(name, _number(text, probability or "1"))
    where = {}
    for item in rest:
        key, _, value = item.partition("=")
        if key in ("times", "after", "retry_after"):
            setattr(fault, key, int(_number(text, value)))
        elif key == "seconds":
            fault.seconds = _number(text, value)
        elif key == "action":
            fault.action = value
        elif key in PARAMETERS:
            where[key] = value
        else:
            choices = ", ".join((*OPTIONS, *PARAMETERS))
            raise ValueError(f"{key!r} is not a key of a fault; write one of {choices}")
    fault.where = where
    return fault


def of_incident(incident: Incident) -> Fault | None:
    """Return the fault of the API that an incident is, None for one of the mail traffic."""
    name = incidents.NAMES[incident.name].fault
    if not name:
        return None
    place = {
        "AccountName": incident.sender,
        "TagName": incident.tag,
        "Domain": incident.domain,
        "Esp": incident.esp,
    }
    return Fault(
        name,
        1.0 if name == "slow" else incident.factor,
        seconds=incident.factor,
        where={parameter: value for parameter, value in place.items() if value},
        start=incident.start,
        end=incident.end,
    )


def _number(text: str, written: str) -> float:
    try:
        number = float(written)
    except ValueError:
        number = -1.0
    if not 0 <= number < math.inf:
        raise ValueError(f"{written!r} in {text!r} is not a number; write one as in throttle:0.1,times=3")
    return number
