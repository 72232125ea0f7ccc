"""The doctor at an endpoint with a private authority, trusted in the way that the documentation names."""

import asyncio
import os
import ssl
import sys
from pathlib import Path

import pytest

from tests.support.certificates import Authority
from tests.support.doctor import KEYS, config_text

BODY = b'{"Code": "Forbidden.RAM", "RequestId": "ID-1"}'
ANSWER = b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)


@pytest.mark.parametrize("is_named", [True, False], ids=["named", "not-named"])
async def test_ssl_cert_file_names_the_authorities_that_are_trusted(is_named: bool, tmp_path: Path) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.read(65_536):
            writer.write(ANSWER)
            await writer.drain()
        writer.close()

    authority = Authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("api"))
    path = tmp_path / "config.yaml"
    environment = {**os.environ, **KEYS}
    environment.pop("SSL_CERT_FILE", None)
    if is_named:
        environment["SSL_CERT_FILE"] = str(authority.file)
    async with await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context) as server:
        path.write_text(config_text(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"))
        doctor = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "exporter", "doctor", "--config.file", str(path)),
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        shown = " ".join((await doctor.communicate())[0].decode().split())
    assert ("may not call GetTrackList" in shown) == is_named
    assert ("Certificate not trusted: unable to get local issuer certificate." in shown) == (not is_named)
