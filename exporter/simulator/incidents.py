"""Things that go wrong in the mail traffic itself, each with its time and place.

Written as `name` or `name:key=value,...`, for instance `esp_spam:esp=gmail.com,start=+2h,for=12h`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

DAY = 86_400.0
NOTIFY, NEWS, PRODUCT = "no-reply@notify.example.com", "news@mail.example.com", "product@mail.example.com"


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

    def hits(self, sender: str, tag: str, esp: str, at: float) -> bool:
        """Return whether mail of that kind, sent or read at that time, is in it."""
        return (
            self.start <= at < self.end
            and self.sender in ("", sender)
            and self.tag in ("", tag)
            and self.esp in ("", esp)
        )


@dataclass(frozen=True, slots=True)
class _Default:
    what: str
    sender: str = ""
    tag: str = ""
    esp: str = ""
    factor: float = 1.0
    lasts: float = DAY


NAMES = {
    "esp_spam": _Default("one provider folders the mail as spam", NOTIFY, esp="gmail.com", factor=0.15),
    "esp_partial": _Default(
        "one provider folders half of the mail", NOTIFY, esp="gmail.com", factor=0.5, lasts=2 * DAY
    ),
    "esp_reject": _Default("one provider rejects the mail", NOTIFY, esp="gmail.com", factor=0.03, lasts=2 * DAY),
    "tracking_down": _Default("opens and clicks are lost", PRODUCT, lasts=DAY / 3),
    "clicks_down": _Default("clicks are lost", NOTIFY, lasts=DAY / 2),
    "sender_stopped": _Default("a sender sends nothing", NOTIFY, factor=0.0),
    "flag_lost": _Default("mail goes out without its tracking flag", NOTIFY, factor=0.0),
    "campaigns_stopped": _Default("no more campaigns", NEWS, factor=0.0, lasts=3650 * DAY),
    "runaway": _Default("a job sends far too much", NOTIFY, "receipt", factor=20.0),
    "scanner": _Default(
        "link scanners visit one provider's mailboxes", NEWS, esp="outlook.com", factor=25.0, lasts=7 * DAY
    ),
    "bad_subject": _Default("a campaign that nobody wants to open", NEWS, factor=0.5),
    "holiday": _Default("a day with little mail and few readers", factor=0.4),
    "frozen": _Default("answers stay as they were at the start", lasts=3650 * DAY),
    "hourly": _Default("answers are of the last full hour and 15 minutes late", lasts=3650 * DAY),
    "restated": _Default("the counts of closed days fall once", factor=0.98, lasts=3650 * DAY),
}
"""The incidents by name, with what each does when nothing else is said."""

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": DAY, "w": 7 * DAY}


def parse(text: str, now: float) -> Incident:
    """Return the incident that `name[:key=value,...]` describes, with starts counted from `now`.

    Keys: sender, tag, esp, factor, start (`+2h`, `-3d`), for (`12h`). Raise ValueError that names the choices.
    """
    name, _, rest = text.partition(":")
    if name not in NAMES:
        raise ValueError(f"{name!r} is no incident; choose one of {', '.join(NAMES)}")
    default = NAMES[name]
    given = {"sender": default.sender, "tag": default.tag, "esp": default.esp}
    start, lasts, factor = now, default.lasts, default.factor
    for item in filter(None, rest.split(",")):
        key, _, value = item.partition("=")
        if key in given:
            given[key] = value
        elif key == "start":
            start = now + _seconds(value)
        elif key == "for":
            lasts = _seconds(value)
        elif key == "factor":
            factor = _factor(value)
        else:
            raise ValueError(f"{key!r} is no key of an incident; use sender, tag, esp, factor, start or for")
    return Incident(name, start, start + lasts, factor=factor, **given)


def hit_by(incidents: Iterable[Incident], names: tuple[str, ...], sender: str, tag: str, esp: str, at: float) -> float:
    """Return the product of the factors of those incidents that hit."""
    product = 1.0
    for incident in incidents:
        if incident.name in names and incident.hits(sender, tag, esp, at):
            product *= incident.factor
    return product


def _seconds(text: str) -> float:
    match = re.fullmatch(r"([+-]?\d+(?:\.\d+)?)([smhdw])", text)
    if match is None:
        raise ValueError(f"{text!r} is no time; write one such as 30m, +2h or -3d")
    return float(match[1]) * _UNITS[match[2]]


def _factor(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{text!r} is no factor; write a number such as 0.15") from None
