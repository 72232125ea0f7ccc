"""Verifies that a request is signed, by whom, when, and for the first time.

Source: "V3 request structure and signature" of Alibaba Cloud's OpenAPI documentation.
"""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from exporter.directmail import signing
from exporter.simulator.error_responses import ApiError

SKEW = 15 * 60
"""Seconds that a request's date may be off."""
VERSION = "2015-11-23"


class Key(NamedTuple):
    """An access key; a temporary one has a token."""

    key_id: str
    secret: str
    security_token: str


class Received(NamedTuple):
    """A request as it came over the wire; the parameters are decoded, the names of headers lower-case."""

    method: str
    path: str
    parameters: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


def check_signature(received: Received, key: Key) -> None:
    """Return if the request is signed with the key. Raise ApiError."""
    headers = received.headers
    scheme, _, rest = headers.get("authorization", "").partition(" ")
    given = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    if scheme != signing.ALGORITHM or not {"Credential", "SignedHeaders", "Signature"} <= given.keys():
        raise ApiError(400, "IncompleteSignature", "The request signature does not conform to the standards.")
    if given["Credential"] != key.key_id:
        raise ApiError(404, "InvalidAccessKeyId.NotFound", "Specified access key is not found.")
    signed = given["SignedHeaders"].split(";")
    needed = {"host", "x-acs-content-sha256"} | {name for name in headers if name.startswith("x-acs-")}
    if not needed <= set(signed) or not set(signed) <= headers.keys():
        raise ApiError(400, "IncompleteSignature", "Some headers are not signed.")
    query = signing.canonical_query(received.parameters)
    right = signing.signature(key.secret, received.method, query, headers, signed, received.path)
    sent_body = hashlib.sha256(received.body).hexdigest() == headers["x-acs-content-sha256"]
    if given["Signature"] != right or not sent_body:
        message = f"Specified signature does not match; parameters {dict(received.parameters)}"
        raise ApiError(400, "SignatureDoesNotMatch", message)
    if headers.get("x-acs-security-token", "") != key.security_token:
        raise ApiError(400, "InvalidSecurityToken.MismatchWithAccessKey", "Specified SecurityToken mismatches.")
    if headers.get("x-acs-version") != VERSION:
        raise ApiError(400, "InvalidVersion", "Specified parameter Version is not valid.")


class Nonces:
    """The nonces of the last half hour."""

    def __init__(self) -> None:
        self._used: dict[str, float] = {}

    def check(self, headers: Mapping[str, str], now: float) -> None:
        """Return if the date is about now and the nonce is new. Raise ApiError."""
        try:
            sent = datetime.strptime(headers.get("x-acs-date", ""), signing.DATE_FORMAT).replace(tzinfo=UTC)
        except ValueError:
            raise ApiError(400, "IllegalTimestamp", "The input parameter Timestamp is not valid.") from None
        if abs(now - sent.timestamp()) > SKEW:
            raise ApiError(400, "InvalidTimeStamp.Expired", "Specified time stamp or date value is expired.")
        while self._used and next(iter(self._used.values())) < now - 2 * SKEW:
            del self._used[next(iter(self._used))]
        nonce = headers.get("x-acs-signature-nonce", "")
        if not nonce or nonce in self._used:
            raise ApiError(400, "SignatureNonceUsed", "Specified signature nonce was used already.")
        self._used[nonce] = now
