"""Alibaba Cloud's V3 request signature (ACS3-HMAC-SHA256), for the client that signs and the simulator that verifies.

Source: "V3 request structure and signature" of Alibaba Cloud's OpenAPI documentation; the vectors in the tests
come from the official SDK and from that page.
"""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from urllib.parse import quote

ALGORITHM = "ACS3-HMAC-SHA256"
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
DATE_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


def encode(text: str) -> str:
    """Percent-encode the UTF-8 bytes of `text`; only A-Z a-z 0-9 - _ . ~ stay."""
    return quote(text, safe="-_.~")


def canonical_query(parameters: Mapping[str, str]) -> str:
    """Return the parameters as they are signed and sent: sorted by name, encoded, joined by `&`."""
    return "&".join(f"{encode(name)}={encode(parameters[name])}" for name in sorted(parameters))


def signature(
    secret: str,
    method: str,
    query: str,
    headers: Mapping[str, str],
    signed: Iterable[str],
    path: str = "/",
) -> str:
    """Return the hex signature over `query` (already canonical) and the headers named in `signed`.

    `headers` has lower-case names and holds `x-acs-content-sha256`, the hash of the body.
    """
    names = sorted(signed)
    canonical = "\n".join(
        (
            method,
            path,
            query,
            "".join(f"{name}:{headers[name].strip()}\n" for name in names),
            ";".join(names),
            headers["x-acs-content-sha256"],
        )
    )
    to_sign = f"{ALGORITHM}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    return hmac.new(secret.encode(), to_sign.encode(), hashlib.sha256).hexdigest()


def authorization(key_id: str, secret: str, method: str, query: str, headers: Mapping[str, str]) -> str:
    """Return the Authorization header's value, signing every header in `headers`."""
    signed = ";".join(sorted(headers))
    value = signature(secret, method, query, headers, headers)
    return f"{ALGORITHM} Credential={key_id},SignedHeaders={signed},Signature={value}"
