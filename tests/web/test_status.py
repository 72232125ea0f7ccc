"""The status page: what it says of a world in every state, filtered and paged, in text and in a real browser."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import date
from html import unescape
from pathlib import Path
from urllib.parse import unquote, urljoin

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from axe_playwright_python.base import AXE_FILE_PATH
from playwright.async_api import Browser, Page, async_playwright

from exporter.collector.loop import Collector
from exporter.config import loader
from exporter.config.model import Config
from exporter.directmail.account import Summary
from exporter.directmail.client import Result
from exporter.directmail.errors import DirectMailError, InvalidRequest
from exporter.directmail.limiter import Limiters
from exporter.directmail.model import Filters, Key
from exporter.directmail.statistics.delivery import Delivery
from exporter.directmail.statistics.statistic import Statistic
from exporter.plan import target_plan
from exporter.store.account_facts import AccountFacts
from exporter.store.memory import Record, Store
from exporter.web.sockets import bind
from exporter.web.sparkline import lines
from exporter.web.status import About, StatusPage
from exporter.web.status_targets import TargetState
from exporter.web.status_text import rate
from tests.support.clock import ScriptedClock
from tests.support.processes import get
from tests.support.status_pages import ABOUT, Fleet, Polled, serve_page
from tests.support.tasks import running
from tests.support.web import text_of
from tests.support.worlds import Api, World, make_config, make_outages

HOSTILE = ("<script>alert(1)</script>", '"quotes\'"', "right\u202eto-left@example.com")
CHROMIUM_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
SENDER = "    account_name: s0@example.com"
NONE = "\N{EN DASH}"
NONES = " ".join([NONE] * 5)


def targets_of(world: World, *others: Collector) -> Mapping[str, TargetState]:
    """Return the world's target, polled by the world's collector and others."""
    polls = {collector.plan.action: collector for collector in (world.collector, *others)}
    return {"shop": Polled(world.config.targets[0], polls, world.api.limiters)}


class DeliveryApi(Api):
    """Answers whatever is requested with the same delivery."""

    async def read(self, statistic: Statistic, filters: Filters, day: date) -> Result:
        response = await super().read(statistic, filters, day)
        return response._replace(totals=Delivery(1500, 1490, 7, 3))


def delivery_of(world: World) -> Collector:
    """Return what polls the delivery of the world's target."""
    plan = target_plan.make(world.config, world.config.targets[0], "delivery")
    return Collector(
        plan,
        DeliveryApi(world.clock, world.api.limiters),  # type: ignore[arg-type]
        world.store,
        world.clock,
        make_outages(world.clock, lambda: len(plan.combinations)),
        changed=lambda combination: None,
        replan=lambda now, pages: plan,
    )


@asynccontextmanager
async def page_of(world: World, *others: Collector, about: About = ABOUT) -> AsyncIterator[str]:
    """Serve the page of a world as it is; yield its address."""
    targets = targets_of(world, *others)
    page = StatusPage(lambda: about, lambda: targets, world.store, world.clock, "/metrics")
    async with serve_page(page) as url:
        yield url


async def polled(world: World, seconds: float, *others: Collector) -> None:
    """Poll the world for so long by its scripted clock."""
    assert isinstance(world.clock, ScriptedClock)
    async with running(*(collector.run() for collector in (world.collector, *others))):
        await world.clock.advance(seconds)


def rejecting(*senders: str) -> Callable[[Filters, date], DirectMailError | None]:
    error = InvalidRequest("no such sender", code="Invalid.Sender", request_id="R-17", advice="Check the sender.")
    return lambda filters, day: error if filters.account_name in senders else None


def config_of(*queries: str) -> Config:
    """Return a config of one target with these queries, each a few lines."""
    head = ("targets:", "  - name: shop", "    region: us-east-1", "    rate_limit_per_minute: 600", "    queries:")
    lines = (line for query in queries for line in query.splitlines())
    config, problems = loader.parse("\n".join((*head, *(f"    {line}" for line in lines))))
    assert config is not None, problems
    return config


def five(filters: Filters, day: date, now: float) -> int:
    """Return the same count whatever is requested: too little to tell one from all."""
    return 5


def hostile_config() -> Config:
    """Return a config with names that want to be more than text, and everything else that the page can show."""
    senders = f"[news@example.com, {', '.join(map(_quoted, HOSTILE))}]"
    return config_of(
        f"  - name: senders\n    account_name: {senders}\n    statistics: [engagement, delivery]",
        "  - name: providers\n    account_name: news@example.com\n    esp: [gmail.com, others]",
        f"  - name: ips\n{SENDER}\n    dedicated_ip: [192.0.2.1, 192.0.2.2]",
    )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


