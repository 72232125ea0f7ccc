"""Signed requests to a simulator; a test may corrupt them."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from itertools import count
from typing import Any, NamedTuple

import aiohttp

from exporter.directmail import signing
from exporter.simulator.server import KEY_ID, SECRET, Simulator

_numbers = count()


class Reply(NamedTuple):
    """A response as it came."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.body)
        return document


def headers_for(
    simulator: Simulator,
    query: str,
    *,
    action: str = "GetTrackList",
    method: str = "POST",
    change: Mapping[str, str | None] | None = None,
    secret: str = SECRET,
) -> dict[str, str]:
    """Return the headers of a request; `change` sets some before they are signed, None leaves one out."""
    at = datetime.fromtimestamp((simulator.signing_time or simulator.clock.time)(), UTC)
    headers: dict[str, str | None] = {
        "host": simulator.url.removeprefix("http://"),
        "x-acs-action": action,
        "x-acs-content-sha256": signing.EMPTY_SHA256,
        "x-acs-date": at.strftime(signing.DATE_FORMAT),
        "x-acs-signature-nonce": f"nonce-{next(_numbers)}",
        "x-acs-version": "2015-11-23",
        **(change or {}),
    }
    kept = {name: value for name, value in headers.items() if value is not None}
    hashed = {"x-acs-content-sha256": "", **kept}
    value = signing.signature(secret, method, query, hashed, kept)
    signed = ";".join(sorted(kept))
    kept["Authorization"] = f"{signing.ALGORITHM} Credential={KEY_ID},SignedHeaders={signed},Signature={value}"
    return kept


async def send(
    simulator: Simulator,
    parameters: Mapping[str, str] | None = None,
    *,
    action: str = "GetTrackList",
    method: str = "POST",
    change: Mapping[str, str | None] | None = None,
    corrupt: Callable[[dict[str, str]], None] = lambda headers: None,
    data: bytes = b"",
    secret: str = SECRET,
) -> Reply:
    """Return the response of a simulator that listens; `corrupt` changes the headers after they were signed."""
    query = signing.canonical_query(parameters or {})
    headers = headers_for(simulator, query, action=action, method=method, change=change, secret=secret)
    corrupt(headers)
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session,
        session.request(method, f"{simulator.url}/?{query}", headers=headers, data=data or None) as response,
    ):
        return Reply(response.status, response.headers, await response.read())
