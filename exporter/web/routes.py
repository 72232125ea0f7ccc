"""Routes requests (/metrics, health, reload, the status page) and adds security headers to every response."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from aiohttp import web
from aiohttp.typedefs import Handler

from exporter.metrics.exposition import Page
from exporter.metrics.negotiation import accepts_gzip
from exporter.web.authentication import Security

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; "
        "base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Server": "directmail-exporter",
}
ICON = Path(__file__).parent / "favicon.ico"
ICON_KEPT = "max-age=86400"
"""How long browsers may keep the icon."""
LARGEST_BODY = 64 * 1024
"""Bytes of a request's body; no request needs one."""
CHUNK = 64 * 1024
"""Bytes of a response that are buffered for a slow client; the rest is shared with other responses."""
CHUNKS_BETWEEN_TURNS = 16


class Scraped(Protocol):
    """The source of the metrics."""

    async def scrape(self, accept: str = "", *, gzip: bool = False) -> Page:
        """Return everything, in the format that an Accept header requests."""


@dataclass(frozen=True, slots=True)
class Routes:
    """The handlers of the server."""

    exposition: Scraped
    unready: Callable[[], str]
    """Why the exporter is not ready, "" when it is."""
    status: Callable[[web.Request], Awaitable[web.Response]]
    """The page `/`."""
    reload: Callable[[], Awaitable[str]] | None
    """Loads the config again and returns what is wrong with it, "" for nothing; None where this is not enabled."""
    telemetry_path: str = "/metrics"
    max_requests: int = 40
    """Scrapes at a time, 0 for no limit."""


def make_app(routes: Routes, security: Security) -> web.Application:
    """Return the application; `security` runs before every handler."""
    app = web.Application(middlewares=[_uniform, security.middleware], client_max_size=LARGEST_BODY)
    handlers = _Handlers(routes)
    app.router.add_get("/", routes.status)
    app.router.add_get(routes.telemetry_path, handlers.metrics)
    app.router.add_get("/favicon.ico", handlers.icon)
    app.router.add_get("/-/healthy", handlers.healthy)
    app.router.add_get("/-/ready", handlers.ready)
    app.router.add_route("POST", "/-/reload", handlers.reload)
    app.router.add_route("PUT", "/-/reload", handlers.reload)
    app.on_response_prepare.extend((_secure, security.set_headers))
    return app


class _Handlers:
    def __init__(self, routes: Routes) -> None:
        self._routes = routes
        self._scraping = 0
        self._icon = ICON.read_bytes()

    async def metrics(self, request: web.Request) -> web.StreamResponse:
        if 0 < self._routes.max_requests <= self._scraping:
            text = f"{self._scraping} scrapes in progress; retry later\n"
            return web.Response(status=503, text=text, headers={"Retry-After": "1"})
        self._scraping += 1
        try:
            accept, coding = (", ".join(request.headers.getall(name, ())) for name in ("Accept", "Accept-Encoding"))
            page = await self._routes.exposition.scrape(accept, gzip=accepts_gzip(coding))
            response = web.StreamResponse(
                headers={"Content-Type": page.content_type, "Vary": "Accept, Accept-Encoding"}
            )
            if page.encoding:
                response.headers["Content-Encoding"] = page.encoding
            response.content_length = page.length
            await response.prepare(request)
            if request.method != "HEAD":
                await _write(response, page.parts)
            await response.write_eof()
        finally:
            self._scraping -= 1
        return response

    async def icon(self, request: web.Request) -> web.Response:
        return web.Response(body=self._icon, content_type="image/x-icon", headers={"Cache-Control": ICON_KEPT})

    async def healthy(self, request: web.Request) -> web.Response:
        return web.Response(text="OK\n")

    async def ready(self, request: web.Request) -> web.Response:
        why = self._routes.unready()
        return web.Response(status=503 if why else 200, text=f"{why or 'OK'}\n")

    async def reload(self, request: web.Request) -> web.Response:
        if self._routes.reload is None:
            return web.Response(status=403, text="reload is disabled; start with --web.enable-lifecycle\n")
        if _is_cross_site(request):
            return web.Response(status=403, text="rejected: sent by a browser for a page of another site\n")
        wrong = await self._routes.reload()
        return web.Response(status=500 if wrong else 200, text=wrong and f"{wrong}\n")


async def _write(response: web.StreamResponse, parts: Iterable[bytes]) -> None:
    """Write the parts at the client's pace; other tasks run in between."""
    for number, chunk in enumerate(_chunks(parts), 1):
        await response.write(chunk)
        if number % CHUNKS_BETWEEN_TURNS == 0:
            await asyncio.sleep(0)


def _chunks(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the parts in pieces of CHUNK bytes, the last one shorter."""
    kept: list[memoryview] = []
    room = CHUNK
    for part in parts:
        rest = memoryview(part)
        while len(rest) >= room:
            yield b"".join((*kept, rest[:room]))
            rest, kept, room = rest[room:], [], CHUNK
        kept.append(rest)
        room -= len(rest)
    yield b"".join(kept)


def _is_cross_site(request: web.Request) -> bool:
    """Return whether a browser sends the request for another origin's page: by fetch metadata, else by its Origin."""
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is not None:
        return site not in ("same-origin", "none")
    return origin is not None and origin.partition("://")[2] != request.host


@web.middleware
async def _uniform(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer errors in plain text; leave nothing of aiohttp's own pages."""
    if (request.content_length or 0) > LARGEST_BODY:
        return web.Response(status=413, text="413 the body is too large\n")
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