class TestTexts:
    async def test_target_config_and_budget_are_shown(self) -> None:
        world = World(make_config(rate=60), ScriptedClock())
        await polled(world, 30)
        async with page_of(world) as url:
            text = text_of((await get(url))[1])
        planned = rate(world.collector.plan.requests_per_minute)
        for part in (
            "Version 1.2.3",
            "config.yaml",
            "SHA-256 abc123def456 ",
            "shop up",
            "0 failing 0 dropped 0 held 0 never 2 fresh 0 unsupported",
            "Last minute Planned Allowed now Configured Poll interval Cells due",
            f"engagement {world.limiter.used_last_minute} {planned} 60 60 5m {world.collector.backlog()}",
            "configured allowed now used in the last minute planned in the steady state",
            "Next calls Day to read Query Combination 2026-04-",
            "senders 0 0 0 0 2 0",
        ):
            assert part in text

    async def test_what_is_due_is_not_shown_before_it_is_scheduled(self) -> None:
        world = World(make_config(rate=60), ScriptedClock())
        async with page_of(world) as url:
            text = text_of((await get(url))[1])
        assert " 60 60 5m \N{EN DASH} " in text

    async def test_a_failure_is_shown_with_request_id_and_advice(self) -> None:
        world = World(make_config(rate=60), ScriptedClock(), fails=rejecting("s1@example.com"))
        await polled(world, 30)
        async with page_of(world) as url:
            text = text_of((await get(url))[1])
        failure = "Request rejected: no such sender (Code Invalid.Sender), RequestId R-17"
        assert f"{failure} Check the sender. Last error, 2026-04-22 10:15:" in text
        assert f"account_name=s1@example.com {failure} failing" in text
        assert "1 failing 0 dropped 0 held 0 never 1 fresh 0 unsupported" in text

    async def test_counts_of_today_and_a_line_for_the_days_before(self) -> None:
        world = World(make_config(rate=600), ScriptedClock(), counts=lambda filters, day, now: 1000 + day.day)
        await polled(world, 120)
        async with page_of(world) as url:
            html = (await get(url))[1]
        text = text_of(html)
        assert "4 088" in text  # 4 x 1022 mails on the 22nd
        assert "Opens and clicks of 30 days, at most 2 062 a day" in text_of(html.replace("aria-label=", ">"))
        assert html.count('<polyline class="first"') == html.count('<polyline class="second"') == 2

    async def test_a_rejected_config_is_shown(self) -> None:
        world = World(make_config(), ScriptedClock())
        about = About("1.2.3", "config.yaml", "abc123", 0.0, ("targets: is missing",))
        async with page_of(world, about=about) as url:
            assert "the previous config is in force. targets: is missing" in text_of((await get(url))[1])

    @pytest.mark.parametrize(
        ("then", "state"),
        [
            pytest.param(0, "fresh", id="read"),
            pytest.param(400, "held", id="failing-since"),
            pytest.param(4000, "dropped", id="failing-for-long"),
        ],
    )
    async def test_a_combination_that_is_supported_has_one_of_four_states(self, then: float, state: str) -> None:
        failing: list[str] = []
        world = World(
            make_config(rate=600),
            ScriptedClock(),
            fails=lambda filters, day: rejecting(*failing)(filters, day),  # noqa: PLW0108  failing grows
        )
        await polled(world, 60)
        failing.append("s0@example.com")
        if then:
            await polled(world, then)
        async with page_of(world) as url:
            text = text_of((await get(f"{url}?state={state}"))[1])
        assert re.search(rf"s0@example\.com [^@]*\b{state}\b", text)

    async def test_a_clock_set_back_makes_no_combination_fresh(self) -> None:
        clock, failing = ScriptedClock(), list[str]()
        world = World(make_config(rate=600), clock, fails=lambda filters, day: rejecting(*failing)(filters, day))  # noqa: PLW0108  failing grows
        await world.publisher.show([world.collector.plan])
        await polled(world, 60)
        failing.append("s0@example.com")
        clock.jump(wall=-7200)
        await polled(world, 4000)
        async with page_of(world) as url:
            text = text_of((await get(f"{url}?state=dropped"))[1])
        assert "1 found" in text


