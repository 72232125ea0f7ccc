"""The credentials block as written: which keys go with which type, each mistake with its fix."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, field_validator

from exporter.config import addresses
from exporter.config.checking import InvalidValue, Schema
from exporter.config.durations import parse_duration
from exporter.config.scalars import NOT_INLINE, File

TYPES = ("default", "ram_role_arn", "oidc_role_arn", "ecs_ram_role", "credentials_uri")
SHORTEST_SESSION, LONGEST_SESSION = 900.0, 43_200.0
"""Session seconds that STS allows (AssumeRole's documentation); the role's own setting may be shorter."""
_KEY = ("access_key_id_file", "access_key_secret_file")
KEY_FILES = (*_KEY, "security_token_file")
_SESSION = ("role_session_name", "session_duration", "policy", "sts_endpoint")


def _arn(kind: str) -> BeforeValidator:
    """Return the check for the ARN of a RAM `role` or `oidc-provider`."""

    def check(value: object) -> str:
        if isinstance(value, str) and re.fullmatch(rf"acs:ram::\d+:{kind}/\S+", value, re.ASCII):
            return value
        raise InvalidValue(
            value, f"is not the ARN of one; write it as the RAM console shows it, acs:ram::...:{kind}/..."
        )

    return BeforeValidator(check)


def _session(value: object) -> float:
    seconds = parse_duration(value)
    if not SHORTEST_SESSION <= seconds <= LONGEST_SESSION:
        raise InvalidValue(value, "is not a valid session; write 15m to 12h, at most what the role allows")
    return seconds


def _sts(value: object) -> str:
    address = addresses.parse(f"https://{value}" if isinstance(value, str) and "://" not in value else value)
    if address is None or not address.is_bare:
        if addresses.may_hold_secrets(value):
            raise ValueError("not an address; write a host such as sts.ap-southeast-1.aliyuncs.com")
        raise InvalidValue(value, "is not an address; write a host such as sts.ap-southeast-1.aliyuncs.com")
    if address.is_readable_by_others:
        raise InvalidValue(
            value, f"sends the credentials unencrypted; write {address.host} (http is accepted for loopback only)"
        )
    return str(address)


def _uri(value: object) -> str:
    if isinstance(value, str) and addresses.parse(value) is not None:
        return value
    raise ValueError("not an address; write one such as http://127.0.0.1:9000/credentials")  # may hold a token


class Credentials(Schema):
    """Where the credentials come from."""

    rejected = NOT_INLINE

    type: str | None = None
    access_key_id_file: File | None = None
    access_key_secret_file: File | None = None
    security_token_file: File | None = None
    role_arn: Annotated[str, _arn("role")] | None = None
    role_session_name: str | None = None
    session_duration: Annotated[float, BeforeValidator(_session)] | None = None
    policy: str | None = None
    external_id: str | None = None
    sts_endpoint: Annotated[str, BeforeValidator(_sts)] | None = None
    oidc_provider_arn: Annotated[str, _arn("oidc-provider")] | None = None
    oidc_token_file: str | None = None
    role_name: str | None = None
    credentials_uri: Annotated[str, BeforeValidator(_uri)] | None = None

    REQUIRED: ClassVar[dict[str, tuple[str, ...]]] = {
        "files": _KEY,
        "ram_role_arn": ("role_arn",),
        "credentials_uri": ("credentials_uri",),
    }
    OPTIONAL: ClassVar[dict[str, tuple[str, ...]]] = {
        "files": ("security_token_file",),
        "ram_role_arn": (*KEY_FILES, "external_id", *_SESSION),
        # The cluster's webhook sets the missing ones in the environment (RRSA).
        "oidc_role_arn": ("role_arn", "oidc_provider_arn", "oidc_token_file", *_SESSION),
        "ecs_ram_role": ("role_name",),
    }
    OPTIONS: ClassVar[tuple[str, ...]] = (
        *("role_arn", "external_id", *_SESSION),
        *("oidc_provider_arn", "oidc_token_file", "role_name", "credentials_uri"),
    )
    """What the types of the extra `ram` may be given."""

    @field_validator("type", mode="before")
    @classmethod
    def _known_type(cls, value: object) -> object:
        if value not in TYPES:
            raise InvalidValue(value, f"is not a type of credentials; write one of {', '.join(TYPES)}, or leave it out")
        return value

    @classmethod
    def conflicts(cls, item: dict[str, Any]) -> Iterator[tuple[str, str]]:
        given = {key for key in item if key in cls.model_fields and key != "type"}
        kind = item.get("type") or ("files" if given else "environment")
        if kind not in (*TYPES, "files", "environment"):
            return
        needed = cls.REQUIRED.get(kind, ())
        if kind == "ram_role_arn" and not given.isdisjoint(KEY_FILES):
            needed = (*needed, *_KEY)
        for key in needed:
            if key not in given:
                yield key, f"is missing; credentials of type {kind} need {', '.join(needed)}"
        for key in sorted(given - {*needed, *cls.OPTIONAL.get(kind, ())}):
            yield key, f"does not apply to credentials of type {kind}; remove it"

    @property
    def kind(self) -> str:
        """The type; by default `files` where key files are named, else `environment`."""
        if self.type is not None:
            return self.type
        return "files" if self.model_fields_set else "environment"

    @property
    def options(self) -> dict[str, str]:
        """What the types of the extra `ram` were given, durations in seconds."""
        given = {key: value for key in self.OPTIONS if (value := getattr(self, key)) is not None}
        return {key: f"{value:.0f}" if isinstance(value, float) else value for key, value in given.items()}
