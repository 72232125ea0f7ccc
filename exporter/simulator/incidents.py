"""Incidents in the mail traffic or in the whole API, each with its time and place.

Written as `name` or `name:key=value,...`, for instance `esp_spam:esp=gmail.com,start=+2h,for=12h`.
"""

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from exporter.clock import DAY
from exporter.simulator.account import PROVIDERS, STREAMS, domain_of

NOTIFY, NEWS, PRODUCT = "no-reply@notify.example.com", "news@mail.example.com", "product@mail.example.com"
FOR_EVER = 3650.0 * DAY
MARKETING = domain_of(NEWS)
KEYS = ("sender", "tag", "esp", "domain", "factor", "start", "for")


@dataclass(frozen=True, slots=True)
class Incident:
    """One incident. Empty filters mean everything; times are seconds since the epoch, the end exclusive."""

    name: str
    start: float
    end: float
    sender: str = ""
    tag: str = ""
    esp: str = ""
    factor: float = 1.0
    domain: str = ""

    def concerns(self, sender: str, tag: str, esp: str) -> bool:
        """Return whether mail of that kind may be in it, at some time."""
        is_sender = self.sender in ("", sender) and self.domain in ("", domain_of(sender))
        return is_sender and self.tag in ("", tag) and self.esp in ("", esp)

    def is_on(self, at: float) -> bool:
        """Return whether it is on at that time."""
        return self.start <= at < self.end


@dataclass(frozen=True, slots=True)
class Kind:
    """An incident's defaults."""

    what: str
    sender: str = ""
    tag: str = ""
    esp: str = ""
    factor: float = 1.0
    """What the volume, chance or count is multiplied by, unless `what` says otherwise; of the API's incidents see
    `fault`."""
    lasts: float = DAY
    fault: str = ""
    """The fault of the API that it is; its factor is then the chance that a request is hit, or seconds of delay."""
    domain: str = ""


NAMES = {
    "esp_spam": Kind("one provider files the mail as spam", NOTIFY, esp="gmail.com", factor=0.15),
    "esp_partial": Kind("one provider files half of it as spam", NOTIFY, esp="gmail.com", factor=0.5, lasts=2 * DAY),
    "esp_reject": Kind("one provider rejects the mail", NOTIFY, esp="gmail.com", factor=0.03, lasts=2 * DAY),
    "bounce_spike": Kind("every provider rejects a part of one sender's mail", NOTIFY, factor=0.7),
    "invalid_list": Kind("more mail is requested, to addresses that do not exist", NEWS, factor=1.25),
    "deferred": Kind("one provider accepts the mail `factor` hours later", esp="yahoo.com", factor=4.0, lasts=DAY / 2),
    "tracking_down": Kind("opens and clicks are lost", PRODUCT, lasts=DAY / 3),
    "clicks_down": Kind("clicks are lost", NOTIFY, lasts=DAY / 2),
    "sender_stopped": Kind("a sender sends nothing", NOTIFY, factor=0.0),
    "flag_lost": Kind("one sender's mail is delivered as usual, without its tracking flag", NOTIFY, factor=0.0),
    "untracked": Kind("all mail is delivered as usual, but tracking is off for the account", factor=0.0),
    "campaigns_stopped": Kind("no more campaigns", NEWS, factor=0.0, lasts=FOR_EVER),
    "runaway": Kind("a job sends far too much mail", NOTIFY, "receipt", factor=20.0),
    "scanner": Kind("link scanners visit one provider", NEWS, esp="outlook.com", factor=25.0, lasts=7 * DAY),
    "bad_subject": Kind("a campaign that few recipients open", NEWS, factor=0.5),
    "holiday": Kind("a day with little mail and slow readers", factor=0.4),
    "frozen": Kind("responses stay as they were at the start", lasts=FOR_EVER),
    "hourly": Kind("responses show the last full hour, 15 minutes late", lasts=FOR_EVER),
    "restated": Kind("the counts of closed days fall once", factor=0.98, lasts=FOR_EVER),
    "quota_used": Kind("the day ends with `factor` of the daily and monthly quota used", factor=0.97),
    "reputation_fell": Kind("the account's reputation level falls", factor=0.3, lasts=FOR_EVER),
    "account_frozen": Kind("UserStatus is `factor` and nothing is sent; calls still work", lasts=FOR_EVER),
    "cname_lost": Kind("a domain's CNAME is lost, and opens and clicks of its mail", domain=MARKETING),
    "api_throttle": Kind("calls are throttled", factor=0.5, fault="throttle"),
    "api_5xx": Kind("calls fail with HTTP 500", factor=0.5, fault="error"),
    "api_slow": Kind("responses take 5 seconds", factor=5.0, fault="slow"),
    "api_down": Kind("connections are reset", fault="reset"),
    "key_revoked": Kind("the access key was deleted", fault="invalid_key", lasts=FOR_EVER),
    "ram_denied": Kind("the permission was revoked", fault="forbidden", lasts=FOR_EVER),
}
"""The incidents by name."""

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": DAY, "w": 7.0 * DAY}


