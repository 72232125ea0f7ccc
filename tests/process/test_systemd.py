"""What systemd is notified of: that the service is ready, loads its config again, and stops."""

import asyncio
import signal
import socket
from pathlib import Path

import pytest

from exporter.process import systemd
from tests.support.processes import PATIENCE, program
from tests.support.programs import KEYS, simulator, write_config


def manager(address: str) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listening.bind(address)
    listening.setblocking(False)
    return listening


async def notified(listening: socket.socket) -> str:
    async with asyncio.timeout(PATIENCE):
        return (await asyncio.get_running_loop().sock_recv(listening, 1000)).decode()


async def test_the_service_is_ready_when_signals_and_requests_are_answered(tmp_path: Path) -> None:
    """At READY a reload loads the config: nothing can come too early any more."""
    with manager(str(tmp_path / "notify")) as listening:
        async with simulator().listen() as url:
            config = write_config(tmp_path / "config.yaml", url)
            flags = ("--config.file", str(config), "--web.listen-address", "127.0.0.1:0")
            environment = {**KEYS, "NOTIFY_SOCKET": str(tmp_path / "notify")}
            async with program(*flags, environment=environment) as exporter:
                assert await notified(listening) == "READY=1"
                exporter.process.send_signal(signal.SIGHUP)
                first, second = (await notified(listening)).split("\n")
                assert first == "RELOADING=1"
                assert second.removeprefix("MONOTONIC_USEC=").isdigit()
                assert await notified(listening) == "READY=1"
                assert await exporter.end() == 0
                assert await notified(listening) == "STOPPING=1"


async def test_an_abstract_socket_is_notified_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with manager(f"\0{tmp_path}") as listening:
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{tmp_path}")
        systemd.notify(systemd.READY)
        assert await notified(listening) == "READY=1"


@pytest.mark.parametrize("address", ["", "relative", "/nobody/listens/here", "@nobody"])
def test_a_missing_listener_is_no_failure(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    systemd.notify(systemd.READY)
