"""The config as written: the schema, each mistake with its mend.

Messages name the offending value, except where it could be a secret.
"""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from exporter.config.checking import Conflict, Schema
from exporter.config.durations import parse_duration
from exporter.config.queries import FILTER_KEYS
from exporter.config.regions import REGIONS
from exporter.config.scalars import (
    NAME,
    NOT_INLINE,
    Duration,
    File,
    Flag,
    Name,
    base_url,
    number,
    shown,
    values,
    whole,
)

OUR_LABELS = frozenset({"target", "query", *FILTER_KEYS, "window", "job", "instance", "le", "action", "reason"})
EXAMPLES = {
    "name": "a name such as `name: marketing`",
    "targets": "a list with at least one target, as in config.example.yaml",
    "queries": "a list with at least one query, such as `queries: [{name: account}]`",
}


class Refresh(Schema):
    recent: Duration = 3600.0
    older: Duration = 43_200.0


class Top(Schema):
    """The settings outside the targets."""

    examples = EXAMPLES

    poll_interval: float | None = None
    windows: tuple[str, ...] = ("today", "yesterday", "7d", "30d")
    refresh: Refresh = Refresh()
    stale_after: Duration | None = None
    state_file: File | None = None
    max_series: Annotated[int, whole(1, 10_000_000)] = 100_000
    discovery_interval: Duration = 3600.0
    reported_rates: Flag = False

    @field_validator("poll_interval", mode="before")
    @classmethod
    def _auto_or_a_second(cls, value: object) -> float | None:
        if value == "auto":
            return None
        if value is None:
            raise ValueError("null is not a duration; write auto, or one such as 5m")
        seconds = parse_duration(value)
        if seconds < 1:
            raise ValueError(f"{value!r} is too short; write 1s or more, or auto")
        return seconds

    @field_validator("windows", mode="before")
    @classmethod
    def _known_windows(cls, value: object) -> tuple[str, ...]:
        windows = values(value)
        for window in windows:
            days = re.fullmatch(r"([1-9]\d?)d", window)
            if window not in ("today", "yesterday") and not (days and int(days[1]) <= 30):
                raise ValueError(
                    f"{window!r} is not a window; write today, yesterday, or 1d to 30d for the last closed days"
                )
        return windows

    @field_validator("discovery_interval", mode="after")
    @classmethod
    def _a_minute(cls, value: float) -> float:
        if value < 60:
            raise ValueError(f"{value:g}s is too short for lists that hardly change; write 1m or more, such as 1h")
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
    refused = NOT_INLINE

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
        if value not in REGIONS:
            raise ValueError(
                f"{value!r} is not a region of Direct Mail; write one of {', '.join(REGIONS)}, or endpoint: https://host"
            )
        return value

    @field_validator("endpoint", mode="before")
    @classmethod
    def _plain_url(cls, value: object) -> str:
        parts = base_url(value)
        if parts is None:
            raise ValueError(f"{shown(value)} is not an endpoint; write https://host or https://host:port")
        return parts

    @field_validator("timezone", mode="before")
    @classmethod
    def _known_zone(cls, value: object) -> ZoneInfo:
        try:
            return ZoneInfo(value if isinstance(value, str) else "")
        except (ZoneInfoNotFoundError, ValueError, OSError):
            text = f"{value!r} is not a time zone; write a name such as Asia/Shanghai, Europe/Berlin or UTC"
            raise ValueError(text) from None

    @field_validator("labels", mode="before")
    @classmethod
    def _free_labels(cls, value: object) -> object:
        if not isinstance(value, dict):
            raise ValueError(f"{value!r} is not a set of labels; write labels: {{team: growth}}")
        for label, text in value.items():
            if not NAME.fullmatch(label) or label.startswith("__"):
                raise ValueError(
                    f"{label!r} is not a label name; use letters, digits and _, not starting with a digit or __"
                )
            if label in OUR_LABELS:
                raise ValueError(f"{label!r} is a label that the exporter or Prometheus sets; choose another name")
            if not isinstance(text, str):
                raise ValueError(f"{text!r} is not text; quote it: {str(text)!r}")
        return value

    @classmethod
    def conflicts(cls, item: dict[str, Any]) -> Iterator[tuple[str, str]]:
        if ("region" in item) == ("endpoint" in item):
            state = "stand both" if "region" in item else "are both missing"
            yield (
                "region",
                f"region and endpoint {state}; write region: ap-southeast-1, or endpoint: https://host",
            )
        if item.get("vpc") is True and "region" not in item:
            yield "vpc", "true goes with region only; remove it, the endpoint says all"

    @property
    def url(self) -> str:
        """The endpoint, resolved."""
        if self.region is None:
            return self.endpoint or ""
        return f"https://{REGIONS[self.region].vpc if self.vpc else REGIONS[self.region].public}"