def parse(text: str, now: float) -> Incident:
    """Return the incident that `name[:key=value,...]` describes, with starts counted from `now`.

    Keys: sender, tag, esp, domain (of the sender), factor, start (`+2h`, `-3d`, or a moment such as
    `2026-04-24T03:00:00Z`), for (`12h`). Where a sender, tag or domain is given, the incident's usual ones are left
    out. What is given twice counts as it is given last. Raise ValueError that names the choices.
    """
    name, _, rest = text.partition(":")
    if name not in NAMES:
        raise ValueError(f"unknown incident {name!r}; write one of {', '.join(NAMES)}")
    kind = NAMES[name]
    given: dict[str, str] = {}
    for item in filter(None, rest.split(",")):
        key, _, value = item.partition("=")
        if key not in KEYS:
            raise ValueError(f"{key!r} is not a key of an incident; write one of {', '.join(KEYS)}")
        given[key] = value
    sender, tag, domain = (given.get(key, "") for key in ("sender", "tag", "domain"))
    if not given.keys() & {"sender", "tag", "domain"}:
        sender, tag, domain = kind.sender, kind.tag, kind.domain
    esp = given.get("esp", kind.esp).lower()
    _check_place(sender, tag, esp, domain)
    start = _moment(given.get("start", "0s"), now)
    lasts = _seconds(given["for"]) if "for" in given else kind.lasts
    if lasts <= 0:
        raise ValueError(f"{given['for']!r} is not a duration; write one such as 12h")
    largest = 1.0 if kind.fault not in ("", "slow") else 1000.0
    factor = _factor(given["factor"], largest) if "factor" in given else kind.factor
    return Incident(name, start, start + lasts, sender, tag, esp, factor, domain)


def active(incidents: Iterable[Incident], name: str, at: float) -> list[Incident]:
    """Return the incidents of that name that are on at that time, whatever mail they hit."""
    return [each for each in incidents if each.name == name and each.is_on(at)]


def hitting(
    incidents: Iterable[Incident], names: tuple[str, ...], sender: str, tag: str, esp: str, at: float
) -> Iterator[Incident]:
    """Yield those incidents that hit mail sent at that time."""
    for incident in incidents:
        if incident.name in names and incident.is_on(at) and incident.concerns(sender, tag, esp):
            yield incident


def hit_by(incidents: Iterable[Incident], names: tuple[str, ...], sender: str, tag: str, esp: str, at: float) -> float:
    """Return the product of the factors of those incidents that hit mail sent at that time."""
    return math.prod((each.factor for each in hitting(incidents, names, sender, tag, esp, at)), start=1.0)


def spans(
    incidents: Iterable[Incident], names: tuple[str, ...], sender: str, tag: str, esp: str
) -> tuple[tuple[float, float], ...]:
    """Return when any of those incidents is on for mail of that kind, in order and without overlap."""
    found = sorted(
        (each.start, each.end) for each in incidents if each.name in names and each.concerns(sender, tag, esp)
    )
    merged: list[tuple[float, float]] = []
    for start, end in found:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(merged)


def _check_place(sender: str, tag: str, esp: str, domain: str) -> None:
    senders = sorted({stream.sender for stream in STREAMS})
    if sender and sender not in senders:
        raise ValueError(f"{sender!r} is not a sender of the demo account; write one of {', '.join(senders)}")
    owner = sender or "the demo account"
    domains = sorted({stream.domain for stream in STREAMS if sender in ("", stream.sender)})
    if domain and domain not in domains:
        raise ValueError(f"{domain!r} is not a domain of {owner}; write one of {', '.join(domains)}")
    owner = sender or domain or owner
    tags = [stream.tag for stream in STREAMS if sender in ("", stream.sender) and domain in ("", stream.domain)]
    if tag and tag not in tags:
        raise ValueError(f"{tag!r} is not a tag of {owner}; write one of {', '.join(tags)}")
    if esp and esp not in PROVIDERS:
        raise ValueError(f"{esp!r} is not a provider; write one of {', '.join(PROVIDERS)}")


def _moment(text: str, now: float) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return now + _seconds(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone; write a moment such as 2026-04-24T03:00:00Z")
    return moment.timestamp()


def _seconds(text: str) -> float:
    match = re.fullmatch(r"([+-]?\d+(?:\.\d+)?)([smhdw])", text, re.ASCII)
    if match is None:
        raise ValueError(f"{text!r} is not a time; write one such as 30m, +2h or -3d")
    return float(match[1]) * _UNITS[match[2]]


def _factor(text: str, largest: float) -> float:
    try:
        factor = float(text)
    except ValueError:
        factor = -1.0
    if not 0 <= factor <= largest:
        raise ValueError(f"{text!r} is not a factor; write a number from 0 to {largest:g} such as 0.15")
    return factor
