"""Temporary credentials of a RAM role, through alibabacloud-credentials (the extra `ram`).

That library blocks, caches, refreshes a quarter of an hour before the end, and prints answers with secrets in them.
So it is asked in a thread, by one caller at a time and once a minute, and its log handlers are taken away. It is
asked for the ECS metadata address only by the types `default` and `ecs_ram_role`.
"""

import asyncio
import logging
import math
import re
from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

from exporter.clock import Clock
from exporter.directmail.credentials import Credentials, Provider
from exporter.directmail.errors import AuthError

TYPES: dict[str, str] = {
    "default": "Check the environment, the profile files or the instance's role.",
    "ram_role_arn": "Check the role's ARN and trust policy, and that the access key may call sts:AssumeRole.",
    "oidc_role_arn": "Check the role's ARN and trust policy, the provider's ARN, and the token file.",
    "ecs_ram_role": "Check that the instance has the role, and that the metadata address can be reached.",
    "credentials_uri": "Check the address and the server behind it.",
}
"""The types of credentials, each with what to do when there are none."""
ASK_AGAIN = 60.0
"""Seconds until the library is asked again whether it has newer credentials."""
PAUSE = 10.0
"""Seconds between two tries where they fail or are refused."""

_OPTIONS = {"oidc_token_file": "oidc_token_file_path"}
"""Options that the library calls otherwise."""
_RENEWABLE = ("ram_role_arn", "oidc_role_arn", "credentials_uri")
"""Types that fetch anew when they are set up anew; the others read what they read at the start of the process."""
_CODE = re.compile(r'"Code"\s*:\s*"([\w.]{1,80})"', re.ASCII)
_REQUEST_ID = re.compile(r'"RequestId"\s*:\s*"([\w-]{1,64})"', re.ASCII)


class _Fetched(NamedTuple):
    credentials: Credentials
    expires_at: float | None


class FromRam:
    """Credentials of one of TYPES. The last good ones are kept while fetching newer ones fails, until they expire."""

    expires_at: float | None = None

    def __init__(self, kind: str, options: Mapping[str, str], clock: Clock, base: Provider | None = None) -> None:
        """`options` are the config's; `base` has the access key that assumes the role (`ram_role_arn`)."""
        self._kind = kind
        self._options = {_OPTIONS.get(name, name): value for name, value in options.items()}
        self._clock = clock
        self._base = base
        self._lock = asyncio.Lock()
        self._library: Any = None
        self._key: Credentials | None = None
        self._held: Credentials | None = None
        self._failure: AuthError | None = None
        self._asked_at = self._ask_at = -math.inf

    async def get(self) -> Credentials:
        if self._held is None or self._is_due():
            async with self._lock:
                if self._is_due():
                    await self._ask()
        if self._held is None or (self._failure is not None and self._is_expired()):
            raise self._none()
        return self._held

    def refused(self) -> None:
        if self._clock.monotonic() - self._asked_at >= PAUSE:
            self._ask_at = -math.inf
            if self._kind in _RENEWABLE:
                self._library = None

    def _is_due(self) -> bool:
        return self._clock.monotonic() >= self._ask_at

    def _is_expired(self) -> bool:
        return self.expires_at is not None and self._clock.time() >= self.expires_at

    async def _ask(self) -> None:
        try:
            key = await self._base.get() if self._base else None
            if key != self._key:
                self._key, self._library = key, None
            self._held, self.expires_at = await asyncio.to_thread(self._fetch)
            self._failure = None
        except AuthError as error:
            self._failure = error
        self._asked_at = self._clock.monotonic()
        self._ask_at = self._asked_at + (PAUSE if self._failure else ASK_AGAIN)

    def _fetch(self) -> _Fetched:
        """Ask the library, in a thread. Raise AuthError, with nothing of what a server said but its Code."""
        try:
            client, models = (import_module(f"alibabacloud_credentials.{name}") for name in ("client", "models"))
        except ImportError:
            raise AuthError(
                f"credentials of type {self._kind} need alibabacloud-credentials",
                advice="Install it: pip install 'directmail-exporter[ram]'.",
            ) from None
        _silence()
        try:
            library = self._library
            if library is None:
                settings = None if self._kind == "default" else models.Config(type=self._kind, **self._settings())
                library = self._library = client.Client(settings)
            found = library.get_credential()
            credentials = Credentials(found.access_key_id, found.access_key_secret, found.security_token or "")
            # get_credential leaves the expiry out. Its provider has it, and answers from its cache.
            expires_at = library.cloud_credential.provider.get_credentials().get_expiration()
        except Exception as error:  # noqa: BLE001 - the library lets everything through: HTTP, JSON, files, its own
            raise self._failed(error) from None
        if not (credentials.access_key_id and credentials.access_key_secret):
            raise AuthError(f"no credentials of type {self._kind}", advice=TYPES[self._kind])
        return _Fetched(credentials, expires_at)

    def _settings(self) -> dict[str, str]:
        settings = {"role_session_name": "directmail-exporter", **self._options}
        if self._key is not None:
            settings |= {
                "access_key_id": self._key.access_key_id,
                "access_key_secret": self._key.access_key_secret,
                "security_token": self._key.security_token,
            }
        return settings

    def _failed(self, error: Exception) -> AuthError:
        code, request_id = (found.search(str(error)) for found in (_CODE, _REQUEST_ID))
        return AuthError(
            f"no credentials of type {self._kind}: {type(error).__name__}",
            code=code[1] if code else "",
            request_id=request_id[1] if request_id else "",
            advice=TYPES[self._kind],
        )

    def _none(self) -> AuthError:
        """Return the failure anew: many callers raise it, each with a traceback of its own."""
        held = self._failure or AuthError(f"no credentials of type {self._kind}", advice=TYPES[self._kind])
        return AuthError(held.text, code=held.code, request_id=held.request_id, advice=held.advice)


def _silence() -> None:
    """Take away the handlers that the library gives its loggers: they print answers, secrets included."""
    for name in ("credentials", "alibabacloud-tea"):
        logger = logging.getLogger(name)
        logger.handlers = [logging.NullHandler()]
        logger.propagate = False
