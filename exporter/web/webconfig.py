"""`--web.config.file`: TLS, passwords, headers and rate limit, in the format of Prometheus' exporter-toolkit.

The toolkit's docs/web-configuration.md is the specification. What this server cannot do is rejected, never ignored;
`http2: true` is accepted, because clients then agree on HTTP/1.1. No message repeats a key or a password hash.
"""

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import Field, field_validator

from exporter.config import yamlfile
from exporter.config.checking import ConfigError, Conflict, InvalidValue, Problem, Schema, check, shown
from exporter.config.durations import LONGEST
from exporter.config.scalars import Flag, whole
from exporter.web import tls
from exporter.web.tls import TlsServerConfig

BCRYPT = re.compile(r"\$2[aby]\$(0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{53}")
HIGHEST_COST = 15
"""Of a bcrypt hash, the binary logarithm of its rounds: a check takes some 2 s with 15, and 16 s with 18."""
GO_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
GO_DURATION = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s|us|µs|ns)", re.ASCII)
HEADERS = {
    "Strict-Transport-Security": None,
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": None,
    "Content-Security-Policy": None,
}
"""The headers that the toolkit lets a file set, and their values where only some are allowed."""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A token bucket: one request every `interval` seconds, `burst` of them at once."""

    interval: float
    burst: int


@dataclass(frozen=True, slots=True, repr=False)
class WebConfig:
    """How the web side is protected."""

    tls: ssl.SSLContext | None = None
    allowed_sans: frozenset[str] = frozenset()
    """Subject alternative names of which a client's certificate must have one; empty allows all."""
    users: Mapping[str, bytes] = field(default_factory=dict)
    """bcrypt hashes by user; empty means no password."""
    headers: Mapping[str, str] = field(default_factory=dict)
    rate_limit: RateLimit | None = None


class _HttpServerConfig(Schema):
    http2: Flag = True
    headers: dict[str, str] = Field(default_factory=dict)

    @field_validator("headers", mode="before")
    @classmethod
    def _allowed_headers(cls, value: object) -> object:
        if not isinstance(value, dict):
            raise ValueError(f"{value!r} is not a set of headers; write a line such as X-Frame-Options: deny")
        value = {name: str(text) if type(text) is int else text for name, text in value.items()}
        for name, text in value.items():
            if name not in HEADERS:
                raise ValueError(f"{name!r} cannot be set here; the headers are {', '.join(HEADERS)}")
            if not isinstance(text, str) or re.search(r"[\r\n]", text):
                raise Conflict(name, f"{shown(text)} is not one line of text; quote it")
            allowed = HEADERS[name]
            if text and allowed and text not in allowed:
                raise Conflict(name, f"{text!r} is not a value of this header; write {' or '.join(allowed)}")
        return value


class _RateLimit(Schema):
    interval: float = 0.0
    burst: Annotated[int, whole(0, 1_000_000)] = 0

    @field_validator("interval", mode="before")
    @classmethod
    def _off_or_time(cls, value: object) -> float:
        return 0.0 if value in (0, "0", "0s") else _go_duration(value)


class _Document(Schema):
    secret = ("key", "basic_auth_users")

    tls_server_config: TlsServerConfig | None = None
    http_server_config: _HttpServerConfig = _HttpServerConfig()
    basic_auth_users: dict[str, bytes] = Field(default_factory=dict)
    rate_limit: _RateLimit = _RateLimit()

    @field_validator("basic_auth_users", mode="before")
    @classmethod
    def _hashed(cls, value: object) -> object:
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise ValueError("is not a set of users; write a line such as alice: $2y$10$..., made by htpasswd -nBC 10")
        for user, hashed in value.items():
            if not user or ":" in user:
                raise ValueError(f"{user!r} is not a valid user name; write one without a colon")
            if not isinstance(hashed, str) or not BCRYPT.fullmatch(hashed):
                raise Conflict(user, "is not a bcrypt hash; make one with htpasswd -nBC 10, and quote it")
            if (cost := int(hashed[4:6])) > HIGHEST_COST:
                text = f"has a bcrypt cost of {cost}, which makes each login slow; the highest is {HIGHEST_COST}"
                raise Conflict(user, f"{text}; make a hash with htpasswd -nBC 10")
        return {user: hashed.encode() for user, hashed in value.items()}


def read(path: Path) -> WebConfig:
    """Return the web configuration in the file. Raise ConfigError with every mistake."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "the file is not UTF-8"
        raise ConfigError(str(path), (Problem("file", f"cannot be read: {why}"),)) from None
    try:
        document = yamlfile.load(text)
    except yamlfile.NotYaml as error:
        raise ConfigError(str(path), (Problem(error.place, error.text),)) from None
    problems: list[Problem] = []
    written = None
    if isinstance(document, dict) or document is None:
        written = check(_Document, _given(document or {}), "", problems, source=document)
    else:
        problems.append(Problem("file", "is empty; write tls_server_config or basic_auth_users"))
    if written is None:
        raise ConfigError(str(path), tuple(problems))
    context = None
    if written.tls_server_config is not None and written.tls_server_config.is_enabled:
        try:
            context = tls.context(written.tls_server_config, path.parent)
        except Conflict as conflict:
            place = f"tls_server_config.{conflict.key}"
            raise ConfigError(str(path), (Problem(place, str(conflict)),)) from None
    limit = written.rate_limit
    return WebConfig(
        context,
        frozenset(written.tls_server_config.client_allowed_sans if written.tls_server_config else ()),
        MappingProxyType(written.basic_auth_users),
        MappingProxyType(written.http_server_config.headers),
        RateLimit(limit.interval, limit.burst) if limit.interval else None,
    )


def _given(block: dict[str, Any], *, whole: bool = False) -> dict[str, Any]:
    """Return a block without its empty keys, as the toolkit reads it; users must have a hash."""
    return {
        key: _given(value, whole=key == "basic_auth_users") if isinstance(value, dict) else value
        for key, value in block.items()
        if whole or value is not None
    }


def _go_duration(value: object) -> float:
    """Return a duration as Go writes it, such as 1m30s or 1.5s, in seconds. Raise ValueError with the fix."""
    parts = GO_DURATION.findall(value) if isinstance(value, str) else []
    seconds = sum(float(number) * GO_UNITS[unit] for number, unit in parts)
    if not 0 < seconds <= LONGEST or "".join(number + unit for number, unit in parts) != value:
        raise InvalidValue(value, "is not a duration; write one such as 500ms, 1s or 1m30s")
    return seconds


def files(path: Path) -> tuple[Path, ...]:
    """Return the files whose content decides what `read` returns: the file itself and those that it names."""
    try:
        document = yamlfile.load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yamlfile.NotYaml):
        return (path,)
    settings = document.get("tls_server_config") if isinstance(document, dict) else None
    named = [settings.get(key) for key in tls.FILE_KEYS] if isinstance(settings, dict) else []
    return (path, *(path.parent / name for name in named if isinstance(name, str)))
