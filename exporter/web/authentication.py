"""Who may ask: passwords, client certificates, the rate limit; and the headers that answers carry.

bcrypt is slow on purpose: it runs in one thread beside the loop, and its verdicts are kept. Every first try of a
password takes the same number of rounds, whoever it is said to be of: how long it takes tells nobody who exists.
"""

import asyncio
import base64
import hashlib
import hmac
import os
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from typing import Any

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


Check = Callable[[bytes, bytes], bool]
"""Tells whether a password is that of a bcrypt hash."""


def _same(secret: bytes, hashed: bytes) -> bool:
    return b"\0" not in secret and bcrypt.checkpw(secret, hashed)


class Passwords:
    """The users' passwords; closed when they are replaced."""

    def __init__(self, users: Mapping[str, bytes], check: Check = _same) -> None:
        """`users` are bcrypt hashes by name."""
        self._users = users
        self._check = check
        self._cost = max(map(_cost, users.values()), default=0)
        self._nobody = _hash_of_nobody(self._cost)
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
                same = await asyncio.get_running_loop().run_in_executor(self._thread, self._compare, secret, hashed)
            finally:
                self._waiting -= 1
            verdict = self._verdicts[digest] = same and user in self._users
            if len(self._verdicts) > KEPT_VERDICTS:
                self._forget_one()
        return verdict

    def _compare(self, secret: bytes, hashed: bytes) -> bool:
        """Check, and top up the rounds to those of the dearest hash: 2^c + 2^c + 2^(c+1) + ... + 2^(m-1) = 2^m."""
        same = self._check(secret, hashed)
        for cost in range(_cost(hashed), self._cost):
            self._check(secret, _hash_of_nobody(cost))
        return same

    def close(self, *, give_up: bool = False) -> None:
        """Let the thread end, with what it still has to check or without."""
        self._thread.shutdown(wait=False, cancel_futures=give_up)

    def _forget_one(self) -> None:
        """Forget the oldest wrong password: whoever guesses shall not drive out those who know."""
        oldest = next((digest for digest, right in self._verdicts.items() if not right), next(iter(self._verdicts)))
        del self._verdicts[oldest]


def _cost(hashed: bytes) -> int:
    """Return the binary logarithm of a hash's rounds."""
    return int(hashed[4:6])


def _hash_of_nobody(cost: int) -> bytes:
    """Return a hash that no password has: made up, not computed, which would hold the loop."""
    return b"$2b$%02d$" % cost + bcrypt.gensalt()[7:] + base64.b64encode(os.urandom(30), b"./")[:31]


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

    def close(self) -> None:
        """Check no more passwords."""
        self._passwords.close(give_up=True)

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
        try:
            if self._settings.users and not await self._knows_password(request):
                return _refusal(401, "a user and a password are needed\n", {"WWW-Authenticate": REALM})
        except Busy:
            return _refusal(503, "too many passwords are being checked; try again\n", {"Retry-After": "1"})
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
        return not allowed.isdisjoint(names_of(request.get_extra_info("peercert") or {}))

    async def _knows_password(self, request: web.Request) -> bool:
        given = _credentials(request.headers.get("Authorization", ""))
        return given is not None and await self._passwords.right(*given)


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


def _refusal(status: int, text: str, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(status=status, text=text, headers=headers)
