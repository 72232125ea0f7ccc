"""Where the access key comes from: the environment or mounted files, read again when they change."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from exporter.directmail.errors import AuthError


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key; its `repr` shows none of it."""

    access_key_id: str = field(repr=False)
    access_key_secret: str = field(repr=False)
    security_token: str = field(default="", repr=False)
    """Of temporary (STS) credentials; "" for none."""

    def secrets(self) -> tuple[str, ...]:
        """Return what must not be shown to anybody."""
        return tuple(part for part in (self.access_key_id, self.access_key_secret, self.security_token) if part)


class Provider(Protocol):
    """What knows the current credentials."""

    async def get(self) -> Credentials:
        """Return the credentials for the next call. Raise AuthError where there are none."""

    def refused(self) -> None:
        """Note that the API refused the credentials: the next `get` reads them anew."""


class FromEnvironment:
    """ALIBABA_CLOUD_ACCESS_KEY_ID, ALIBABA_CLOUD_ACCESS_KEY_SECRET and ALIBABA_CLOUD_SECURITY_TOKEN."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._environment = environment

    async def get(self) -> Credentials:
        names = ("ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET")
        key_id, secret = (self._environment.get(name, "").strip() for name in names)
        if not key_id or not secret:
            raise AuthError(
                f"no credentials: {' and '.join(names)} are not both set",
                advice="Set both variables, or name files in the target's credentials.",
            )
        return Credentials(key_id, secret, self._environment.get("ALIBABA_CLOUD_SECURITY_TOKEN", "").strip())

    def refused(self) -> None:
        """Nothing is held."""


class FromFiles:
    """Files such as Kubernetes and Docker mount; a swapped symlink is a change too."""

    def __init__(self, access_key_id: Path, access_key_secret: Path, security_token: Path | None = None) -> None:
        self._files = [access_key_id, access_key_secret] + ([security_token] if security_token else [])
        self._seen: list[tuple[int, int, int, int]] | None = None
        self._held: Credentials | None = None

    async def get(self) -> Credentials:
        try:
            seen = [(stat.st_dev, stat.st_ino, stat.st_mtime_ns, stat.st_size) for stat in map(os.stat, self._files)]
            if self._held is None or seen != self._seen:
                parts = [path.read_text(encoding="utf-8").strip() for path in self._files]
                empty = [str(path) for path, part in zip(self._files, parts, strict=True) if not part]
                if empty:
                    raise AuthError(f"no credentials: {empty[0]} is empty", advice="Write the key into that file.")
                self._held, self._seen = Credentials(*parts), seen
        except (OSError, UnicodeDecodeError) as error:
            what = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            name = error.filename if isinstance(error, OSError) else "a credentials file"
            raise AuthError(
                f"no credentials: {name} cannot be read: {what}",
                advice="Mend the file that the target's credentials name.",
            ) from None
        return self._held

    def refused(self) -> None:
        self._seen = None
