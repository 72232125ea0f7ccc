"""Who may ask: passwords, client certificates, the rate limit; and the headers that answers carry.

bcrypt is slow on purpose: it runs in one thread beside the loop, and its verdicts are kept. A user who does not exist
costs as much as one who does.
"""

import asyncio
import base64
import hashlib
import hmac
import os
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import bcrypt
from aiohttp import web
from aiohttp.typedefs import Handler

from exporter.clock import Clock
from exporter.web.webconfig import RateLimit, WebConfig

OPEN_PATHS = frozenset({"/-/healthy", "/-/ready"})
"""For probes, which know no password."""
KEPT_VERDICTS = 100
LONGEST_QUEUE = 20
"""Passwords that wait to be checked at the same time; more are told to come back."""
LONGEST_PASSWORD = 72
"""Bytes; bcrypt looks at no more."""
REALM = 'Basic realm="directmail-exporter", charset="UTF-8"'


class Busy(Exception):
    """Too many passwords are being checked."""


class Passwords:
    """The users' passwords; closed when they are replaced."""

    def __init__(self, users: Mapping[str, bytes]) -> None:
        """`users` are bcrypt hashes by name."""
        self._users = users
        cost = max((int(hashed[4:6]) for hashed in users.values()), default=4)
        self._nobody = bcrypt.hashpw(os.urandom(16).hex().encode(), bcrypt.gensalt(cost)) if users else b""
        self._key = os.urandom(32)
        self._verdicts: OrderedDict[bytes, bool] = OrderedDict()
        self._thread = ThreadPoolExecutor(1, "passwords")
        self._waiting = 0

    async def right(self, user: str, password: str) -> bool:
        """Return whether this is the user's password. Raise Busy when too many others are being checked."""
        hashed = self._users.get(user, self._nobody)
        secret = password.encode()[:LONGEST_PASSWORD]
        digest = hmac.new(self._key, b"\0".join((user.encode(), hashed, secret)), hashlib.sha256).digest()
        verdict = self._verdicts.get(digest)
        if verdict is None:
            if self._waiting >= LONGEST_QUEUE:
                raise Busy
            self._waiting += 1
            try:
                same = await asyncio.get_running_loop().run_in_executor(self._thread, _same, secret, hashed)
            finally:
                self._waiting -= 1
            verdict = self._verdicts[digest] = same and user in self._users
            if len(self._verdicts) > KEPT_VERDICTS:
                self._forget_one()
        return verdict

    def close(self) -> None:
        """Let the thread end."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _forget_one(self) -> None:
        """Forget the oldest wrong password: whoever guesses shall not drive out those who know."""
        oldest = next((digest for digest, right in self._verdicts.items() if not right), next(iter(self._verdicts)))
        del self._verdicts[oldest]


def _same(secret: bytes, hashed: bytes) -> bool:
    return b"\0" not in secret and bcrypt.checkpw(secret, hashed)


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
    """The web configuration in force, as a middleware."""

    def __init__(self, settings: WebConfig, clock: Clock) -> None:
        self._clock = clock
        self._passwords = Passwords({})
        self.use(settings)

    def use(self, settings: WebConfig) -> None:
        """Go by other settings from now on."""
        self._settings = settings
        self._passwords.close()
        self._passwords = Passwords(settings.users)
        self._bucket = _Bucket(settings.rate_limit, self._clock) if settings.rate_limit else None

    @property
    def settings(self) -> WebConfig:
        """What is in force."""
        return self._settings

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let a request through, or say why not."""
        if not self._knows_certificate(request):
            return _refusal(403, "the client certificate has no name that is allowed here\n")
        if request.path in OPEN_PATHS:
            return await handler(request)
        if self._bucket is not None and not self._bucket.take():
            return _refusal(429, "too many requests; try again\n", {"Retry-After": "1"})
        if self._settings.users and not await self._knows_password(request):
            return _refusal(401, "a user and a password are needed\n", {"WWW-Authenticate": REALM})
        return await handler(request)

    async def set_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        """Set the configured headers; a blank one takes ours away."""
        for name, value in self._settings.headers.items():
            if value:
                response.headers[name] = value
            else:
                response.headers.popall(name, None)

    def _knows_certificate(self, request: web.Request) -> bool:
        allowed = self._settings.allowed_sans
        if not allowed:
            return True
        certificate = request.get_extra_info("peercert") or {}
        return any(value in allowed for _, value in certificate.get("subjectAltName", ()))

    async def _knows_password(self, request: web.Request) -> bool:
        given = _credentials(request.headers.get("Authorization", ""))
        try:
            return given is not None and await self._passwords.right(*given)
        except Busy:
            raise web.HTTPServiceUnavailable from None


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


def _refusal(status: int, text: str, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(status=status, text=text, headers=headers)
