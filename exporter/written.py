"""The config as written: the schema, each mistake with its mend.

Messages name the offending value, except where it could be a secret.
"""

import re
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from exporter.checking import Misfit, Written
from exporter.matrix import FILTER_KEYS
from exporter.regions import REGIONS
from exporter.scalars import NAME, Duration, File, Flag, Name, duration, number, values, whole

OUR_LABELS = frozenset({"target", "query", *FILTER_KEYS, "window", "job", "instance", "le", "action", "reason"})
INLINE_SECRETS = ("access_key_id", "access_key_secret", "security_token")
NOT_INLINE = {
    key: f"secrets do not belong in the config; write {key}_file with the path of a file that holds it"
    for key in INLINE_SECRETS
}
CREDENTIAL_TYPES = ("default", "ram_role_arn", "oidc_role_arn", "ecs_ram_role", "credentials_uri")
EXAMPLES = {
    "name": "a name such as `name: marketing`",
    "targets": "a list with at least one target, as in config.example.yaml",
    "queries": "a list with at least one query, such as `queries: [{name: account}]`",
}


class Refresh(Written):
    recent: Duration = 3600.0
    older: Duration = 43_200.0


class Top(Written):
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
        seconds = duration(value)
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
            raise Misfit(
                "stale_after",
                f"{self.stale_after:g}s is not longer than the poll interval of {self.poll_interval:g}s; "
                "write three times the poll interval, or leave it out",
            )
        return self


class Credentials(Written):
    """Where the credentials come from."""

    refused = NOT_INLINE

    type: str | None = None
    access_key_id_file: File | None = None
    access_key_secret_file: File | None = None
    security_token_file: File | None = None
    role_arn: str | None = None
    role_session_name: str | None = None
    policy: str | None = None
    oidc_provider_arn: str | None = None
    oidc_token_file: str | None = None
    role_name: str | None = None
    credentials_uri: str | None = None

    REQUIRED: ClassVar[dict[str, tuple[str, ...]]] = {
        "files": ("access_key_id_file", "access_key_secret_file"),
        "ram_role_arn": ("access_key_id_file", "access_key_secret_file", "role_arn"),
        "oidc_role_arn": ("role_arn", "oidc_provider_arn", "oidc_token_file"),
        "credentials_uri": ("credentials_uri",),
    }
    OPTIONAL: ClassVar[dict[str, tuple[str, ...]]] = {
        "files": ("security_token_file",),
        "ram_role_arn": ("security_token_file", "role_session_name", "policy"),
        "oidc_role_arn": ("role_session_name", "policy"),
        "ecs_ram_role": ("role_name",),
    }

    @field_validator("type", mode="before")
    @classmethod
    def _known_type(cls, value: object) -> object:
        if value not in CREDENTIAL_TYPES:
            raise ValueError(
                f"{value!r} is not a type of credentials; write one of {', '.join(CREDENTIAL_TYPES)}, or leave it out"
            )
        return value

    @classmethod
    def misfits(cls, item: dict[str, Any]) -> Iterator[tuple[str, str]]:
        given = {key for key in item if key in cls.model_fields and key != "type"}
        kind = str(item.get("type") or ("files" if given else "environment"))
        needed = cls.REQUIRED.get(kind, ())
        for key in needed:
            if key not in given:
                yield key, f"is missing; credentials of type {kind} need {', '.join(needed)}"
        for key in sorted(given - {*needed, *cls.OPTIONAL.get(kind, ())}):
            yield key, f"has no meaning for credentials of type {kind}; remove it"

    @property
    def kind(self) -> str:
        """The type, which files imply and nothing makes the environment's."""
        if self.type is not None:
            return self.type
        return "files" if self.model_fields_set else "environment"

    @property
    def options(self) -> dict[str, str]:
        """What the types of the extra `ram` were given."""
        return {
            key: value
            for key in (
                "role_arn",
                "role_session_name",
                "policy",
                "oidc_provider_arn",
                "oidc_token_file",
                "role_name",
                "credentials_uri",
            )
            if (value := getattr(self, key)) is not None
        }


class Target(Written):
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
        parts = _split(value)
        if parts is None:
            raise ValueError(f"{value!r} is not an endpoint; write https://host or https://host:port")
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
    def misfits(cls, item: dict[str, Any]) -> Iterator[tuple[str, str]]:
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


def _split(value: object) -> str | None:
    """Return `scheme://host[:port]`, None for anything else."""
    try:
        parts = urlsplit(value if isinstance(value, str) else "")
        port = parts.port
    except ValueError:
        return None
    plain = parts.path in ("", "/") and not (parts.query or parts.fragment or parts.username or parts.password)
    if parts.scheme not in ("http", "https") or not parts.hostname or not plain or re.search(r"\s", str(value)):
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{port}" if port is not None else "")
