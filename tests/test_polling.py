"""Discovery in the whole program, over HTTP: what is listed is polled, shown and kept; nothing is requested twice."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from exporter.app import App
from exporter.clock import VirtualClock
from exporter.config.queries import DISCOVERABLE
from exporter.directmail.listing import OPERATIONS
from exporter.directmail.statistics.registry import STATISTICS
from exporter.reload import load
from exporter.simulator.behaviour import Behaviour
from exporter.simulator.faults import Fault
from exporter.simulator.server import Simulator
from exporter.web.server import Options
from tests.support.processes import PATIENCE, get, started, until
from tests.support.programs import KEYS, SENDERS
from tests.support.tasks import running
from tests.support.web import text_of

AFTERNOON = 1_776_844_800.0
"""2026-04-22 16:00 in Shanghai, where the account's day begins."""
ACTIONS = {each.action for each in STATISTICS.values()}
TAGS = ("onboarding", "password-reset", "promo", "receipt", "signup", "weekly-newsletter")
ALL_FILTERS = """
      - {name: account}
      - {name: senders, account_name: {discover: true}}
      - {name: tags, account_name: [news@mail.example.com], tag_name: {discover: true}}
      - {name: sets, config_set_id: {discover: true}}
      - {name: ips, dedicated_ip: {discover: true}}
      - {name: pools, dedicated_ip_pool_id: {discover: true}}
      - {name: domains, domain: {discover: true}}
"""
OF_BOTH = """
      - {name: account, statistics: [engagement, delivery]}
      - name: tags
        account_name: [news@mail.example.com]
        tag_name: {discover: true}
        statistics: [engagement, delivery]
      - {name: sets, config_set_id: {discover: true}}
"""
OF_TAGS = """
      - {name: account}
      - {name: tags, account_name: [news@mail.example.com], tag_name: {discover: true}}
"""


def simulator(*faults: Fault, largest_page: int = 1000, speed: float = 1.0) -> Simulator:
    """Return a simulator whose clock is so fast, and far from midnight."""
    behaviour = Behaviour(calls_per_minute=1_000_000, largest_page=largest_page)
    return Simulator(clock=VirtualClock(speed, AFTERNOON), behaviour=behaviour, faults=list(faults))


def write_config(path: Path, endpoint: str, queries: str, head: str = "") -> Path:
    path.write_text(
        f"{head}\npoll_interval: 12h\nwindows: [today]\ntargets:\n  - name: shop\n    endpoint: {endpoint}\n"
        f"    rate_limit_per_minute: 6000\n    timeout: 60s\n    queries: {queries}"
    )
    return path


@asynccontextmanager
async def exporter(config: Path, api: Simulator) -> AsyncIterator[tuple[App, str]]:
    """Run the program on the simulator's clock; yield it and its URL."""
    options = Options(listen_addresses=("127.0.0.1:0",))
    app = App(load(config), options, clock=api.clock, environment=KEYS, config_file=config)
    task, base = await started(app)
    try:
        yield app, base
    finally:
        app.stop()
        await task


def calls_made(api: Simulator) -> Counter[str]:
    return Counter(seen.action for seen in api.requests)


def cells(api: Simulator) -> Counter[tuple[str, ...]]:
    """Return how often each cell was requested."""
    names = ("AccountName", "TagName", "ConfigSetId", "DedicatedIp", "DedicatedIpPoolId", "Domain", "StartTime")
    return Counter(
        (*(seen.parameters.get(name, "") for name in names), seen.action)
        for seen in api.requests
        if seen.action in ACTIONS
    )


async def gone(url: str, text: str) -> str:
    """Return what a URL answers as soon as the text is not in it any more."""
    async with asyncio.timeout(PATIENCE):
        while text in (response := (await get(url))[1]):
            await asyncio.sleep(0.05)
    return response


async def never_without(url: str, texts: Collection[str]) -> None:
    """Scrape on and on; every response has all of the texts."""
    while True:
        _, response = await get(url)
        assert [text for text in texts if text not in response] == []


