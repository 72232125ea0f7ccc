"""The proxies that the environment names: HTTPS_PROXY, HTTP_PROXY and NO_PROXY, or the same in lower case."""

import os
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass


def environment_proxy(endpoint: str) -> str | None:
    """Return the proxy for an endpoint, `https://host[:port]`; None for no proxy."""
    parts = urlsplit(endpoint)
    proxy = getproxies().get(parts.scheme)
    if not proxy or proxy_bypass(parts.netloc):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def unusable_proxy(endpoint: str) -> str | None:
    """Return the variable that names a proxy for an endpoint and not the address of an HTTP proxy; None for none."""
    proxy = environment_proxy(endpoint)
    try:
        parts = urlsplit(proxy or "http://none")
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_usable = False
    name = f"{urlsplit(endpoint).scheme}_proxy"
    return None if is_usable else name if name in os.environ else name.upper()
