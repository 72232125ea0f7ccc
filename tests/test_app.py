"""The whole program from start to end: signals, bugs, reload."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from structlog.testing import capture_logs

from exporter.app import App
from exporter.clock import VirtualClock
from exporter.polling import GRACE
from exporter.reload import load
from exporter.simulator.faults import Fault
from exporter.simulator.server import Simulator
from exporter.web.listener import SHUTDOWN_SECONDS
from exporter.web.server import Options
from tests.support.processes import PATIENCE, get, program, started, until
from tests.support.programs import KEYS, SENDERS, simulator, write_config


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_program_in_good_order(number: signal.Signals, tmp_path: Path) -> None:
    async with simulator().listen() as url:
        config = write_config(tmp_path / "config.yaml", url)
        flags = ("--config.file", str(config), "--web.listen-address", "127.0.0.1:0")
        async with program(*flags, environment=KEYS) as exporter:
            address = await exporter.address()
            await until(f"http://{address}/-/ready", "OK")
            assert await exporter.end(number) == 0
            assert not any("Traceback" in line for line in exporter.lines)


async def test_it_ends_within_five_seconds_while_the_api_hangs(tmp_path: Path) -> None:
    """It would wait for ten minutes for the response, and does not."""
    assert GRACE + SHUTDOWN_SECONDS <= 5
    async with simulator(faults=[Fault("hang")]).listen() as url:
        config = write_config(tmp_path / "config.yaml", url)
        config.write_text(config.read_text().replace("timeout: 60s", "timeout: 10m"))
        flags = ("--config.file", str(config), "--web.listen-address", "127.0.0.1:0")
        async with program(*flags, environment=KEYS) as exporter:
            address = await exporter.address()
            assert (await get(f"http://{address}/-/healthy"))[0] == 200
            assert await exporter.end() == 0


async def test_a_bug_in_the_loop_ends_the_program_loudly(tmp_path: Path) -> None:
    """The bug: a store that cannot store what was read."""
    broken = (
        "from exporter.store.memory import Store; Store.put = lambda *a, **k: 1 // 0; "
        "from exporter.commands.main import main; main()"
    )
    async with simulator().listen() as url:
        config = write_config(tmp_path / "config.yaml", url)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", broken),
            *("--config.file", str(config), "--web.listen-address", "127.0.0.1:0"),
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, **KEYS},
        )
        _, errors = await asyncio.wait_for(process.communicate(), PATIENCE)
    assert process.returncode == 1
    assert b"ZeroDivisionError" in errors
    assert b"please report" in errors


async def test_a_bug_in_a_reload_is_loud_and_does_not_end_the_program(tmp_path: Path) -> None:
    """The bug: a file that nobody thought of."""
    broken = (
        "import sys; sys.argv[0] = 'directmail-exporter'; from exporter import app; app.load = lambda *a: {}['odd']; "
        "from exporter.commands.main import main; main()"
    )
    async with simulator().listen() as url:
        config = write_config(tmp_path / "config.yaml", url)
        flags = ("--config.file", str(config), "--web.listen-address", "127.0.0.1:0")
        async with program(*flags, environment=KEYS, code=broken) as exporter:
            address = await exporter.address()
            exporter.process.send_signal(signal.SIGHUP)
            assert "keeping the previous config" in await exporter.line_with("please report")
            await exporter.line_with("KeyError: 'odd'")
            text = await until(f"http://{address}/metrics", "config_last_reload_successful 0.0")
            assert 'directmail_up{target="shop"}' in text
            assert await exporter.end() == 0


class TestInOneProcess:
    """The same, driven from inside."""

    async def test_every_page_is_there(self, tmp_path: Path) -> None:
        async with simulator().listen() as url:
            settings = load(write_config(tmp_path / "config.yaml", url))
            app = App(settings, Options(listen_addresses=("127.0.0.1:0",)), environment=KEYS)
            task, base = await started(app)
            await until(f"{base}/-/ready", "OK")
            assert (await get(f"{base}/"))[0] == 200
            assert (await get(f"{base}/-/healthy")) == (200, "OK\n")
            await until(f"{base}/metrics", 'directmail_up{target="shop"} 1.0')
            text = await until(f"{base}/metrics", 'window="yesterday"')
            assert "_created" not in text
            app.stop()
            await task

    async def test_metrics_of_the_process_are_shown_unless_they_are_disabled(self, tmp_path: Path) -> None:
        async with simulator().listen() as url:
            settings = load(write_config(tmp_path / "config.yaml", url))
            for disabled in (False, True):
                options = Options(listen_addresses=("127.0.0.1:0",))
                app = App(settings, options, environment=KEYS, process_metrics=not disabled)
                task, base = await started(app)
                text = await until(f"{base}/metrics", "directmail_up")
                assert ("process_resident_memory_bytes" not in text) == ("python_info" not in text) == disabled
                app.stop()
                await task

    async def test_it_is_not_ready_before_every_combination_was_tried(self, tmp_path: Path) -> None:
        async with simulator(faults=[Fault("hang")]).listen() as url:
            settings = load(write_config(tmp_path / "config.yaml", url))
            app = App(settings, Options(listen_addresses=("127.0.0.1:0",)), environment=KEYS)
            task, base = await started(app)
            assert await get(f"{base}/-/ready") == (503, "shop: 2 combinations not tried yet\n")
            app.stop()
            await task

    async def test_a_reload_keeps_what_both_configs_share_and_drops_the_rest(self, tmp_path: Path) -> None:
        path = tmp_path / "config.yaml"
        api = simulator()
        async with api.listen() as url:
            write_config(path, url)
            options = Options(listen_addresses=("127.0.0.1:0",), enable_lifecycle=True)
            app = App(load(path), options, environment=KEYS, config_file=path)
            task, base = await started(app)
            await until(f"{base}/metrics", f'directmail_track_emails{{account_name="{SENDERS[1]}"')
            async with asyncio.timeout(PATIENCE):
                while len(api.requests) < 4:  # two days of two senders
                    await asyncio.sleep(0.02)
            await _quiet(api)
            api.requests.clear()
            write_config(path, url, SENDERS[0], SENDERS[2])
            assert await app.reload() == ()
            await until(f"{base}/metrics", f'directmail_track_emails{{account_name="{SENDERS[2]}"')
            await _quiet(api)
            _, text = await get(f"{base}/metrics")
            requested = {seen.parameters["AccountName"] for seen in api.requests}
            app.stop()
            await task
        assert requested == {SENDERS[2]}
        assert SENDERS[0] in text
        assert SENDERS[1] not in text

    async def test_a_target_that_becomes_another_account_shows_nothing_of_the_old_one(self, tmp_path: Path) -> None:
        path = tmp_path / "config.yaml"
        old, new = simulator(), simulator(faults=[Fault("hang")])
        async with old.listen() as url, new.listen() as other_url:
            write_config(path, url)
            app = App(load(path), Options(listen_addresses=("127.0.0.1:0",)), environment=KEYS, config_file=path)
            task, base = await started(app)
            await until(f"{base}/metrics", "directmail_track_emails{")
            write_config(path, other_url)
            assert await app.reload() == ()
            _, text = await get(f"{base}/metrics")
            app.stop()
            await task
        assert "directmail_track_emails{" not in text
        assert "directmail_query_stale{account_name=" in text

    async def test_a_reload_with_another_state_file_names_the_one_in_use(self, tmp_path: Path) -> None:
        path, files = tmp_path / "config.yaml", [tmp_path / f"{name}.db" for name in "abca"]
        async with simulator().listen() as url:
            write_config(path, url, head=f"state_file: {files[0]}")
            app = App(load(path), Options(listen_addresses=("127.0.0.1:0",)), environment=KEYS, config_file=path)
            task, _ = await started(app)
            with capture_logs() as lines:
                for file in files[1:]:
                    write_config(path, url, head=f"state_file: {file}")
                    assert await app.reload() == ()
            app.stop()
            await task
        warned = [line["in_use"] for line in lines if line["event"] == "state_file change needs a restart"]
        assert warned == [str(files[0])] * 2

    async def test_a_bad_config_keeps_the_old_one_running(self, tmp_path: Path) -> None:
        path = tmp_path / "config.yaml"
        async with simulator().listen() as url:
            write_config(path, url)
            options = Options(listen_addresses=("127.0.0.1:0",), enable_lifecycle=True)
            app = App(load(path), options, environment=KEYS, config_file=path)
            task, base = await started(app)
            await until(f"{base}/metrics", 'directmail_up{target="shop"} 1.0')
            write_config(path, url, head="max_serie: 3\nstale_after: soon")
            with capture_logs() as lines:
                status, reasons = await post(f"{base}/-/reload")
            rejected = await until(f"{base}/metrics", "directmail_exporter_config_last_reload_successful 0.0")
            write_config(path, url)
            again = await post(f"{base}/-/reload")
            text = await until(f"{base}/metrics", "directmail_exporter_config_last_reload_successful 1.0")
            app.stop()
            await task
        assert (status, reasons.splitlines()) == (500, [f"{place}: {why}" for place, why in reported(lines)])
        assert ("max_serie", "unknown key 'max_serie'; did you mean 'max_series'?") in reported(lines)
        assert "stale_after" in {place for place, _ in reported(lines)}
        assert again == (200, "")
        assert 'directmail_up{target="shop"} 1.0' in rejected
        assert 'directmail_up{target="shop"} 1.0' in text

    async def test_a_file_name_that_is_no_text_is_shown_as_far_as_it_is(self, tmp_path: Path) -> None:
        async with simulator().listen() as url:
            path = write_config(tmp_path / os.fsdecode(b"config-\xff.yaml"), url)
            app = App(load(path), Options(("127.0.0.1:0",)), environment=KEYS, config_file=path)
            task, base = await started(app)
            status, text = await get(f"{base}/")
            app.stop()
            await task
        assert status == 200
        assert r"config-\udcff.yaml" in text

    async def test_sighup_loads_the_config_again(self, tmp_path: Path) -> None:
        async with simulator().listen() as url:
            path = write_config(tmp_path / "config.yaml", url)
            app = App(load(path), Options(("127.0.0.1:0",)), environment=KEYS, config_file=path)
            task, base = await started(app)
            write_config(path, url, SENDERS[2], head=f"state_file: {tmp_path / 'state.db'}")
            with capture_logs() as lines:
                os.kill(os.getpid(), signal.SIGHUP)
                await until(f"{base}/metrics", f'account_name="{SENDERS[2]}"')
            assert await post(f"{base}/-/reload") == (403, "reload is disabled; start with --web.enable-lifecycle\n")
            app.stop()
            await task
        assert "state_file change needs a restart" in [line["event"] for line in lines]

    async def test_no_scrape_sees_half_of_a_reload(self, tmp_path: Path) -> None:
        """One target goes and the other one changes; a client that scrapes all the time sees all of it or nothing."""
        path = tmp_path / "config.yaml"
        async with simulator().listen() as url:
            two = write_config(path, url).read_text() + path.read_text().split("targets:\n")[1].replace("shop", "fair")
            path.write_text(two)
            app = App(load(path), Options(("127.0.0.1:0",)), environment=KEYS, config_file=path)
            task, base = await started(app)
            await until(f"{base}/-/ready", "OK")
            write_config(path, url, SENDERS[1])
            reloading = asyncio.create_task(app.reload())
            seen = []
            while not reloading.done():
                seen.append(await senders_of(base))
            seen.append(await senders_of(base))
            app.stop()
            await task
        before = {("shop", SENDERS[0]), ("shop", SENDERS[1]), ("fair", SENDERS[0]), ("fair", SENDERS[1])}
        assert set(map(frozenset, seen)) <= {frozenset(before), frozenset({("shop", SENDERS[1])})}
        assert seen[-1] == {("shop", SENDERS[1])}

    async def test_with_auto_reload_the_swap_of_a_config_map_is_enough(self, tmp_path: Path) -> None:
        """The kubelet links the file through a folder that it swaps as a whole; a bad one is not loaded."""
        path = tmp_path / "config.yaml"
        path.symlink_to(Path("..data") / path.name)

        def mount(version: str, *senders: str, head: str = "") -> None:
            (tmp_path / version).mkdir()
            write_config(tmp_path / version / path.name, url, *senders, head=head)
            (tmp_path / "..new").symlink_to(version)
            (tmp_path / "..new").replace(tmp_path / "..data")

        async with simulator().listen() as url:
            mount("..v1")
            options = Options(("127.0.0.1:0",))
            app = App(
                load(path), options, clock=VirtualClock(100), environment=KEYS, config_file=path, auto_reload=True
            )
            task, base = await started(app)
            mount("..v2", SENDERS[2])
            await until(f"{base}/metrics", f'account_name="{SENDERS[2]}"')
            mount("..v3", head="max_serie: 3")
            await until(f"{base}/", "unknown key")
            text = await until(f"{base}/metrics", "config_last_reload_successful 0.0")
            app.stop()
            await task
        assert SENDERS[0] not in text


def reported(lines: list[Any]) -> list[tuple[str, str]]:
    return [(line["place"], line["problem"]) for line in lines if line["log_level"] == "error"]


async def post(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.post(url) as response:
        return response.status, await response.text()


async def senders_of(base: str) -> set[tuple[str, str]]:
    """Return the targets and senders of which a scrape has health."""
    _, text = await get(f"{base}/metrics")
    lines = [line for line in text.splitlines() if line.startswith("directmail_query_success{")]
    return {(line.split('target="')[1].split('"')[0], line.split('account_name="')[1].split('"')[0]) for line in lines}


async def _quiet(api: Simulator) -> None:
    """Return when the simulator is requested no more."""
    before = -1
    while before != len(api.requests):
        before = len(api.requests)
        await asyncio.sleep(0.3)
