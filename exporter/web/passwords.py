"""Checks passwords against bcrypt hashes in one thread beside the loop, and caches the results.

Logins that wait take turns by source, which is an address and a user, so many guesses from one source delay another
one by one check. When too many wait, Busy goes to the source that has most of them: a user has one right password, so
several different ones of a user from an address are guesses.

An unknown user costs the same rounds as a known one, and a cheap hash the same as an expensive one, up to a bound.
Beyond it the time of a check shows that a user with an expensive hash exists; otherwise all others would wait as long.
"""

import asyncio
import base64
import hashlib
import hmac
import os
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import bcrypt

CACHED_RESULTS = 100
LONGEST_QUEUE = 100
"""Different logins that wait to be checked, beyond which a source with several of them gets Busy."""
LONGEST_PASSWORD = 72
"""Bytes; bcrypt uses no more."""
EVEN_COST = 12
"""Up to this cost all checks take the same number of rounds: 2^12, about a quarter of a second."""


class Busy(Exception):
    """Too many passwords are being checked."""


Check = Callable[[bytes, bytes], bool]
"""Returns whether a password matches a bcrypt hash."""
Source = tuple[str, str]
"""The address and the user of a login."""
_CHECKING: set[object] = set()


def is_checking() -> bool:
    """Return whether a check is under way in a thread, which nothing can interrupt."""
    return bool(_CHECKING)


def _same(secret: bytes, hashed: bytes) -> bool:
    return b"\0" not in secret and bcrypt.checkpw(secret, hashed)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _Login:
    """A user and a password to check, once for all requests that have them."""

    secret: bytes
    hashed: bytes
    digest: bytes
    is_known: bool
    result: asyncio.Future[bool | None]
    """None where it is not going to be checked."""


class Passwords:
    """The users' passwords."""

    def __init__(self, users: Mapping[str, bytes], check: Check = _same) -> None:
        """`users` are bcrypt hashes by name."""
        self._users = users
        self._check = check
        self._cost = min(EVEN_COST, max(map(_cost, users.values()), default=0))
        self._dummy = _dummy_hash(self._cost)
        self._key = os.urandom(32)
        self._results: OrderedDict[bytes, bool] = OrderedDict()
        self._logins: dict[bytes, _Login] = {}
        """All that wait or are being checked, by digest."""
        self._turns: OrderedDict[Source, deque[_Login]] = OrderedDict()
        """Those that wait; the source whose turn is next comes first."""
        self._thread = ThreadPoolExecutor(1, "passwords")
        self._under_way: asyncio.Future[bool] | None = None
        self._is_closed = False

    async def right(self, user: str, password: str, address: str = "") -> bool:
        """Return whether this is the user's password. Raise Busy when too many others are being checked."""
        hashed = self._users.get(user, self._dummy)
        secret = password.encode()[:LONGEST_PASSWORD]
        digest = hmac.new(self._key, b"\0".join((user.encode(), hashed, secret)), hashlib.sha256).digest()
        if (known := self._results.get(digest)) is not None:
            return known
        login = self._logins.get(digest)
        if login is None:
            result: asyncio.Future[bool | None] = asyncio.get_running_loop().create_future()
            login = _Login(secret, hashed, digest, user in self._users, result)
            self._queue(login, (address, user))
        is_right = await asyncio.shield(login.result)
        if is_right is None:
            raise Busy
        return is_right

    def close(self) -> None:
        """Check nothing more. The result of a check in progress is dropped."""
        self._is_closed = True
        self._thread.shutdown(wait=False, cancel_futures=True)
        if self._under_way is not None:
            self._under_way.cancel()
        for login in list(self._logins.values()):
            self._finish(login, None)
        self._turns.clear()

    def _queue(self, login: _Login, source: Source) -> None:
        """Let a login wait for its turn. Raise Busy where too many wait, and its source has the most of them."""
        if self._is_closed:
            raise Busy
        own = self._turns.get(source, deque())
        if len(self._logins) >= LONGEST_QUEUE:
            most = max(self._turns.values(), key=len, default=own)
            if len(own) >= max(len(most), 1):
                raise Busy
            if len(most) > 1:
                self._finish(most.pop(), None)
        own.append(login)
        self._turns[source] = own
        self._logins[login.digest] = login
        if self._under_way is None:
            self._check_next()

    def _check_next(self) -> None:
        """Check the next login, unless none waits."""
        self._under_way = None
        if not self._turns:
            return
        source, waiting = self._turns.popitem(last=False)
        login = waiting.popleft()
        if waiting:
            self._turns[source] = waiting
        self._under_way = asyncio.get_running_loop().run_in_executor(self._thread, self._compare, login)
        self._under_way.add_done_callback(lambda compared: self._checked(login, compared))

    def _checked(self, login: _Login, compared: asyncio.Future[bool]) -> None:
        if compared.cancelled():
            return
        if (error := compared.exception()) is not None:
            del self._logins[login.digest]
            login.result.set_exception(error)
        else:
            is_right = self._results[login.digest] = compared.result()
            if len(self._results) > CACHED_RESULTS:
                self._evict_one()
            self._finish(login, is_right)
        self._check_next()

    def _finish(self, login: _Login, result: bool | None) -> None:
        del self._logins[login.digest]
        login.result.set_result(result)

    def _compare(self, login: _Login) -> bool:
        """Check, and top up the rounds to the even cost: 2^c + 2^c + 2^(c+1) + ... + 2^(m-1) = 2^m."""
        _CHECKING.add(login)
        try:
            same = self._check(login.secret, login.hashed)
            for cost in range(_cost(login.hashed), self._cost):
                if self._is_closed:
                    break
                self._check(login.secret, _dummy_hash(cost))
        finally:
            _CHECKING.discard(login)
        return same and login.is_known

    def _evict_one(self) -> None:
        """Evict the oldest wrong password: guesses must not evict valid logins."""
        oldest = next((digest for digest, right in self._results.items() if not right), next(iter(self._results)))
        del self._results[oldest]


def _cost(hashed: bytes) -> int:
    """Return the binary logarithm of a hash's rounds."""
    return int(hashed[4:6])


def _dummy_hash(cost: int) -> bytes:
    """Return a random hash that matches no password; computing one would block the loop."""
    return b"$2b$%02d$" % cost + bcrypt.gensalt()[7:] + base64.b64encode(os.urandom(30), b"./")[:31]
