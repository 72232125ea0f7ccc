"""Which addresses are listened on, and what a wrong one is answered with."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from exporter.commands.flags import LISTEN_ADDRESS
from exporter.web.routes import Routes
from exporter.web.sockets import BindError, Resolve, bind, from_systemd, shown, split_address
from tests.support.command_line import run
from tests.support.processes import PATIENCE, get
from tests.support.programs import KEYS
from tests.support.web import Metrics, served, status

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (":10058", (None, 10058)),
        ("127.0.0.1:0", ("127.0.0.1", 0)),
        ("[::1]:9", ("::1", 9)),
        ("localhost:80", ("localhost", 80)),
    ],
)
def test_addresses_are_read_as_prometheus_programs_read_them(address: str, expected: tuple[str | None, int]) -> None:
    assert split_address(address) == expected


@pytest.mark.parametrize(
    ("address", "shown_as"),
    [
        pytest.param("", "'':", id="nothing"),
        pytest.param("  ", "'  ':", id="blanks"),
        pytest.param(":", ":: '' is not a port from 0 to 65535;", id="no-port"),
        pytest.param("127.0.0.1", "127.0.0.1:", id="host-alone"),
        pytest.param("::1:80", "::1:80:", id="v6-without-brackets"),
        pytest.param(":80#x", ":80#x: '80#x' is not a port from 0 to 65535;", id="fragment"),
        pytest.param("http://localhost:80", "http://localhost:80:", id="url"),
    ],
)
def test_an_invalid_address_is_one_line_with_an_example(address: str, shown_as: str) -> None:
    with pytest.raises(BindError) as caught:
        bind(["127.0.0.1:0", address])
    assert str(caught.value) == f"cannot listen on {shown_as} write host:port, [v6 address]:port or :port"


@pytest.mark.parametrize(
    ("address", "why"),
    [
        pytest.param("192.0.2.1:80", "cannot assign requested address", id="not-of-this-machine"),
        pytest.param("nowhere.invalid:80", "unknown host", id="unknown-name"),
        pytest.param("a..b:80", "unknown host", id="empty-label"),
        pytest.param(f"{'x' * 300}:80", "unknown host", id="long-label"),
    ],
)
def test_an_address_that_cannot_be_had_is_one_line(address: str, why: str) -> None:
    with pytest.raises(BindError) as caught:
        bind(["127.0.0.1:0", address])
    assert str(caught.value) == f"cannot listen on {address}: {why}"


def test_no_address_at_all_is_an_error() -> None:
    with pytest.raises(BindError, match="no address to listen on"):
        bind([])


@pytest.mark.parametrize("blank", ["", " "])
def test_a_blank_variable_is_not_every_interface(blank: str) -> None:
    for command in ([], ["healthcheck"]):
        result = run(*command, environment={LISTEN_ADDRESS: blank})
        assert result.exit_code == 2
        assert f"{LISTEN_ADDRESS} is blank; write host:port, or unset it" in result.output
    example = ("--config.check", "--config.file", str(ROOT / "config.example.yaml"))
    assert run(*example, "--web.listen-address", ":1", environment={**KEYS, LISTEN_ADDRESS: blank}).exit_code == 0


async def test_several_addresses_are_listened_on_ipv6_too() -> None:
    routes = Routes(Metrics(), lambda: "", status, None)
    async with served(routes, "127.0.0.1:0", "[::1]:0") as addresses, aiohttp.ClientSession() as session:
        assert len(addresses) == 2
        for address in addresses:
            async with session.get(f"http://{address}/-/healthy") as response:
                assert response.status == 200


@pytest.mark.parametrize("address", [":0", "[::]:0"])
async def test_every_interface_is_that_of_both_families(address: str) -> None:
    async with served(Routes(Metrics(), lambda: "", status, None), address) as (listening,):
        port = listening.rpartition(":")[2]
        assert await get(f"http://127.0.0.1:{port}/-/healthy") == (200, "OK\n")
        assert await get(f"http://[::1]:{port}/-/healthy") == (200, "OK\n")


class TestANameOfSeveralAddresses:
    """As localhost is in containers: ::1 in /etc/hosts, but not on the loopback interface."""

    def resolve(self, *addresses: str) -> Resolve:
        def resolve(host: str, port: int, **options: Any) -> list[Any]:
            return [found for address in addresses for found in socket.getaddrinfo(address, port, **options)]

        return resolve

    def test_one_that_is_here_is_enough(self) -> None:
        (bound,) = bind(["localhost:0"], self.resolve("2001:db8::1", "127.0.0.1", "192.0.2.1"))
        with bound:
            assert shown(bound).startswith("127.0.0.1:")

    def test_none_that_is_here_is_an_error(self) -> None:
        with pytest.raises(BindError, match="cannot listen on localhost:0: cannot assign requested address"):
            bind(["localhost:0"], self.resolve("2001:db8::1", "192.0.2.1"))

    def test_a_port_in_use_is_an_error(self) -> None:
        """A client that connects to the name would reach one program or the other."""
        with socket.create_server(("127.0.0.2", 0)) as in_use:
            port = in_use.getsockname()[1]
            with pytest.raises(BindError, match=f"cannot listen on localhost:{port}: address already in use"):
                bind([f"localhost:{port}"], self.resolve("127.0.0.1", "127.0.0.2"))


async def test_sockets_of_systemd_are_listened_on(tool: Callable[[str], Path], tmp_path: Path) -> None:
    """systemd-socket-activate does what a socket unit does: it listens, and starts the program at the first visit."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    text = "targets:\n  - name: shop\n    endpoint: http://127.0.0.1:9\n    queries: [{name: account}]\n"
    (tmp_path / "config.yaml").write_text(text)
    program = (sys.executable, "-m", "exporter", "--config.file", tmp_path / "config.yaml", "--web.systemd-socket")
    process = await asyncio.create_subprocess_exec(
        *(tool("systemd-socket-activate"), "--listen", address, *program), stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    try:
        await process.stderr.readline()  # it listens now
        assert (await get(f"http://{address}/-/healthy"))[0] == 200
    finally:
        process.terminate()
        _, errors = await asyncio.wait_for(process.communicate(), PATIENCE)
    assert process.returncode == 0
    assert f"addresses={address}".encode() in errors


@pytest.mark.parametrize(
    "environment",
    [
        pytest.param({}, id="none"),
        pytest.param({"LISTEN_PID": "1", "LISTEN_FDS": "1"}, id="another-process"),
        pytest.param({"LISTEN_PID": "7", "LISTEN_FDS": "x"}, id="no-number"),
        pytest.param({"LISTEN_PID": "7", "LISTEN_FDS": "0"}, id="zero"),
        pytest.param({"LISTEN_PID": "7", "LISTEN_FDS": "²"}, id="a-digit-that-is-none"),
        pytest.param({"LISTEN_PID": "7", "LISTEN_FDS": "9" * 5000}, id="too-many"),
    ],
)
def test_sockets_that_systemd_did_not_pass_are_an_error(environment: dict[str, str]) -> None:
    with pytest.raises(BindError, match="systemd passed no socket; start the service through its socket unit"):
        from_systemd(environment, 7)


@pytest.mark.parametrize("passed", ["nothing", "a file", "a socket for packets", "a connection"])
def test_what_is_passed_and_is_no_listening_socket_is_one_line(passed: str, tmp_path: Path) -> None:
    """File descriptor 3 is what the child finds there; systemd names the process by its id."""
    what = {
        "nothing": "os.close(3) if os.path.exists('/proc/self/fd/3') else None",
        "a file": "os.dup2(os.open('/dev/null', os.O_RDONLY), 3)",
        "a socket for packets": "s = socket.socket(type=socket.SOCK_DGRAM); os.dup2(s.fileno(), 3)",
        "a connection": "a, b = socket.socketpair(); os.dup2(a.fileno(), 3)",
    }[passed]
    code = (
        f"import os, socket\n{what}\nfrom exporter.web.sockets import from_systemd\n"
        "from_systemd({'LISTEN_PID': str(os.getpid()), 'LISTEN_FDS': '1'}, os.getpid())"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.stderr.splitlines()[-1] == (
        "exporter.web.sockets.BindError: --web.systemd-socket: file descriptor 3 is not a listening socket; "
        "write ListenStream= and no Accept= in the unit"
    )


def test_a_passed_socket_is_used() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        code = (
            f"import os; os.dup2({listening.fileno()}, 3)\nfrom exporter.web.sockets import from_systemd, shown\n"
            "print(*map(shown, from_systemd({'LISTEN_PID': str(os.getpid()), 'LISTEN_FDS': '1'}, os.getpid())))"
        )
        ended = subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
            pass_fds=[listening.fileno()],
        )
        assert ended.stdout.strip() == shown(listening)
