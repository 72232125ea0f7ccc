"""The HTTP server: /metrics, health, the status page; hardened, and closed in good order."""

import asyncio
import errno
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from exporter.exposition import Page

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Server": "directmail-exporter",
}
SHUTDOWN_SECONDS = 2.0
"""How long scrapes may take to finish when the server closes."""
SLOW_CLIENT_SECONDS = 30.0
"""How long a client may take to take in an answer."""


class BindError(Exception):
    """An address cannot be listened on; the text is one line for the operator."""


class Scraped(Protocol):
    """What has the metrics."""

    async def scrape(self, accept: str = "", *, gzip: bool = False) -> Page:
        """Return everything, in the format that an Accept header asks for."""


@dataclass(frozen=True, slots=True)
class Routes:
    """What the server shows and does."""

    exposition: Scraped
    unready: Callable[[], str]
    """Why the exporter is not ready, "" when it is."""
    status: Callable[[web.Request], Awaitable[web.Response]]
    """The page `/`."""
    reload: Callable[[], Awaitable[str]] | None
    """Loads the config again and returns what is wrong with it, "" for nothing; None where this is not enabled."""
    telemetry_path: str = "/metrics"
    max_requests: int = 40
    slow_client_seconds: float = SLOW_CLIENT_SECONDS


def make_app(routes: Routes, *middlewares: Middleware) -> web.Application:
    """Return the application; `middlewares` stand between the headers and the handlers."""
    app = web.Application(middlewares=[_uniform, *middlewares], client_max_size=64 * 1024)
    handlers = _Handlers(routes)
    app.router.add_get("/", routes.status)
    app.router.add_get(routes.telemetry_path, handlers.metrics)
    app.router.add_get("/-/healthy", handlers.healthy)
    app.router.add_get("/-/ready", handlers.ready)
    app.router.add_route("POST", "/-/reload", handlers.reload)
    app.router.add_route("PUT", "/-/reload", handlers.reload)
    app.on_response_prepare.append(_secure)
    return app


@asynccontextmanager
async def serve(app: web.Application, addresses: list[str], tls: object = None) -> AsyncIterator[list[str]]:
    """Listen on `host:port` addresses (`:10058` is every interface) and yield those bound. Raise BindError."""
    runner = web.AppRunner(
        app,
        access_log=None,
        shutdown_timeout=SHUTDOWN_SECONDS,
        keepalive_timeout=75,
        max_line_size=8190,
        max_field_size=8190,
        lingering_time=1.0,
    )
    async with AsyncExitStack() as stack:
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        bound = []
        for address in addresses:
            host, port = split_address(address)
            try:
                site = web.TCPSite(runner, host, port)
                await site.start()
            except OSError as error:
                raise cannot_listen(address, error) from None
            bound.append(site.name)
        yield [_shown(name) for name in runner.addresses]


def split_address(address: str) -> tuple[str | None, int]:
    """Return host and port of `host:port`, `[v6]:port` or `:port`. Raise BindError for anything else."""
    try:
        parts = urlsplit(f"//{address}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if port is None or parts.path or parts.query or parts.username:
        raise BindError(f"cannot listen on {address}: write host:port, [v6 address]:port or :port")
    return host, port


def cannot_listen(address: str, error: OSError) -> BindError:
    """Return the error for an address that the system refuses."""
    known = error.errno in errno.errorcode and not isinstance(error, socket.gaierror)
    why = os.strerror(error.errno or 0).lower() if known else "the host is not known"
    return BindError(f"cannot listen on {address}: {why}")


def _shown(name: Sequence[Any]) -> str:
    host, port = name[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class _Handlers:
    def __init__(self, routes: Routes) -> None:
        self._routes = routes
        self._scraping = 0

    async def metrics(self, request: web.Request) -> web.StreamResponse:
        if self._scraping >= self._routes.max_requests:
            text = f"{self._scraping} scrapes are being answered; try again\n"
            return web.Response(status=503, text=text, headers={"Retry-After": "1"})
        self._scraping += 1
        try:
            gzip = _accepts_gzip(request.headers.get("Accept-Encoding", ""))
            page = await self._routes.exposition.scrape(request.headers.get("Accept", ""), gzip=gzip)
            response = web.StreamResponse(
                headers={"Content-Type": page.content_type, "Vary": "Accept, Accept-Encoding"}
            )
            if page.encoding:
                response.headers["Content-Encoding"] = page.encoding
            response.content_length = page.length
            async with asyncio.timeout(self._routes.slow_client_seconds):
                await response.prepare(request)
                if request.method != "HEAD":
                    for part in page.parts:
                        await response.write(part)
                await response.write_eof()
        except TimeoutError:
            if request.transport is not None:
                request.transport.abort()
        finally:
            self._scraping -= 1
        return response

    async def healthy(self, request: web.Request) -> web.Response:
        return web.Response(text="OK\n")

    async def ready(self, request: web.Request) -> web.Response:
        why = self._routes.unready()
        return web.Response(status=503 if why else 200, text=f"{why or 'OK'}\n")

    async def reload(self, request: web.Request) -> web.Response:
        if self._routes.reload is None:
            return web.Response(status=403, text="reloading is off; start with --web.enable-lifecycle\n")
        wrong = await self._routes.reload()
        return web.Response(status=500 if wrong else 200, text=wrong and f"{wrong}\n")


def _accepts_gzip(header: str) -> bool:
    for item in header.lower().split(","):
        coding, _, parameters = item.partition(";")
        if coding.strip() in ("gzip", "*"):
            return parameters.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


@web.middleware
async def _uniform(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer errors in plain text; leave nothing of aiohttp's own pages."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
        return web.Response(status=error.status, text=f"{error.status} {error.reason}\n", headers=headers)


async def _secure(request: web.Request, response: web.StreamResponse) -> None:
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = SECURITY_HEADERS["Server"]
    response.headers.setdefault("Cache-Control", "no-store")
