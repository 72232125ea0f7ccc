"""The demo account: its senders, mail and providers, and the behaviour of readers.

Figures: published benchmarks of mail marketing where there are any, else assumptions within their bounds.
"""

from dataclasses import dataclass
from typing import NamedTuple

from exporter.clock import HOUR


@dataclass(frozen=True, slots=True)
class MailboxProvider:
    """A mailbox provider: its share of a list, and what its mailboxes do."""

    share: float
    human: float
    """Multiplier of human opens."""
    machine: float
    """Chance that images are loaded by a machine (mail privacy protection)."""
    scanner: float
    """Chance that a link scanner visits."""
    failed: float
    """Multiplier of the mail that fails."""
    invalid: float
    """Multiplier of the addresses that do not exist."""


PROVIDERS = {
    "gmail.com": MailboxProvider(0.48, 1.0, 0.12, 0.0005, 0.85, 0.90),
    "yahoo.com": MailboxProvider(0.16, 0.78, 0.18, 0.0005, 1.20, 1.10),
    "outlook.com": MailboxProvider(0.14, 0.80, 0.06, 0.006, 1.15, 0.90),
    "icloud.com": MailboxProvider(0.05, 1.0, 0.62, 0.0002, 0.90, 0.85),
    "others": MailboxProvider(0.17, 0.90, 0.08, 0.015, 1.10, 1.20),
}


@dataclass(frozen=True, slots=True)
class Latency:
    """Log-normal time from sending to the event: median in hours, sigma of the logarithm."""

    median: float
    sigma: float


class Infrastructure(NamedTuple):
    """What a stream is sent through."""

    dedicated_ip: str
    dedicated_ip_pool_id: str
    config_set_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """One kind of mail of one sender."""

    sender: str
    tag: str
    kind: str
    """`steady`, `drip` or `campaign`."""
    volume: float
    """Mails a day, or a campaign's."""
    opens: float
    """Chance that a person opens."""
    clicks: float
    """Chance that somebody who opened clicks."""
    again: float
    """Further opens per opener."""
    latency: Latency
    failed: float
    """Part of the requested mail that providers reject."""
    invalid: float
    """Part of the requested mail whose address does not exist."""
    through: Infrastructure
    schedule: tuple[tuple[int, int, tuple[float, ...]], ...] = ()
    """Campaigns: weekday (Monday is 0), hour, and the parts sent in that hour and the next ones."""
    skipped: float = 0.0
    """Chance that a campaign does not take place."""

    @property
    def domain(self) -> str:
        """The sender's domain."""
        return domain_of(self.sender)

    @property
    def noise(self) -> float:
        """Sigma of the logit of the open rate from one mailing to the next."""
        return 0.18 if self.kind == "campaign" else 0.05


def domain_of(sender: str) -> str:
    """Return the domain of a sender's address."""
    return sender.rpartition("@")[2]


_SYSTEM = Infrastructure("192.0.2.10", "pool-system", "set-system")
_MARKETING = Infrastructure("192.0.2.20", "pool-marketing", "set-marketing")
_NOTIFY, _NEWS, _PRODUCT = "no-reply@notify.example.com", "news@mail.example.com", "product@mail.example.com"