class TestFilters:
    """What is shown of filters that the account may not be able to use."""

    async def test_those_that_it_cannot_use_are_a_state_of_their_own(self) -> None:
        error = InvalidRequest("no dedicated IP", code="InvalidParameter", request_id="R-17", advice="")
        world = World(
            config_of(f"  - name: sender\n{SENDER}", f"  - name: providers\n{SENDER}\n    esp: [gmail.com, others]"),
            ScriptedClock(),
            fails=lambda filters, day: error if filters.esp else None,
        )
        await polled(world, 60)
        async with page_of(world) as url:
            everything, html = (await get(url))[1], (await get(f"{url}?state=unsupported"))[1]
        for part in (
            "0 failing 0 dropped 0 held 0 never 1 fresh 2 unsupported",
            f"providers 0 0 0 0 0 2 {NONE}",
            "unsupported the account cannot use a filter",
        ):
            assert part in text_of(everything)
        assert "2 found" in text_of(html)
        assert f"esp=gmail.com unsupported {NONES}" in text_of(html)
        assert '<span class="badge unsupported">' in html
        assert "<option selected>unsupported</option>" in html
        assert "no dedicated IP" not in everything + html

    async def test_what_comes_for_them_after_all_is_not_shown(self) -> None:
        """A request may be under way when they are found to be of no use."""
        world = World(config_of(f"  - name: providers\n{SENDER}\n    esp: gmail.com"), ScriptedClock(), counts=five)
        await polled(world, 60)
        (combination,) = world.combinations
        world.store.judged(combination.key, is_supported=False, is_withheld=True)
        world.collector.states.update(combination)
        async with page_of(world) as url:
            text = text_of((await get(url))[1])
        assert f"providers 0 0 0 0 0 1 {NONE}" in text
        assert f"esp=gmail.com unsupported {NONES}" in text
        assert "withheld: " not in text

    @pytest.mark.parametrize(
        ("counts", "shown"),
        [
            pytest.param(
                {"192.0.2.1": 5, "192.0.2.2": 5},
                f"withheld: not proven yet that the filter works fresh 5s {NONES[:7]}",
                id="same",
            ),
            pytest.param({"192.0.2.1": 5, "192.0.2.2": 7}, "fresh 5s 20 10 2", id="proved-to-be-its-own"),
        ],
    )
    async def test_numbers_that_may_be_those_of_all_mail_are_not_shown(
        self, counts: Mapping[str, int], shown: str
    ) -> None:
        world = World(
            config_of(f"  - name: ips\n{SENDER}\n    dedicated_ip: [192.0.2.1, 192.0.2.2]"),
            ScriptedClock(),
            counts=lambda filters, day, now: counts[filters.dedicated_ip],
        )
        await polled(world, 30)
        async with page_of(world) as url:
            html = (await get(url))[1]
        text = re.sub(r"\b\d+s\b", "5s", text_of(html))
        assert f"dedicated_ip=192.0.2.1 {shown}" in text
        assert ("<polyline" in html) == ("withheld" not in shown)
        assert "0 failing 0 dropped 0 held 0 never 2 fresh 0 unsupported" in text


class TestTwoStatistics:
    @asynccontextmanager
    async def page(self) -> AsyncIterator[str]:
        """Yield the address of a page: of two senders the opens, of one of them the delivery."""
        config = config_of(
            "  - name: senders\n    account_name: s1@example.com",
            f"  - name: both\n{SENDER}\n    statistics: [engagement, delivery]",
        )
        world = World(config, ScriptedClock(), counts=five, fails=rejecting("s1@example.com"))
        delivery = delivery_of(world)
        await polled(world, 30, delivery)
        async with page_of(world, delivery) as url:
            yield url

    async def test_each_has_its_budget_and_its_states(self) -> None:
        async with self.page() as url:
            text = text_of((await get(url))[1])
        for operation in ("GetTrackList engagement", "SenderStatisticsByTagNameAndBatchID delivery"):
            assert re.search(rf"{operation} \d+ [\d.]+ 600 600 5m \d+", text)
        for part in (
            "Engagement 1 failing 0 dropped 0 held 0 never 1 fresh 0 unsupported",
            "Delivery 0 failing 0 dropped 0 held 0 never 1 fresh 0 unsupported",
            "both, engagement 0 0 0 0 1 0",
            "both, delivery 0 0 0 0 1 0",
            "both, delivery account_name=s0@example.com",
            "GetTrackList's documentation SenderStatisticsByTagNameAndBatchID's documentation",
        ):
            assert part in text

    @pytest.mark.parametrize(
        ("address", "parts"),
        [
            pytest.param(
                "",
                (
                    "2 found",
                    "lines are opens and clicks a day",
                    "Emails Opens Clicks Open rate Click rate",
                    "20 10 2 25.0%",
                ),
                id="first",
            ),
            pytest.param("?statistic=nothing", ("2 found", "Emails Opens Clicks"), id="unknown"),
            pytest.param(
                "?statistic=delivery",
                (
                    "1 found",
                    "lines are requested and delivered a day",
                    "Requested Delivered Delivery rate",
                    "1 500 1 490 99.3%",
                ),
                id="second",
            ),
        ],
    )
    async def test_one_is_shown_with_its_own_counts(self, address: str, parts: tuple[str, ...]) -> None:
        async with self.page() as url:
            html = (await get(url + address))[1]
        for part in parts:
            assert part in text_of(html)
        assert ("Requested and delivered of 30 days, at most 1\u202f500 a day" in html) == ("delivery" in address)

    async def test_a_count_of_a_state_leads_to_as_many_combinations(self) -> None:
        async with self.page() as url:
            html = (await get(url))[1]
            links = re.findall(r'<a class="badge [a-z]+" href="(.*?)">(\d+) ', html)
            found = [text_of((await get(urljoin(url, unescape(link))))[1]) for link, _ in links]
        assert len(links) == 12
        assert [f"{number} found" in text for (_, number), text in zip(links, found, strict=True)] == [True] * 12


