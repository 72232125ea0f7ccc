"""Temporary credentials of a RAM role, through alibabacloud-credentials (the extra `ram`).

That library blocks, caches, refreshes a quarter of an hour before the end, and prints responses with secrets in them.
So it is queried in a thread of its own, by one caller at a time and once a minute, and its log handlers are removed.
Only the types `default` and `ecs_ram_role` request the ECS metadata address.
"""

import asyncio
import logging
import math
import os
import re
from collections.abc import Mapping
from importlib import import_module
from json import JSONDecodeError
from typing import Any, NamedTuple

from exporter.clock import Clock
from exporter.directmail.causes import UNKNOWN, cause
from exporter.directmail.credentials import Credentials, Provider, is_key
from exporter.directmail.errors import AuthError
from exporter.directmail.redaction import clean
from exporter.directmail.threads import in_own_thread

TYPES: dict[str, str] = {
    "default": "Check the environment, the profile files or the instance's role.",
    "ram_role_arn": "Check the role's ARN and trust policy, and that the access key may call sts:AssumeRole.",
    "oidc_role_arn": "Check the role's ARN and trust policy, the provider's ARN, and the token file.",
    "ecs_ram_role": "Check that the instance has the role, and that the metadata address can be reached.",
    "credentials_uri": "Check the address and the server behind it.",
}
"""The types of credentials, each with what to do when there are none."""
REQUEST_AGAIN = 60.0
"""Seconds until the library is queried again for newer credentials."""
PAUSE = 10.0
"""Seconds between two tries where they fail or are rejected."""

_NO_WAY_TO_STS = (
    "Check the network and proxies; in a VPC without internet set sts_endpoint to sts-vpc.REGION.aliyuncs.com."
)
INSTALL = "Install it: pip install alibabacloud-credentials."
CONNECT_TIMEOUT, READ_TIMEOUT = 2000, 3000
"""Milliseconds until a request times out."""

_NAMES = {"oidc_token_file": "oidc_token_file_path", "session_duration": "role_session_expiration"}
"""Options with another name in the library."""
OF_A_CLUSTER = {
    "role_arn": "ALIBABA_CLOUD_ROLE_ARN",
    "oidc_provider_arn": "ALIBABA_CLOUD_OIDC_PROVIDER_ARN",
    "oidc_token_file": "ALIBABA_CLOUD_OIDC_TOKEN_FILE",
}
"""What `oidc_role_arn` needs, and where the environment has it in a cluster with RRSA."""
_NO_METADATA = "ALIBABA_CLOUD_ECS_METADATA_DISABLED"
_READ_ONCE = ("default",)
"""Types that are not set up anew: they read the environment as it was at the start, and every set has a thread."""
_MODULES = tuple(f"alibabacloud_credentials.{name}" for name in ("client", "models", "provider"))
_CODE = re.compile(r'"Code"\s*:\s*"([\w.]{1,80})"', re.ASCII)
_STATUS = re.compile(r"(?:http_code|HttpCode)\W{1,2}(\d{3})", re.ASCII)
"""The HTTP status in the library's exceptions."""
_REQUEST_ID = re.compile(r'"RequestId"\s*:\s*"([\w-]{1,64})"', re.ASCII)


class _Fetched(NamedTuple):
    credentials: Credentials
    expires_at: float | None


def is_installed() -> bool:
    """Return whether the extra `ram` is there. Its import takes half a second: better before the loop runs."""
    try:
        _library()
    except ImportError:
        return False
    return True