async def test_every_filter_is_listed_polled_and_shown(tmp_path: Path) -> None:
    assert all(f"{key}: {{discover: true}}" in ALL_FILTERS for key in DISCOVERABLE)
    api = simulator(largest_page=2)
    async with api.listen() as url, exporter(write_config(tmp_path / "c.yaml", url, ALL_FILTERS), api) as (_, base):
        status, text = await get(f"{base}/-/ready")
        assert (status, "lists not tried yet" in text) == (503, True)
        await until(f"{base}/-/ready", "OK")
        for action in (operation.action for operation in OPERATIONS.values()):
            text = await until(f"{base}/metrics", f'discovered_values{{action="{action}",target="shop"}}')
    assert set(cells(api).values()) == {1}, "no cell is asked for twice, whatever plan was followed meanwhile"
    shown = [line for line in text.splitlines() if line.startswith("directmail_track_emails{")]
    assert len(shown) == 1 + len(SENDERS) + len(TAGS) + 2 + 2 + 2 + 2
    for name in (
        'account_name="product@mail.example.com"',
        'tag_name="promo"',
        'config_set_id="set-system"',
        'domain="notify.example.com"',
    ):
        assert any(name in line for line in shown)
    for action, values, calls in (
        ("QueryMailAddressByParam", 3, 2),
        ("QueryTagByParam", 6, 3),
        ("ConfigSetList", 2, 1),
        ("DedicatedIpList", 2, 1),
        ("DedicatedIpPoolList", 2, 1),
        ("QueryDomainByParam", 2, 1),
    ):
        assert calls_made(api)[action] == calls
        assert f'discovery_success{{action="{action}",target="shop"}} 1.0' in text
        assert f'discovered_values{{action="{action}",target="shop"}} {values}.0' in text
        assert f'api_requests_total{{action="{action}",target="shop"}} {calls}.0' in text
    assert 'combinations_dropped{action="GetTrackList",target="shop"} 0.0' in text


class TestTwoStatistics:
    """Each is polled, shown and logged for itself."""

    DELIVERY = STATISTICS["delivery"].action

    async def test_both_have_what_is_listed_and_each_cell_is_requested_once(self, tmp_path: Path) -> None:
        api = simulator()
        async with api.listen() as url, exporter(write_config(tmp_path / "c.yaml", url, OF_BOTH), api) as (_, base):
            await until(f"{base}/-/ready", "OK")
            for action, count in (("GetTrackList", 1 + len(TAGS) + 2), (self.DELIVERY, 1 + len(TAGS))):
                line = f'api_requests_total{{action="{action}",target="shop"}} {count}.0'
                text = await until(f"{base}/metrics", line)  # it may take a second
        assert set(cells(api).values()) == {1}
        assert calls_made(api)["QueryTagByParam"] == 1, "one list serves both"
        assert text.count("directmail_track_emails{") == 1 + len(TAGS) + 2
        assert text.count("directmail_delivery_delivered_emails{") == 1 + len(TAGS)
        for action in ("GetTrackList", self.DELIVERY):
            assert f'planned_requests_per_minute{{action="{action}",target="shop"}}' in text
        assert text.count("directmail_query_success{") == 2 * (1 + len(TAGS)) + 2
        assert text.count("directmail_track_window_end_timestamp_seconds{") == 1, "the bounds are the target's"

    async def test_one_that_fails_does_not_affect_the_other(self, tmp_path: Path) -> None:
        api = simulator(Fault("forbidden", action=self.DELIVERY))
        async with api.listen() as url, exporter(write_config(tmp_path / "c.yaml", url, OF_BOTH), api) as (_, base):
            await until(f"{base}/-/ready", "OK")
            text = await until(f"{base}/metrics", 'directmail_up{target="shop"} 1.0')
        assert text.count("directmail_track_emails{") == 1 + len(TAGS) + 2
        assert "directmail_delivery_delivered_emails{" not in text
        health = [line for line in text.splitlines() if line.startswith("directmail_query_success{")]
        assert {line.endswith(" 1.0") for line in health if 'statistic="engagement"' in line} == {True}
        assert {line.endswith(" 0.0") for line in health if 'statistic="delivery"' in line} == {True}

    async def test_a_reload_can_remove_one_and_add_it_again(self, tmp_path: Path) -> None:
        api = simulator()
        async with api.listen() as url:
            config = write_config(tmp_path / "c.yaml", url, OF_BOTH)
            async with exporter(config, api) as (app, base):
                await until(f"{base}/-/ready", "OK")
                write_config(config, url, OF_BOTH.replace("engagement, delivery", "engagement"))
                assert await app.reload() == ()
                _, text = await get(f"{base}/metrics")
                assert "directmail_delivery_delivered_emails{" not in text
                assert 'statistic="delivery"' not in text
                assert f'poll_interval_seconds{{action="{self.DELIVERY}"' not in text
                assert text.count("directmail_track_emails{") == 1 + len(TAGS) + 2
                write_config(config, url, OF_BOTH)
                assert await app.reload() == ()
                await until(f"{base}/metrics", "directmail_delivery_delivered_emails{")
                _, text = await get(f"{base}/metrics")
                assert text.count("directmail_delivery_delivered_emails{") == 1 + len(TAGS)
        assert set(cells(api).values()) == {1}, "what is known of it was kept"