class TestManyCombinations:
    @pytest.mark.parametrize(
        ("address", "found", "first"),
        [
            pytest.param("", "5 000 found", "account_name=s0@example.com", id="all"),
            pytest.param("?page=100", "5 000 found", "account_name=s4950@example.com", id="last-page"),
            pytest.param("?page=999", "5 000 found", "account_name=s4950@example.com", id="beyond"),
            pytest.param("?page=x&state=never", "5 000 found", "account_name=s0@example.com", id="no-number"),
            pytest.param("?query=nothing", "0 found", "", id="unknown-query"),
            pytest.param("?state=fresh", "0 found", "", id="state-of-none"),
            pytest.param("?target=else", "0 found", "", id="unknown-target"),
        ],
    )
    async def test_they_are_paged_and_filtered(self, address: str, found: str, first: str) -> None:
        config = make_config(senders=5000, rate=100_000, head="max_series: 1000000")
        world = World(config, ScriptedClock())
        async with page_of(world) as url:
            status, html = await get(url + address)
        rows = re.findall(r'data-label="Combination"[^>]*>.*?</td>', html)
        assert status == 200
        assert found in text_of(html)
        assert first in (text_of(rows[0]) if rows else "")
        assert len(rows) == (50 if first else 0)

    async def test_links_keep_the_filter(self) -> None:
        config = make_config(senders=120, rate=100_000)
        async with page_of(World(config, ScriptedClock())) as url:
            html = (await get(f"{url}?state=never&page=2"))[1]
            assert 'href="./?state=never&amp;page=1#combinations"' in html
            assert 'href="./?state=never&amp;page=3#combinations"' in html
            assert "<option selected>never</option>" in html


class CountingStore(Store):
    """Counts the records that are checked."""

    looked = 0

    def get(self, key: Key) -> Record:
        self.looked += 1
        return super().get(key)


async def visit(fleet: Fleet, address: str = "/") -> str:
    """Return the page of a fleet."""
    response = await fleet.page.render(make_mocked_request("GET", address))
    return str(response.text)


def cards(html: str) -> list[str]:
    """Return the names of the targets that are shown, in their order."""
    return re.findall(r'<h3 class="names">(.*?)</h3>', html)


def combinations(html: str) -> list[str]:
    return [
        text_of(row).strip() for row in re.findall(r'data-label="Combination" class="full filters">(.*?)</td>', html)
    ]


