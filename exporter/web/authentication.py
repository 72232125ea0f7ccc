"""Authorises requests: passwords, client certificates, the rate limit; sets the headers of responses."""

import base64
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from exporter.clock import Clock
from exporter.web.connection_limit import client_address
from exporter.web.passwords import Busy, Passwords
from exporter.web.webconfig import RateLimit, WebConfig

OPEN_PATHS = frozenset({"/-/healthy", "/-/ready"})
"""For probes, which have no password."""
REALM = 'Basic realm="directmail-exporter", charset="UTF-8"'


class _Bucket:
    """Tokens: one more every interval, never more than the burst."""

    def __init__(self, limit: RateLimit, clock: Clock) -> None:
        self._limit = limit
        self._clock = clock
        self._tokens = float(limit.burst)
        self._at = clock.monotonic()

    def take(self) -> bool:
        now = self._clock.monotonic()
        self._tokens = min(self._limit.burst, self._tokens + (now - self._at) / self._limit.interval)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Security:
    """The current web configuration, as a middleware."""

    def __init__(self, settings: WebConfig, clock: Clock) -> None:
        self._clock = clock
        self.use(settings)

    def use(self, settings: WebConfig) -> None:
        """Use other settings from now on. Passwords that wait to be checked are checked against the old ones."""
        self._settings = settings
        self._passwords = Passwords(settings.users)
        self._bucket = _Bucket(settings.rate_limit, self._clock) if settings.rate_limit else None

    def close(self) -> None:
        """Check no more passwords."""
        self._passwords.close()

    @property
    def settings(self) -> WebConfig:
        """The current settings."""
        return self._settings

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Pass the request on, or return the reason for rejecting it."""
        if not self._has_allowed_certificate(request):
            return _rejection(403, "the client certificate has no allowed name\n")
        if request.path in OPEN_PATHS:
            return await handler(request)
        if self._bucket is not None and not self._bucket.take():
            return _rejection(429, "too many requests; retry later\n", {"Retry-After": "1"})
        try:
            if self._settings.users and not await self._has_valid_password(request):
                return _rejection(401, "user and password required\n", {"WWW-Authenticate": REALM})
        except Busy:
            return _rejection(503, "too many password checks in progress; retry later\n", {"Retry-After": "1"})
        return await handler(request)

    async def set_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        """Set the configured headers; a blank one removes ours."""
        for name, value in self._settings.headers.items():
            if value:
                response.headers[name] = value
            else:
                response.headers.popall(name, None)

    def _has_allowed_certificate(self, request: web.Request) -> bool:
        allowed = self._settings.allowed_sans
        if not allowed:
            return True
        return not allowed.isdisjoint(names_of(request.get_extra_info("peercert") or {}))

    async def _has_valid_password(self, request: web.Request) -> bool:
        given = _credentials(request.headers.get("Authorization", ""))
        return given is not None and await self._passwords.right(
            *given, client_address(request.get_extra_info("peername"))
        )


def names_of(certificate: Mapping[str, Any]) -> set[str]:
    """Return a certificate's names for its subject, addresses as Go writes them: short and in small letters."""
    return {
        str(ip_address(value)) if kind == "IP Address" else value
        for kind, value in certificate.get("subjectAltName", ())
        if isinstance(value, str)
    }


def _credentials(header: str) -> tuple[str, str] | None:
    """Return user and password of an Authorization header, None where it has none (RFC 7617)."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except ValueError:
        return None
    return (user, password) if colon else None


def _rejection(status: int, text: str, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(status=status, text=text, headers=headers)
