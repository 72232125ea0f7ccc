"""The config as written: the schema, each mistake with its fix.

Messages name the offending value, except where it could be a secret.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BeforeValidator, Field, field_validator, model_validator

from exporter.clock import DAY
from exporter.config import addresses
from exporter.config.checking import Conflict, InvalidValue, Schema, each, not_text
from exporter.config.durations import guessed, parse_duration
from exporter.config.queries import FILTER_KEYS
from exporter.config.regions import REGIONS
from exporter.config.scalars import NOT_INLINE, Duration, File, Flag, Name, number, several, whole

LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
OUR_LABELS = frozenset(
    {
        *("target", "query", *FILTER_KEYS, "window", "statistic", "action", "reason", "state", "check"),
        *("job", "instance", "le"),
    }
)
"""Labels that no constant label may replace: the exporter's and Prometheus' own."""
EXAMPLES = {
    "name": "a name such as `name: marketing`",
    "targets": "a list with at least one target, as in config.example.yaml",
    "queries": "a list with at least one query, such as `queries: [{name: account}]`",
}


def _auto_or_a_second(value: object) -> float | None:
    if value == "auto":
        return None
    seconds = parse_duration(value)
    if seconds < 1:
        raise InvalidValue(value, "is too short; write 1s or more, or auto")
    return seconds


def window(value: object) -> str:
    """Return the name of a window. Raise InvalidValue with the fix."""
    if isinstance(value, str):
        days = re.fullmatch(r"([1-9]\d?)d", value, re.ASCII)
        if value in ("today", "yesterday") or (days and int(days[1]) <= 30):
            return value
    meant = guessed(value) / DAY
    write = (
        f"write {meant:.0f}d"
        if meant.is_integer() and 1 <= meant <= 30
        else "write today, yesterday, or 1d to 30d for the last closed days"
    )
    raise InvalidValue(value, f"is not a window; {write}")


def _label(pair: tuple[str, object]) -> tuple[str, str]:
    name, value = pair
    if not LABEL.fullmatch(name) or name.startswith("__"):
        raise InvalidValue(name, "is not a label name; use letters, digits and _, not starting with a digit or __")
    if name in OUR_LABELS:
        raise InvalidValue(name, "is a label that the exporter or Prometheus sets; choose another name")
    if not isinstance(value, str):
        raise not_text(value)
    return name, value


class Refresh(Schema):
    recent: Duration = 3600.0
    older: Duration = 43_200.0


class Top(Schema):
    """The settings outside the targets."""

    examples: ClassVar[dict[str, str]] = {**EXAMPLES, "poll_interval": "auto, or a duration such as 5m"}

    poll_interval: Annotated[float | None, BeforeValidator(_auto_or_a_second)] = None
    windows: tuple[str, ...] = ("today", "yesterday", "7d", "30d")
    refresh: Refresh = Refresh()
    stale_after: Duration | None = None
    state_file: File | None = None
    max_series: Annotated[int, whole(1, 10_000_000)] = 100_000
    discovery_interval: Duration = 3600.0
    account_interval: Duration | None = None
    domains_interval: Duration | None = None
    reported_rates: Flag = False

    @field_validator("windows", mode="before")
    @classmethod
    def _known_windows(cls, value: object) -> tuple[str, ...]:
        return several(value, window)

    @field_validator("discovery_interval", "account_interval", "domains_interval", mode="after")
    @classmethod
    def _a_minute(cls, value: float | None) -> float | None:
        if value is not None and value < 60:
            raise ValueError(f"{value:g}s is too short; write 1m or more, such as 1h")
        return value

    @model_validator(mode="after")
    def _stale_after_a_poll(self) -> Self:
        if self.stale_after is not None and self.poll_interval is not None and self.stale_after <= self.poll_interval:
            raise Conflict(
                "stale_after",
                f"{self.stale_after:g}s is not longer than the poll interval of {self.poll_interval:g}s; "
                "write three times the poll interval, or leave it out",
            )
        return self


class Target(Schema):
    """A target without its queries."""

    examples = EXAMPLES
    rejected = NOT_INLINE

    name: Name
    region: str | None = None
    endpoint: str | None = None
    vpc: Flag = False
    timezone: ZoneInfo = Field(default_factory=lambda: ZoneInfo("Asia/Shanghai"))
    rate_limit_per_minute: Annotated[float, number(0.1, 100_000)] = 30.0
    timeout: Duration = 10.0
    page_size: Annotated[int, whole(1, 1000)] = 100
    labels: dict[str, str] = Field(default_factory=dict)

    @field_validator("region", mode="before")
    @classmethod
    def _known_region(cls, value: object) -> object:
        if not isinstance(value, str) or value not in REGIONS:
            raise InvalidValue(
                value, f"is not a region of Direct Mail; write one of {', '.join(REGIONS)}, or endpoint: https://host"
            )
        return value

    @field_validator("endpoint", mode="before")
    @classmethod
    def _plain_url(cls, value: object) -> str:
        address = addresses.parse(value)
        if address is not None and address.is_bare and not address.is_readable_by_others:
            return str(address)
        if address is not None and address.is_bare:
            secure = replace(address, scheme="https")
            raise InvalidValue(
                value, f"sends everything unencrypted; write {secure} (http is accepted for loopback only)"
            )
        if addresses.may_hold_secrets(value):
            raise ValueError("is an address with a user or parameters; write https://host or https://host:port")
        raise InvalidValue(value, "is not an endpoint; write https://host or https://host:port")

    @field_validator("timezone", mode="before")
    @classmethod
    def _known_zone(cls, value: object) -> ZoneInfo:
        try:
            return ZoneInfo(value if isinstance(value, str) else "")
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise InvalidValue(
                value, "is not a time zone; write a name such as Asia/Shanghai, Europe/Berlin or UTC"
            ) from None

    @field_validator("labels", mode="before")
    @classmethod
    def _free_labels(cls, value: object) -> object:
        if not isinstance(value, dict):
            raise InvalidValue(value, "is not a set of labels; write labels: {team: growth}")
        return dict(each(((name, (name, item)) for name, item in value.items()), _label))

    @classmethod
    def conflicts(cls, item: dict[str, Any]) -> Iterator[tuple[str, str]]:
        if ("region" in item) == ("endpoint" in item):
            problem = (
                "set either region or endpoint, not both"
                if "region" in item
                else "is missing; write region: ap-southeast-1, or endpoint: https://host"
            )
            yield "region", problem
        if item.get("vpc") is True and "region" not in item:
            yield "vpc", "true needs region; remove it, or write region instead of endpoint"

    @property
    def url(self) -> str:
        """The endpoint, resolved."""
        if self.region is None:
            return self.endpoint or ""
        return f"https://{REGIONS[self.region].vpc if self.vpc else REGIONS[self.region].public}"