class TestManyTargets:
    async def test_those_that_fail_are_first(self) -> None:
        fleet = Fleet(30, 4)
        fleet.fail("team-017", 2)
        for number in range(4):
            fleet.fail("team-023", number)
        html = await visit(fleet)
        assert cards(html)[:3] == ["team-023", "team-017", "team-000"]
        assert len(cards(html)) == 10
        assert len(combinations(html)) == 50
        assert combinations(html)[:2] == [
            "account_name=s2@team-017.example.com Network problem: connection refused",
            "account_name=s0@team-023.example.com Network problem: connection refused",
        ]
        for part in (
            "29 of 30 targets are up.",
            "0 failing 0 dropped 5 held 0 never 115 fresh 0 unsupported",
            "Targets 1 to 10 of 30, those with failures first.",
            "team-023 down",
            "team-017 up",
            "team-023 / senders 0 0 4 0 0 0",
        ):
            assert part in text_of(html)

    async def test_they_come_in_pages_that_can_be_jumped_to(self) -> None:
        fleet = Fleet(100, 12)
        html = await visit(fleet, "/?targets_page=4&page=9")
        assert cards(html) == [f"team-{number:03}" for number in range(30, 40)]
        assert "Targets 31 to 40 of 100" in text_of(html)
        links = re.findall(r'<a href="(.*?)" aria-label="Page (\d+) of targets">', html)
        assert [(unescape(link), number) for link, number in links] == [
            (f"./?targets_page={number}#targets", number) for number in ("1", "2", "3", "5", "6", "10")
        ]
        assert '<input type="number" name="targets_page" min="1" max="10" value="4" required>' in html
        assert '<input type="number" name="page" min="1" max="24" value="9" required>' in html
        assert '<span aria-current="page">4</span>' in html

    @pytest.mark.parametrize(
        ("requested", "targets", "found"),
        [
            pytest.param("TEAM-01", [f"team-01{number}" for number in range(10)], 40, id="several-targets"),
            pytest.param("s3@team-007", ["team-007"], 1, id="one-combination"),
            pytest.param("us-east-1", [f"team-{number:03}" for number in range(10)], 0, id="a-region"),
            pytest.param("nothing", [], 0, id="nothing"),
            pytest.param("%3Cb%3E", [], 0, id="markup"),
        ],
    )
    async def test_a_search_finds_targets_and_combinations(
        self, requested: str, targets: list[str], found: int
    ) -> None:
        html = await visit(Fleet(30, 4), f"/?q={requested}")
        assert cards(html) == targets
        assert f"{found} found" in text_of(html)
        assert ("No target matches." in html) == (not targets)
        assert re.search(r"<tbody[^>]*>\s*</tbody>", html) is None, "a table has rows"
        assert "<b>" not in html

    async def test_a_search_and_a_state_are_both_kept(self) -> None:
        fleet = Fleet(30, 4)
        fleet.fail("team-003", 1)
        fleet.fail("team-004", 1)
        html = await visit(fleet, "/?q=team-003&state=held")
        assert "1 found" in text_of(html)
        assert combinations(html) == ["account_name=s1@team-003.example.com Network problem: connection refused"]

    @pytest.mark.parametrize(
        ("address", "rows"),
        [
            pytest.param("/", 50, id="first-page"),
            pytest.param("/?page=999&targets_page=999", 50, id="last-page"),
            pytest.param("/?q=example.com&page=7", 50, id="a-search-for-all"),
            pytest.param("/?state=failing", 0, id="a-state-of-none"),
        ],
    )
    async def test_a_visit_reads_only_what_it_shows(self, address: str, rows: int) -> None:
        """Of 6,000 combinations each row once, and of each target the one that was read last."""
        store = CountingStore()
        fleet = Fleet(60, 100, store)
        await visit(fleet, address)
        store.looked = 0
        html = await visit(fleet, address)
        assert len(combinations(html)) == rows
        assert store.looked <= rows + 60 + 2 * len(cards(html))

    @pytest.mark.parametrize(("targets", "senders"), [(60, 100), (2, 3000)])
    async def test_a_first_search_leaves_turns_to_others(self, targets: int, senders: int) -> None:
        fleet, turns = Fleet(targets, senders), 0
        await visit(fleet)
        searching = asyncio.create_task(visit(fleet, "/?q=example.com"))
        while not searching.done():
            turns += 1
            await asyncio.sleep(0)
        assert f"{targets * senders:,} found".replace(",", "\u202f") in await searching
        assert turns > targets * senders / 400

    async def test_a_plan_that_changes_during_a_search_is_no_bug(self) -> None:
        fleet = Fleet(3, 2000)
        searching = asyncio.create_task(visit(fleet, "/?q=s1999"))
        for collector in fleet.targets["team-001"].polls.values():
            await asyncio.sleep(0)
            await collector.follow(collector.plan)
        assert "3 found" in text_of(await searching)


class TestReloading:
    async def test_the_browser_reloads_after_the_chosen_time(self) -> None:
        fleet = Fleet(1, 1)
        response = await fleet.page.render(make_mocked_request("GET", "/?refresh=30"))
        assert response.headers["Refresh"] == "30"
        assert "This page reloads itself every 30s." in text_of(str(response.text))
        assert '<a href="./?#targets">Stop reloading</a>' in str(response.text)
        assert '<input type="hidden" name="refresh" value="30">' in str(response.text)

    @pytest.mark.parametrize("requested", ["1", "1e9", "soon", "%3Cb%3E"])
    async def test_an_unusable_value_is_reported(self, requested: str) -> None:
        response = await Fleet(1, 1).page.render(make_mocked_request("GET", f"/?refresh={requested}"))
        text = text_of(str(response.text))
        assert "Refresh" not in response.headers
        assert f"refresh={unquote(requested)} is not valid, so the page does not reload itself:" in text
        assert "write whole seconds from 5 to 3 600" in text

    async def test_it_does_not_reload_by_default(self) -> None:
        response = await Fleet(1, 1).page.render(make_mocked_request("GET", "/"))
        assert "Refresh" not in response.headers
        assert '<a href="./?refresh=30#targets">Reload every 30s</a>' in str(response.text)