async def test_what_needs_no_discovery_is_polled_while_it_hangs(tmp_path: Path) -> None:
    api = simulator(Fault("hang", action="QueryTagByParam"))
    async with api.listen() as url, exporter(write_config(tmp_path / "c.yaml", url, OF_TAGS), api) as (_, base):
        text = await until(f"{base}/metrics", 'directmail_track_emails{account_name=""')
        assert (await get(f"{base}/-/ready")) == (503, "shop: 1 lists not tried yet\n")
        assert "discovery_success{" not in text
        assert "discovered_values{" not in text


async def test_an_operation_that_never_responds_is_logged_before_its_last_attempts(tmp_path: Path) -> None:
    api = simulator(Fault("hang", action="GetTrackList"))
    async with api.listen() as url:
        config = write_config(tmp_path / "c.yaml", url, OF_TAGS)
        config.write_text(config.read_text().replace("timeout: 60s", "timeout: 3s"))
        with capture_logs() as lines:
            async with exporter(config, api):
                async with asyncio.timeout(PATIENCE):
                    while not any(line["event"].endswith("failing") for line in lines):
                        await asyncio.sleep(0.01)
                assert max(cells(api).values()) < 3
    (line,) = [line for line in lines if line["event"].endswith("failing")]
    assert (line["event"], line["action"], line["reason"]) == ("operation failing", "GetTrackList", "timeout")


async def test_values_come_and_go_and_the_others_lose_nothing(tmp_path: Path) -> None:
    api = simulator(speed=60)
    async with api.listen() as url:
        config = write_config(tmp_path / "c.yaml", url, OF_TAGS, head="discovery_interval: 1m")
        async with exporter(config, api) as (_, base):
            await until(f"{base}/-/ready", "OK")
            api.inventory.tags = [*TAGS[1:], "spring sale"]
            stay = [f'tag_name="{tag}",target="shop",window="today"' for tag in ("", *TAGS[1:])]
            async with running(never_without(f"{base}/metrics", stay)):
                await until(f"{base}/metrics", 'tag_name="spring sale",target="shop",window="today"')
                text = await gone(f"{base}/metrics", f'tag_name="{TAGS[0]}"')
    assert text.count("directmail_track_emails{") == 1 + len(TAGS)
    assert set(cells(api).values()) == {1}
    assert calls_made(api)["QueryTagByParam"] >= 3


async def test_a_list_that_fails_keeps_the_last_one_and_reports_it(tmp_path: Path) -> None:
    api = simulator(speed=60)
    async with api.listen() as url:
        config = write_config(tmp_path / "c.yaml", url, OF_TAGS, head="discovery_interval: 1m")
        async with exporter(config, api) as (_, base):
            await until(f"{base}/-/ready", "OK")
            api.faults.append(Fault("forbidden", action="QueryTagByParam"))
            text = await until(f"{base}/metrics", 'discovery_success{action="QueryTagByParam",target="shop"} 0.0')
            assert 'discovered_values{action="QueryTagByParam",target="shop"} 6.0' in text
            assert text.count("directmail_track_emails{") == 1 + len(TAGS)
            assert 'errors_total{action="QueryTagByParam",reason="permission",target="shop"}' in text


