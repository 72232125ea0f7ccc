"""Where the access key comes from: the environment or mounted files, read again when they change."""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from exporter.directmail.errors import AuthError

VARIABLES = ("ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET", "ALIBABA_CLOUD_SECURITY_TOKEN")


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key; its `repr` shows none of it."""

    access_key_id: str = field(repr=False)
    access_key_secret: str = field(repr=False)
    security_token: str = field(default="", repr=False)
    """Of temporary (STS) credentials; "" for none."""

    def secrets(self) -> tuple[str, ...]:
        """Return the parts that must never be shown."""
        return tuple(part for part in (self.access_key_id, self.access_key_secret, self.security_token) if part)


class Provider(Protocol):
    """Provides the current credentials."""

    @property
    def expires_at(self) -> float | None:
        """When the credentials that `get` gave last expire, in seconds since the epoch; None where unknown."""

    async def get(self) -> Credentials:
        """Return the credentials for the next call. Raise AuthError where there are none."""

    def rejected(self) -> None:
        """Note that the API rejected the credentials: the next `get` reads them anew."""


def is_key(part: object) -> bool:
    """Return whether a part of a key is valid in a header: text in ASCII, without spaces."""
    return isinstance(part, str) and part.isascii() and part.isprintable() and " " not in part


class FromEnvironment:
    """ALIBABA_CLOUD_ACCESS_KEY_ID, ALIBABA_CLOUD_ACCESS_KEY_SECRET and ALIBABA_CLOUD_SECURITY_TOKEN."""

    expires_at: float | None = None

    def __init__(
        self,
        environment: Mapping[str, str] = os.environ,
        advice: str = "Set both variables, or write files in the target's credentials.",
    ) -> None:
        """`advice` is what helps where there is no key."""
        self._environment = environment
        self._advice = advice

    async def get(self) -> Credentials:
        parts = {name: self._environment.get(name, "").strip() for name in VARIABLES}
        key_id, secret, token = parts.values()
        if not key_id or not secret:
            raise AuthError(
                f"no credentials: {VARIABLES[0]} and {VARIABLES[1]} are not both set",
                advice=self._advice,
            )
        _check(parts.items())
        return Credentials(key_id, secret, token)

    def rejected(self) -> None:
        """Nothing is held."""


class FromFiles:
    """Files such as Kubernetes and Docker mount; a swapped symlink is a change too."""

    expires_at: float | None = None

    def __init__(
        self,
        access_key_id: Path,
        access_key_secret: Path,
        security_token: Path | None = None,
        *,
        reread: Callable[[], None] = lambda: None,
    ) -> None:
        """`reread` is called when the files have another key than before."""
        self._reread = reread
        self._files = [access_key_id, access_key_secret] + ([security_token] if security_token else [])
        self._seen: list[tuple[int, ...]] | None = None
        self._held: Credentials | None = None

    async def get(self) -> Credentials:
        # Before the files are read, so that a write meanwhile counts as a change the next time.
        seen = [_stamp(path) for path in self._files]
        if self._held is None or seen != self._seen:
            parts = [(str(path), _read(path)) for path in self._files]
            _check(parts)
            before, self._held = self._held, Credentials(*(part for _, part in parts))
            self._seen = seen
            if before is not None and before != self._held:
                self._reread()
        return self._held

    def rejected(self) -> None:
        self._seen = None


def _stamp(path: Path) -> tuple[int, ...]:
    """Return what changes when the file behind the path is written or swapped."""
    try:
        stat = path.stat()
    except OSError as error:
        raise _unreadable(path, error.strerror) from None
    return stat.st_dev, stat.st_ino, stat.st_mtime_ns, stat.st_size


def _read(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise _unreadable(path, error.strerror) from None
    except UnicodeDecodeError:
        raise _unreadable(path, "not UTF-8") from None
    if not text:
        raise AuthError(f"no credentials: {path} is empty", advice="Write the key into that file.")
    return text


def _unreadable(path: Path, why: str | None) -> AuthError:
    return AuthError(
        f"no credentials: {path} cannot be read: {why}", advice="Fix the file that the target's credentials name."
    )


def _check(parts: Iterable[tuple[str, str]]) -> None:
    """Raise AuthError for a key that is not valid in a header; it is named by its place, never shown."""
    for place, part in parts:
        if not is_key(part):
            raise AuthError(
                f"no credentials: {place} contains characters that are not valid in a key",
                advice="Write only the key there, on one line.",
            )