class TestAccount:
    async def test_reads_of_account_and_domains_are_listed_with_the_budget_of_their_operations(self) -> None:
        fleet, facts = Fleet(1, 1), AccountFacts()
        (target,) = fleet.targets.values()
        limiters = Limiters(10, fleet.clock)
        others = {
            action: (0.25, limiters.of(action)) for action in ("DescAccountSummary", "QueryDomainByParam", "DescDomain")
        }
        page = StatusPage(
            lambda: ABOUT,
            lambda: {"team-000": Polled(target.target, target.polls, target.client_limiters, others)},
            fleet.store,
            fleet.clock,
            "/metrics",
            accounts=facts,
        )
        known = facts.of("team-000")
        known.summary.succeeded(Summary(10_000, None, None, None, None, frozenset()), fleet.clock.time(), fleet.clock)
        fleet.clock.jump(wall=90, monotonic=90)
        text = text_of(str((await page.render(make_mocked_request("GET", "/"))).text))
        for part in (
            "DescAccountSummary 0 0.25 10 10",
            "DescDomain 0 0.25 10 10",
            "Account 1m30s ago in good standing; daily quota 10 000 mails",
            "Domains not read yet",
        ):
            assert part in text


class TestBehindAProxy:
    """One that serves the page under a prefix, which it takes away."""

    PREFIX = "/mail/exporter"

    @asynccontextmanager
    async def proxied(self, url: str) -> AsyncIterator[str]:
        """Yield the page's address at the proxy."""
        async with aiohttp.ClientSession() as session:

            async def forward(request: web.Request) -> web.Response:
                path = request.path_qs.removeprefix(self.PREFIX)
                async with session.request(request.method, url.removesuffix("/") + path) as response:
                    return web.Response(
                        status=response.status,
                        body=await response.read(),
                        content_type=response.content_type,
                        charset="utf-8",
                    )

            app = web.Application()
            app.router.add_route("*", f"{self.PREFIX}/{{path:.*}}", forward)
            (listening,) = bind(["127.0.0.1:0"])
            runner = web.AppRunner(app)
            await runner.setup()
            await web.SockSite(runner, listening).start()
            yield f"http://127.0.0.1:{listening.getsockname()[1]}{self.PREFIX}/"
            await runner.cleanup()

    @pytest.mark.parametrize("shown", ["", "?state=never&page=2", "?state=fresh"])
    async def test_every_link_and_the_form_lead_to_the_exporter(self, shown: str) -> None:
        world = World(make_config(senders=120, rate=100_000, small_query=True), ScriptedClock())
        async with page_of(world) as url, self.proxied(url) as outside:
            _, html = await get(outside + shown)
            links = {urljoin(outside + shown, unescape(link)) for link in re.findall(r'(?:href|action)="(.*?)"', html)}
            own = {link for link in links if not link.startswith("https://www.alibabacloud.com/")}
            icon = f"{outside}favicon.ico"
            assert {f"{outside}metrics", f"{outside}-/healthy", f"{outside}-/ready", icon} < own
            own.remove(icon)  # an image
            assert len(own) > 8
            assert {link: (await get(link))[0] for link in own} == dict.fromkeys(own, 200)
            assert all(link.startswith(outside) for link in own)

    async def test_a_path_of_the_metrics_that_looks_like_a_scheme_is_a_path(self) -> None:
        world = World(make_config(), ScriptedClock())
        page = StatusPage(lambda: ABOUT, lambda: targets_of(world), world.store, world.clock, "/a:b/metrics")
        async with serve_page(page) as url:
            assert 'href="./a:b/metrics"' in (await get(url))[1]


async def test_hostile_names_are_text() -> None:
    async with page_of(World(hostile_config(), ScriptedClock())) as url:
        html = (await get(f"{url}?query=%3Cscript%3E&state=%22%3E"))[1]
        everything = (await get(url))[1]
    assert "<script" not in html + everything
    assert "account_name=</i><wbr>&lt;script&gt;alert(1)&lt;/script&gt;" in everything
    assert "\u202e" not in everything
    assert "right\\u202eto-left" in everything


async def test_texts_of_the_api_are_escaped_too() -> None:
    error = InvalidRequest("<img src=x onerror=alert(1)>", code="<b>", request_id="\u202e'\"", advice="<i>")
    world = World(make_config(rate=60), ScriptedClock(), fails=lambda filters, day: error)
    await polled(world, 30)
    async with page_of(world) as url:
        html = (await get(url))[1]
    assert not re.search(r"<(img|b|script)\b", html)
    assert "&lt;img src=x onerror=alert(1)&gt; (Code &lt;b&gt;), RequestId <code>\\u202e&#39;&#34;</code>" in html