async def test_after_a_restart_what_was_known_is_polled_although_no_list_comes(tmp_path: Path) -> None:
    api = simulator()
    async with api.listen() as url:
        head = f"state_file: {tmp_path / 'state.db'}\nmax_series: 60"
        config = write_config(tmp_path / "c.yaml", url, OF_TAGS, head=head)
        async with exporter(config, api) as (_, base):
            await until(f"{base}/-/ready", "OK")
        api.requests.clear()
        api.faults.append(Fault("error", action="QueryTagByParam"))
        # Sorted before the others, and yet younger than they are.
        api.inventory.tags = ["a-new-one", *TAGS]
        with capture_logs() as lines:
            async with exporter(config, api) as (_, base):
                _, text = await get(f"{base}/metrics")
                api.faults.clear()
                await until(f"{base}/metrics", 'discovered_values{action="QueryTagByParam",target="shop"} 7.0')
                _, later = await get(f"{base}/metrics")
    for page in (text, later):
        assert [f'tag_name="{tag}"' in page for tag in TAGS] == [True] * 2 + [False] * 4
        assert "a-new-one" not in page
    assert 'combinations_dropped{action="GetTrackList",target="shop"} 4.0' in text
    assert 'discovered_values{action="QueryTagByParam",target="shop"} 7.0' in later
    assert cells(api) == {}
    left_out = [line["left_out"] for line in lines if "combinations left out" in line["event"]]
    assert left_out == [4, 5]


class TestReload:
    async def test_removing_discovery_from_the_config_removes_its_combinations(self, tmp_path: Path) -> None:
        api = simulator()
        async with api.listen() as url:
            config = write_config(tmp_path / "c.yaml", url, OF_TAGS)
            async with exporter(config, api) as (app, base):
                await until(f"{base}/-/ready", "OK")
                write_config(config, url, " [{name: account}]")
                assert await app.reload() == ()
                text = await gone(f"{base}/metrics", 'tag_name="promo"')
                assert "discovery_success{" not in text
                write_config(config, url, OF_TAGS)
                assert await app.reload() == ()
                await until(f"{base}/metrics", 'tag_name="promo"')
        assert set(cells(api).values()) == {1}

    async def test_a_reload_while_a_list_is_on_its_way_is_followed_and_so_is_the_list(self, tmp_path: Path) -> None:
        api = simulator(Fault("slow", seconds=0.5, action="QueryTagByParam"))
        async with api.listen() as url:
            config = write_config(tmp_path / "c.yaml", url, OF_TAGS)
            async with exporter(config, api) as (app, base):
                while not calls_made(api)["QueryTagByParam"]:
                    await asyncio.sleep(0.01)
                write_config(config, url, OF_TAGS + "      - {name: one, account_name: product@mail.example.com}\n")
                assert await app.reload() == ()
                await until(f"{base}/-/ready", "OK")
                _, text = await get(f"{base}/metrics")
        assert text.count("directmail_track_emails{") == 2 + len(TAGS)
        assert set(cells(api).values()) == {1}
        assert calls_made(api)["QueryTagByParam"] == 1


@pytest.mark.parametrize("tag", ['quo"te', "back\\slash", "标签/x&y", "{a='b'}", "+%20 *~", "\u202eevil", "x" * 256])
async def test_hostile_names_are_requested_and_shown_as_they_are(tag: str, tmp_path: Path) -> None:
    api = simulator()
    api.inventory.tags = [tag, "a\nb", ""]
    async with api.listen() as url, exporter(write_config(tmp_path / "c.yaml", url, OF_TAGS), api) as (_, base):
        await until(f"{base}/-/ready", "OK")
        _, text = await get(f"{base}/metrics")
        status, _ = await get(f"{base}/")
    assert {name for _, name, *_ in cells(api)} == {"", tag}
    written = tag.replace("\\", "\\\\").replace('"', '\\"')
    assert f'tag_name="{written}",target="shop",window="today"' in text
    assert status == 200


async def test_the_status_page_shows_how_each_list_went(tmp_path: Path) -> None:
    api = simulator(Fault("forbidden", action="DedicatedIpList"))
    async with api.listen() as url:
        config = write_config(tmp_path / "c.yaml", url, ALL_FILTERS, head="max_series: 60")
        async with exporter(config, api) as (_, base):
            await until(f"{base}/-/ready", "OK")
            text = text_of((await get(f"{base}/"))[1])
    assert "Discovered, 13 combinations left out" in text
    assert re.search(r"tag_name 6 values listed \d+s ago by QueryTagByParam", text)
    assert "dedicated_ip 0 values not listed yet by DedicatedIpList; the last attempt failed:" in text
    assert "(Code Forbidden.RAM)" in text