STREAMS = (
    Stream(
        sender=_NOTIFY,
        tag="password-reset",
        kind="steady",
        volume=1500,
        opens=0.62,
        clicks=0.62,
        again=0.55,
        latency=Latency(0.25, 1.6),
        failed=0.0125,
        invalid=0.0040,
        through=_SYSTEM,
    ),
    Stream(
        sender=_NOTIFY,
        tag="receipt",
        kind="steady",
        volume=6000,
        opens=0.48,
        clicks=0.10,
        again=0.70,
        latency=Latency(1.2, 1.9),
        failed=0.0125,
        invalid=0.0035,
        through=_SYSTEM,
    ),
    Stream(
        sender=_NOTIFY,
        tag="signup",
        kind="steady",
        volume=2200,
        opens=0.55,
        clicks=0.45,
        again=0.35,
        latency=Latency(0.35, 1.7),
        failed=0.0150,
        invalid=0.0075,
        through=_SYSTEM,
    ),
    Stream(
        sender=_NEWS,
        tag="weekly-newsletter",
        kind="campaign",
        volume=90_000,
        opens=0.19,
        clicks=0.085,
        again=0.45,
        latency=Latency(9, 2.0),
        failed=0.0135,
        invalid=0.0030,
        through=_MARKETING,
        schedule=((1, 10, (0.6, 0.4)),),
    ),
    Stream(
        sender=_NEWS,
        tag="promo",
        kind="campaign",
        volume=60_000,
        opens=0.15,
        clicks=0.10,
        again=0.40,
        latency=Latency(9, 2.0),
        failed=0.0155,
        invalid=0.0035,
        through=_MARKETING,
        schedule=((3, 9, (0.4, 0.35, 0.25)), (5, 9, (0.4, 0.35, 0.25))),
        skipped=0.12,
    ),
    Stream(
        sender=_PRODUCT,
        tag="onboarding",
        kind="drip",
        volume=2500,
        opens=0.32,
        clicks=0.14,
        again=0.50,
        latency=Latency(4, 2.0),
        failed=0.0145,
        invalid=0.0060,
        through=_MARKETING,
    ),
)

MACHINE_LATENCY = Latency(2, 1.3)
REPEAT_LATENCY = Latency(14, 1.9)
EXTRA_CLICKS = 0.28
"""Further clicks per clicker."""

ACTIVITY_BY_HOUR = (
    *(0.35, 0.2, 0.12, 0.1, 0.12, 0.25, 0.6, 1.1, 1.5, 1.6, 1.55, 1.4),
    *(1.4, 1.3, 1.25, 1.2, 1.2, 1.25, 1.3, 1.35, 1.4, 1.3, 1.0, 0.65),
)
ACTIVITY_BY_WEEKDAY = (1.05, 1.05, 1.05, 1.05, 1.0, 0.88, 0.92)
VOLUME_BY_HOUR = (
    *(0.3, 0.2, 0.12, 0.1, 0.1, 0.2, 0.5, 0.9, 1.3, 1.6, 1.7, 1.6),
    *(1.4, 1.4, 1.4, 1.3, 1.3, 1.3, 1.3, 1.4, 1.5, 1.3, 0.9, 0.55),
)
VOLUME_BY_WEEKDAY = (1.08, 1.08, 1.06, 1.06, 1.02, 0.84, 0.86)
DRIP_WEEKEND = 0.85
SWING, SWING_DAYS = 0.1, 180
"""The volume swings slowly, by a third of a percent a day at its steepest."""
DAY_NOISE = 0.08
PLAIN = 0.003
"""Part of the mail that is delivered as text alone, which cannot be tracked."""
RETRIED = 2 * HOUR
"""Seconds after which mail that is rejected for now has failed."""
GIVEN_UP = 0.5
"""Part of the mail that fails which is tried again first."""
HOLIDAY_ACTIVITY = 0.7
DAILY_QUOTA, MONTHLY_QUOTA = 300_000, 4_000_000
DAILY_FREE, FREE = 20_000, 2_000_000
"""Mails without charge: of a day, and of a month; more than any real account has, so that it can be seen to fall."""
QUOTA_LEVEL, MAX_QUOTA_LEVEL = 7, 10
"""The reputation."""


def click_weight(stream: Stream, age: float) -> float:
    """Return how much likelier than on average an opener of that age (hours) clicks: early ones do, but for receipts
    and the like, which are opened because of what they are.
    """
    if stream.kind == "steady":
        return 1.0
    if age < 1:
        return 1.7
    return 1.0 if age < 3 else 0.75