class FromRam:
    """Credentials of one of TYPES. The last good ones are kept while fetching newer ones fails, until they expire."""

    expires_at: float | None = None

    def __init__(self, kind: str, options: Mapping[str, str], clock: Clock, base: Provider | None = None) -> None:
        """`options` are the config's; `base` has the access key that assumes the role (`ram_role_arn`)."""
        self._kind = kind
        self._options = options
        self._clock = clock
        self._base = base
        self._lock = asyncio.Lock()
        self._library: Any = None
        self._key: Credentials | None = None
        self._held: Credentials | None = None
        self._failure: AuthError | None = None
        self._renewed_at = self._request_at = -math.inf

    async def get(self) -> Credentials:
        if self._held is None or self._is_due():
            async with self._lock:
                if self._is_due():
                    await self._request()
        if self._held is None or (self._failure is not None and self._is_expired()):
            raise self._none()
        return self._held

    def rejected(self) -> None:
        now = self._clock.monotonic()
        if now - self._renewed_at >= PAUSE:
            self._renewed_at = self._request_at = now
            if self._kind not in _READ_ONCE:
                self._library = None

    def _is_due(self) -> bool:
        return self._clock.monotonic() >= self._request_at

    def _is_expired(self) -> bool:
        return self.expires_at is not None and self._clock.time() >= self.expires_at

    async def _request(self) -> None:
        try:
            key = await self._base.get() if self._base else None
            if key != self._key:
                self._key, self._library = key, None
            self._held, self.expires_at = await in_own_thread(self._fetch)
            self._failure = None
        except AuthError as error:
            self._failure = error
        self._request_at = self._clock.monotonic() + (PAUSE if self._failure else REQUEST_AGAIN)

    def _fetch(self) -> _Fetched:
        """Query the library, in a thread. Raise AuthError, with only the Code of a server's response."""
        try:
            client, models, providers = _library()
        except ImportError:
            raise AuthError(
                f"credentials of type {self._kind} need alibabacloud-credentials",
                advice=INSTALL,
            ) from None
        try:
            library = self._library
            if library is None:
                library = self._library = self._set_up(client.Client, models.Config, providers)
            # What get_credential calls too; it leaves the expiry out, and a second call may be a second request.
            found = library.cloud_credential.provider.get_credentials()
            key_id, secret, token = found.get_access_key_id(), found.get_access_key_secret(), found.get_security_token()
            expires_at = found.get_expiration()
        except AuthError:
            raise
        except Exception as error:  # noqa: BLE001 - the library lets everything through: HTTP, JSON, files, its own
            raise self._failed(error) from None
        if not (key_id and secret):
            raise AuthError(f"no credentials of type {self._kind}", advice=TYPES[self._kind])
        if not all(map(is_key, (key_id, secret, token or ""))):
            raise AuthError(f"no credentials of type {self._kind}: the response is invalid", advice=TYPES[self._kind])
        return _Fetched(Credentials(key_id, secret, token or ""), expires_at)

    def _set_up(self, client: Any, config: Any, providers: Any) -> Any:
        """Return the library's client for the type and its options."""
        if self._kind == "default":
            return client()
        for name, variable in OF_A_CLUSTER.items() if self._kind == "oidc_role_arn" else ():
            if name not in self._options:
                raise AuthError(
                    f"credentials of type {self._kind} need {name}",
                    advice=f"Name it in the target's credentials; a cluster with RRSA sets {variable}.",
                )
        if self._kind == "ecs_ram_role":
            if os.environ.get(_NO_METADATA, "").lower() == "true":
                raise AuthError(
                    f"no credentials of type {self._kind}: the metadata address is disabled",
                    advice=f"Remove {_NO_METADATA} from the environment.",
                )
            # By itself it would start a thread that polls every minute.
            role = self._options.get("role_name")
            return client(provider=providers.EcsRamRoleCredentialsProvider(role_name=role, async_update_enabled=False))
        settings: dict[str, str | int] = {
            "role_session_name": "directmail-exporter",
            **{_NAMES.get(name, name): value for name, value in self._options.items()},
            "connect_timeout": CONNECT_TIMEOUT,
            "timeout": READ_TIMEOUT,
        }
        if "session_duration" in self._options:
            settings["role_session_expiration"] = int(self._options["session_duration"])
        if self._key is not None:
            settings |= {
                "access_key_id": self._key.access_key_id,
                "access_key_secret": self._key.access_key_secret,
                "security_token": self._key.security_token,
            }
        return client(config(type=self._kind, **settings))

    def _failed(self, error: Exception) -> AuthError:
        message = clean(str(error), self._key.secrets() if self._key else ())
        code, request_id = (found.search(message) for found in (_CODE, _REQUEST_ID))
        why, advice = self._explained(error, message)
        return AuthError(
            f"no credentials of type {self._kind}: {why}",
            code=code[1] if code else "",
            request_id=request_id[1] if request_id else "",
            advice=advice,
        )

    def _explained(self, error: Exception, message: str) -> tuple[str, str]:
        """Return why there are none, and what to do about it."""
        advice = TYPES[self._kind]
        if isinstance(error, FileNotFoundError):
            return f"{error.filename} is missing", advice
        if type(error).__name__ == "CredentialException":
            status = _STATUS.search(message)
            from_server = f"the server gave none{f' (HTTP {status[1]})' if status else ''}"
            return "no source has any" if self._kind == "default" else from_server, advice
        if type(error).__name__ == "RetryError" or isinstance(error, OSError):
            known = cause(error) or UNKNOWN
            if known.is_unreachable:
                return known.text, _NO_WAY_TO_STS if self._kind in ("ram_role_arn", "oidc_role_arn") else advice
            return known.text, known.advice
        return "the response is not JSON" if isinstance(error, JSONDecodeError) else "the response is invalid", advice

    def _none(self) -> AuthError:
        """Return the failure anew: many callers raise it, each with a traceback of its own."""
        held = self._failure or AuthError(f"no credentials of type {self._kind}", advice=TYPES[self._kind])
        return AuthError(held.text, code=held.code, request_id=held.request_id, advice=held.advice)


def _library() -> list[Any]:
    """Return the library's modules client, models and provider. Raise ImportError."""
    modules = [import_module(name) for name in _MODULES]
    # Its loggers have handlers that print responses, secrets included.
    for name in ("credentials", "alibabacloud-tea"):
        logger = logging.getLogger(name)
        logger.handlers = [logging.NullHandler()]
        logger.propagate = False
    return modules
