"""Sources of keys for tests: mounted files that are swapped, and servers that issue temporary credentials."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from aiohttp import web

from exporter.directmail.credentials import Credentials, FromFiles


class Responder(Protocol):
    """A server in one method."""

    async def respond(self, request: web.Request) -> web.StreamResponse: ...


@dataclass
class Mounted:
    """Files as Kubernetes mounts them: links through a directory that is swapped as a whole."""

    place: Path
    versions: int = 0

    def write(self, **files: str) -> None:
        self.versions += 1
        version = self.place / f"..v{self.versions}"
        version.mkdir()
        for name, text in files.items():
            (version / name).write_text(text)
            if not (self.place / name).is_symlink():
                (self.place / name).symlink_to(Path("..data") / name)
        swapped = self.place / "..swapped"
        swapped.symlink_to(version.name)
        swapped.replace(self.place / "..data")

    def source(self, token: bool = False) -> FromFiles:
        return FromFiles(self.place / "id", self.place / "secret", self.place / "token" if token else None)


@dataclass
class Issuer:
    """A credentials server and an STS in one: every response has the next number in it."""

    lifetime: float = 3600.0
    seen: list[web.Request] = field(default_factory=list)
    rejects: bool = False
    delay: float = 0.0

    async def respond(self, request: web.Request) -> web.Response:
        self.seen.append(request)
        number = len(self.seen)
        await asyncio.sleep(self.delay)
        if self.rejects:
            reported = {"Code": "NoPermission", "Message": "with a SECRET in it", "RequestId": "STS-1"}
            return web.json_response(reported, status=403)
        until = datetime.fromtimestamp(time.time() + self.lifetime, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        issued = {
            "AccessKeyId": f"STS.{number}",
            "AccessKeySecret": f"secret-{number}",
            "SecurityToken": f"token-{number}",
            "Expiration": until,
        }
        is_sts = "Action" in request.query
        return web.json_response({"Credentials": issued} if is_sts else {"Code": "Success", **issued})


@dataclass
class Metadata(Issuer):
    """The metadata service of an instance with a role, as a proxy sees the questions to it."""

    async def respond(self, request: web.Request) -> web.Response:
        if request.path.endswith("/api/token"):
            return web.Response(text="metadata-token")
        if request.path.endswith("/security-credentials/"):
            self.seen.append(request)
            return web.Response(text="instance-role")
        return await super().respond(request)


@asynccontextmanager
async def serving(server: Responder, certificate: tuple[Path, Path] | None = None) -> AsyncIterator[str]:
    """Serve on a port of the system's choice and give the URL; with the files of a certificate and its key over TLS."""

    async def respond(request: web.Request) -> web.StreamResponse:
        response = await server.respond(request)
        if request.secure:  # a connection that the library keeps would outlive the server
            response.force_close()
        return response

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", respond)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    try:
        yield f"{'https' if context else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
        for _ in range(10 if context else 0):  # a handshake that was broken off ends when the loop has seen it
            await asyncio.sleep(0)


def issued(number: int) -> Credentials:
    return Credentials(f"STS.{number}", f"secret-{number}", f"token-{number}")