async def test_a_target_that_a_reload_removes_meanwhile_is_no_bug() -> None:
    world = World(make_config(senders=2000, rate=100_000), ScriptedClock())
    requested: list[Mapping[str, TargetState]] = [{}, targets_of(world)]
    page = StatusPage(lambda: ABOUT, lambda: requested.pop() if requested else {}, world.store, world.clock, "/metrics")
    async with serve_page(page) as url:
        status, html = await get(url)
    assert (status, "2 000 found" in text_of(html)) == (200, True)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param([0, 5, 10], ["2.0,22.0 60.0,12.0 118.0,2.0"], id="rising"),
        pytest.param([10, None, 10], ["2.0,2.0 2.0,2.0", "118.0,2.0 118.0,2.0"], id="lone-days-are-dots"),
        pytest.param([None, 0, 0], ["60.0,22.0 118.0,22.0"], id="unknown-first"),
        pytest.param([None], [], id="nothing"),
    ],
)
def test_a_line_breaks_where_a_day_is_unknown(values: list[int | None], expected: list[str]) -> None:
    assert list(lines(values, max([0, *filter(None, values)]))) == expected


async def axe(page: Page) -> tuple[dict[str, list[str]], list[str]]:
    """Return the rules that a page breaks, with the elements that do, and those that it keeps."""
    await page.evaluate(AXE_FILE_PATH.read_text())
    broken, kept = await page.evaluate(
        "axe.run({resultTypes: ['violations']}).then(found => ["
        " found.violations.map(rule => [rule.id, rule.nodes.map(node => node.html)]),"
        " found.passes.map(rule => rule.id)])"
    )
    return dict(broken), kept


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium(tool: Callable[[str], Path]) -> AsyncIterator[Browser]:
    """One browser for all: each page has its own storage."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=tool("chromium"), args=list(CHROMIUM_FLAGS))
        yield browser
        await browser.close()


@pytest.mark.asyncio(loop_scope="module")
class TestInChromium:
    @pytest_asyncio.fixture(loop_scope="module")
    async def browser(self, chromium: Browser) -> AsyncIterator[Browser]:
        """The browser without a page that is open."""
        yield chromium
        for context in chromium.contexts:
            await context.close()

    @asynccontextmanager
    async def visit(self, browser: Browser, *, width: int = 1280, scheme: str = "light") -> AsyncIterator[Page]:
        error = InvalidRequest("no dedicated IP", code="InvalidParameter", request_id="R-18", advice="")
        reject = rejecting(*HOSTILE[:2])
        world = World(
            hostile_config(),
            ScriptedClock(),
            counts=five,
            fails=lambda filters, day: error if filters.esp else reject(filters, day),
        )
        delivery = delivery_of(world)
        await polled(world, 60, delivery)
        async with page_of(world, delivery) as url:
            page = await browser.new_page(
                viewport={"width": width, "height": 800},
                color_scheme=scheme,  # type: ignore[arg-type]
                java_script_enabled=True,
            )
            dialogs: list[object] = []
            page.on("dialog", lambda dialog: dialogs.append(dialog))  # noqa: PLW0108  playwright marks what it calls
            await page.goto(url)
            yield page
            assert dialogs == []

    @pytest.mark.parametrize("width", [360, 900, 1280])
    async def test_nothing_is_wider_than_the_window(self, browser: Browser, width: int) -> None:
        async with self.visit(browser, width=width) as page:
            assert await page.evaluate("document.documentElement.scrollWidth") <= width
            assert await page.locator("td[data-label=Combination]").first.is_visible()

    @pytest.mark.parametrize("width", [360, 900, 1280])
    async def test_no_state_is_wider_than_its_cell(self, browser: Browser, width: int) -> None:
        async with self.visit(browser, width=width) as page:
            states = await page.evaluate(
                "[...document.querySelectorAll('td .badge')].map(badge => {"
                " const own = badge.getBoundingClientRect(), cell = badge.parentElement.getBoundingClientRect();"
                " return [badge.textContent, own.left >= cell.left && own.right <= cell.right] })"
            )
        assert {state for state, _ in states} == {"failing", "fresh", "unsupported"}
        assert [state for state, fits in states if not fits] == []

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    @pytest.mark.parametrize("width", [360, 1280])
    @pytest.mark.parametrize("address", ["?refresh=30&page=3", "?refresh=1&q=nothing"])
    async def test_axe_finds_nothing_on_pages_of_many_targets(
        self, browser: Browser, address: str, width: int, scheme: str
    ) -> None:
        fleet = Fleet(120, 5)
        for number in range(5):
            fleet.fail("team-017", number)
        async with serve_page(fleet.page) as url:
            page = await browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)  # type: ignore[arg-type]
            await page.goto(url + address)
            assert await page.evaluate("document.documentElement.scrollWidth") <= width
            violations, _ = await axe(page)
        assert violations == {}

    async def test_a_reader_searches_and_jumps_without_a_script(self, browser: Browser) -> None:
        fleet = Fleet(120, 50)
        async with serve_page(fleet.page) as url:
            page = await browser.new_page(java_script_enabled=False)
            await page.goto(f"{url}?refresh=60")
            await page.get_by_label("Page", exact=True).last.fill("77")
            await page.get_by_role("button", name="Go to that page of combinations").click()
            await page.wait_for_url(f"{url}?refresh=60&page=77#combinations")
            assert await page.locator("[aria-current=page]").last.inner_text() == "77"
            await page.get_by_label("Search targets and combinations").fill("s7@team-099")
            await page.keyboard.press("Enter")
            await page.wait_for_url(f"{url}?refresh=60&q=s7%40team-099#targets")
            assert await page.locator("h3").all_inner_texts() == ["team-099"]
            assert await page.locator(".wide tbody tr").count() == 1

    async def test_nothing_is_missing_or_rejected(self, browser: Browser) -> None:
        """No 404 for the icon, and nothing that the Content-Security-Policy stops."""
        async with serve_page(Fleet(1, 1).page) as url:
            page = await browser.new_page()
            error, responses = list[str](), list[tuple[str, int]]()
            page.on("console", lambda message: error.append(message.text))
            page.on("response", lambda response: responses.append((response.url, response.status)))
            await page.goto(url)
            icon = await page.evaluate("document.querySelector('link[rel=icon]').href")
            size = await page.evaluate(
                "source => new Promise((loaded, failed) => {"
                " const image = new Image(); image.onerror = failed; image.src = source;"
                " image.onload = () => loaded([image.naturalWidth, image.naturalHeight]) })",
                icon,
            )
        assert size == [32, 32]
        assert error == []
        assert {status for _, status in responses} == {200}

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    @pytest.mark.parametrize("width", [360, 1280])
    async def test_axe_finds_nothing(self, browser: Browser, width: int, scheme: str) -> None:
        async with self.visit(browser, width=width, scheme=scheme) as page:
            violations, passes = await axe(page)
        assert violations == {}
        assert "color-contrast" in passes

    async def test_the_keyboard_reaches_everything_in_order(self, browser: Browser) -> None:
        async with self.visit(browser) as page:
            wanted = await page.locator("a[href], select, button, input, summary").count()
            reached = []
            for _ in range(wanted):
                await page.keyboard.press("Tab")
                reached.append(
                    await page.evaluate(
                        "() => { const e = document.activeElement, s = getComputedStyle(e);"
                        " return [e.tagName, e.textContent.trim().slice(0, 9), s.outlineStyle] }"
                    )
                )
        assert [name for _, name, _ in reached][:3] == ["Metrics", "Health", "Readiness"]
        assert {tag for tag, _, _ in reached} == {"A", "SELECT", "BUTTON", "INPUT", "SUMMARY"}
        assert {outline for _, _, outline in reached} == {"solid"}

    async def test_behind_a_proxy_a_reader_stays_there(self, browser: Browser) -> None:
        world = World(make_config(senders=120, rate=100_000), ScriptedClock())
        async with page_of(world) as url, TestBehindAProxy().proxied(url) as outside:
            page = await browser.new_page()
            await page.goto(outside)
            await page.get_by_role("link", name="Next").click()
            await page.wait_for_url(f"{outside}?page=2#combinations")
            await page.locator("select[name=state]").select_option("never")
            await page.get_by_role("button", name="Show").click()
            await page.wait_for_url(f"{outside}?q=&target=&query=&state=never*")
            assert await page.locator(".wide tbody tr").count() == 50
            await page.get_by_role("link", name="Metrics").click()
            await page.wait_for_url(f"{outside}metrics")

    async def test_the_form_filters_by_keyboard_alone(self, browser: Browser) -> None:
        async with self.visit(browser) as page:
            await page.locator("select[name=state]").focus()
            while await page.locator("select[name=state]").input_value() != "failing":
                await page.keyboard.press("ArrowDown")
            await page.keyboard.press("Tab")
            await page.keyboard.press("Enter")
            await page.wait_for_url("**state=failing**")
            assert await page.locator(".wide tbody tr").count() == 2
