"""A filter that the account cannot use has no data and no error, one line in the log and one probe a day."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from exporter.collector.filter_support import FilterSupport
from exporter.config import loader
from exporter.config.model import Config
from exporter.directmail.errors import DirectMailError, InvalidRequest
from exporter.directmail.model import Filters
from exporter.store.memory import Cell, Store
from tests.support.clock import ScriptedClock
from tests.support.tasks import running
from tests.support.worlds import World, make_plan

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
SENDER, OTHER = "news@example.com", "shop@example.com"
ESPS = ("gmail.com", "yahoo.com", "outlook.com", "icloud.com", "others")
SHARES = dict(zip(ESPS, (40, 25, 20, 5, 10), strict=True))
NOT_SUPPORTED = InvalidRequest("the API rejected the request", code="InvalidParameter", request_id="R-1")
TODAY = "2026-04-22"


def config(queries: str) -> Config:
    text = "windows: [today, yesterday]\npoll_interval: 5m\ntargets:\n  - name: shop\n    region: us-east-1\n"
    made, problems = loader.parse(f"{text}    timezone: UTC\n    queries:\n{queries}")
    assert made is not None, problems
    return made


BY_SENDER = f"      - {{name: by_sender, account_name: [{SENDER}, {OTHER}]}}\n"
BY_ESP = f"      - {{name: by_esp, account_name: [{SENDER}, {OTHER}], esp: [{', '.join(ESPS)}]}}\n"


class Account:
    """An account that can filter by mailbox provider, or cannot in one of three ways."""

    def __init__(self, way: str, queries: str = BY_SENDER + BY_ESP, *, start: str = f"{TODAY}T12:00:00+00:00") -> None:
        self.way = way
        self.mails = 1000
        self.clock = ScriptedClock(start)
        self.world = World(config(queries), self.clock, fails=self._fails, counts=self._counts)

    def _fails(self, filters: Filters, day: date) -> DirectMailError | None:
        return NOT_SUPPORTED if filters.esp and self.way == "refused" else None

    def _counts(self, filters: Filters, day: date, now: float) -> int:
        if not filters.esp or self.way == "whole":
            return self.mails
        return 0 if self.way == "empty" else self.mails * SHARES[filters.esp] // 100

    def requested(self, wanted: Callable[[Filters, date], bool]) -> int:
        return sum(wanted(filters, day) for _, filters, day in self.world.api.requested)

    async def shown(self, esp: bool = True) -> dict[str, set[float]]:
        """Return the values of each metric with a provider, or without one."""
        page = await self.world.exposition.scrape()
        found: dict[str, set[float]] = {}
        for line in b"".join(page.parts).decode().splitlines():
            if not line.startswith("#") and "account_name" in line and ('esp=""' not in line) == esp:
                found.setdefault(line.split("{")[0], set()).add(float(line.rsplit(" ", 1)[1]))
        return found


def lines_of(lines: list[Any]) -> list[tuple[str, str]]:
    return [(line["event"], line["log_level"]) for line in lines if line["event"] != "window complete"]


@pytest.mark.parametrize("way", ["refused", "empty", "whole"])
async def test_a_filter_that_cannot_be_used_is_found_at_the_first_reads_and_has_no_data(way: str) -> None:
    account = Account(way)
    await account.world.publisher.show([account.world.collector.plan])
    with capture_logs() as lines:
        async with running(account.world.collector.run(), account.world.publisher.run()):
            seen = set()
            for _ in range(60):
                await account.clock.advance(1)
                seen |= {name for name in await account.shown() if name.startswith("directmail_track")}
            await account.clock.advance(3 * HOUR)
            shown, whole = await account.shown(), await account.shown(esp=False)
    assert seen == set(), "neither a number that may be all of the mail nor a 0 that may be no answer is ever shown"
    assert not any(name.startswith("directmail_track") for name in shown)
    assert shown["directmail_query_supported"] == {0}
    assert shown["directmail_query_success"] == {1}
    assert shown["directmail_query_stale"] == {0}
    assert whole["directmail_track_emails"] == {4000}
    assert whole["directmail_query_supported"] == {1}
    assert lines_of(lines) == [("filter not supported", "warning")]
    (line,) = (line for line in lines if line["event"] == "filter not supported")
    assert (line["query"], line["filter"], line["target"]) == ("by_esp", "esp", "shop")
    assert "dedicated IPs" in line["advice"]


@pytest.mark.parametrize("way", ["empty", "whole"])
async def test_of_many_values_no_number_is_shown_before_they_are_judged(way: str) -> None:
    addresses = ", ".join(f'"192.0.2.{number}"' for number in range(1, 41))
    queries = f"      - {{name: account}}\n      - {{name: by_ip, dedicated_ip: [{addresses}]}}\n"
    account = Account(way, queries)
    account.world.api.counts = lambda filters, day, now: 0 if filters.dedicated_ip and way == "empty" else 1000
    await account.world.publisher.show([account.world.collector.plan])
    seen = set()
    async with running(account.world.collector.run(), account.world.publisher.run()):
        for _ in range(120):
            await account.clock.advance(1)
            page = await account.world.exposition.scrape()
            for line in b"".join(page.parts).decode().splitlines():
                seen |= {line.split("{")[0]} if 'dedicated_ip="192' in line else set()
    assert not any(name.startswith("directmail_track") for name in seen)


@pytest.mark.parametrize("way", ["empty", "whole"])
async def test_a_useless_filter_is_useless_where_nothing_can_be_compared(way: str) -> None:
    domains = "      - {name: account}\n      - {name: by_domain, domain: [a.example.com, b.example.com]}\n"
    alone = (
        f"      - {{name: one, domain: c.example.com}}\n      - {{name: both, domain: a.example.com, esp: {ESPS[0]}}}\n"
    )
    account = Account(way, domains + alone)
    shares = {"": 1000, ESPS[0]: 400}
    account.world.api.counts = lambda filters, day, now: 0 if way == "empty" and filters.domain else shares[filters.esp]
    await account.world.publisher.show([account.world.collector.plan])

    async def domains_shown() -> set[str]:
        page = await account.world.exposition.scrape()
        lines = b"".join(page.parts).decode().splitlines()
        return {line for line in lines if line.startswith("directmail_track_emails{") and 'domain=""' not in line}

    with capture_logs() as lines:
        async with running(account.world.collector.run(), account.world.publisher.run()):
            await account.clock.advance(2 * MINUTE)
            assert await domains_shown() == set()
            account.world.api.requested.clear()
            await account.clock.advance(2 * HOUR)
            assert account.requested(lambda filters, day: bool(filters.domain)) == 0
            logged = [(line["query"], line["filter"]) for line in lines if line["event"] == "filter not supported"]
            assert sorted(logged) == [("both", "domain"), ("by_domain", "domain"), ("one", "domain")]
            account.world.api.counts = lambda filters, day, now: shares[filters.esp] // (2 if filters.domain else 1)
            await account.clock.advance(12 * HOUR)
            assert len(await domains_shown()) == 8, "four combinations, two windows"


async def test_a_domain_without_mail_beside_others_that_have_some_has_0_and_is_no_useless_filter() -> None:
    queries = "".join(f"      - {{name: {name}, domain: {name}.example.com}}\n" for name in ("c", "d"))
    pair = "      - {name: account}\n      - {name: pair, domain: [e.example.com, f.example.com]}\n"
    both = "      - {name: both, domain: [a.example.com, b.example.com]}\n"
    account = Account("works", queries + pair + both)
    mails = {"": 1000, "a.example.com": 400, "b.example.com": 600}
    account.world.api.counts = lambda filters, day, now: mails.get(filters.domain, 0)
    await account.world.publisher.show([account.world.collector.plan])
    with capture_logs() as lines:
        async with running(account.world.collector.run(), account.world.publisher.run()):
            await account.clock.advance(5 * MINUTE)
            mails["c.example.com"] = 50
            await account.clock.advance(20 * MINUTE)
            page = await account.world.exposition.scrape()
    found = {
        line.split('domain="')[1][0]: float(line.rsplit(" ", 1)[1])
        for line in b"".join(page.parts).decode().splitlines()
        if line.startswith("directmail_track_emails{") and 'domain=""' not in line and "today" in line
    }
    assert found == {"a": 1600, "b": 2400, "c": 200, "d": 0, "e": 0, "f": 0}
    assert "filter not supported" not in [line["event"] for line in lines]


async def test_the_line_about_a_rejection_has_what_support_needs() -> None:
    account = Account("refused")
    with capture_logs() as lines:
        async with running(account.world.collector.run()):
            await account.clock.advance(MINUTE)
    (line,) = (line for line in lines if line["event"] == "filter not supported")
    assert (line["code"], line["request_id"]) == ("InvalidParameter", "R-1")


@pytest.mark.parametrize("way", ["refused", "empty", "whole"])
async def test_each_combination_is_tried_once_a_day(way: str) -> None:
    account = Account(way)
    async with running(account.world.collector.run()):
        await account.clock.advance(HOUR)
        account.world.api.requested.clear()
        await account.clock.advance(10 * HOUR)
        assert account.requested(lambda filters, day: bool(filters.esp)) == 0
        assert account.world.collector.backlog() == 0
        await account.clock.advance(3 * DAY)
        probes = account.requested(lambda filters, day: bool(filters.esp))
    assert probes == 3 * len(ESPS) * 2


@pytest.mark.parametrize("way", ["refused", "empty", "whole"])
async def test_when_the_filter_can_be_used_its_numbers_are_shown_and_one_line_says_so(way: str) -> None:
    account = Account(way)
    await account.world.publisher.show([account.world.collector.plan])
    with capture_logs() as lines:
        async with running(account.world.collector.run(), account.world.publisher.run()):
            await account.clock.advance(HOUR)
            account.way = "works"
            await account.clock.advance(13 * HOUR)
            shown = await account.shown()
    assert shown["directmail_track_emails"] == {4 * 10 * share for share in SHARES.values()}
    assert shown["directmail_track_observed_emails_total"] <= {0.0, *(4 * 10 * share for share in SHARES.values())}
    assert shown["directmail_query_supported"] == {1}
    assert lines_of(lines) == [("filter not supported", "warning"), ("filter supported", "info")]


async def test_a_filter_that_works_is_shown_at_once_and_logs_nothing() -> None:
    account = Account("works")
    await account.world.publisher.show([account.world.collector.plan])
    with capture_logs() as lines:
        async with running(account.world.collector.run(), account.world.publisher.run()):
            await account.clock.advance(MINUTE)
            shown = await account.shown()
    assert shown["directmail_track_emails"] == {4 * 10 * share for share in SHARES.values()}
    assert shown["directmail_query_supported"] == {1}
    assert lines_of(lines) == []


async def test_an_account_that_loses_the_filter_shows_no_wrong_number_for_longer_than_one_poll() -> None:
    account = Account("works")
    await account.world.publisher.show([account.world.collector.plan])
    async with running(account.world.collector.run(), account.world.publisher.run()):
        await account.clock.advance(HOUR)
        account.way = "whole"
        await account.clock.advance(6 * MINUTE)
        shown = await account.shown()
    assert not any(name.startswith("directmail_track") for name in shown)
    assert shown["directmail_query_supported"] == {0}


async def test_providers_without_mail_of_a_sender_that_has_some_stay_0_where_the_filter_is_proven() -> None:
    account = Account("works", BY_SENDER + f"      - {{name: by_esp, account_name: {SENDER}, esp: [gmail.com]}}\n")
    await account.world.publisher.show([account.world.collector.plan])
    async with running(account.world.collector.run(), account.world.publisher.run()):
        await account.clock.advance(MINUTE)
        account.way = "empty"
        await account.clock.advance(30 * MINUTE)
        shown = await account.shown()
    assert shown["directmail_track_emails"] == {0, 1600}
    assert shown["directmail_query_supported"] == {1}


async def test_a_withheld_combination_has_no_data_and_completes_no_window() -> None:
    account = Account("whole", BY_SENDER + f"      - {{name: by_esp, account_name: {SENDER}, esp: gmail.com}}\n")
    account.mails = 50
    await account.world.publisher.show([account.world.collector.plan])
    with capture_logs() as lines:
        async with running(account.world.collector.run(), account.world.publisher.run()):
            await account.clock.advance(HOUR)
            shown = await account.shown()
    assert not any(name.startswith("directmail_track") for name in shown)
    assert {line["combinations"] for line in lines if line["event"] == "window complete"} == {2}


async def test_a_lone_ip_is_useless_where_providers_show_that_the_account_has_no_dedicated_ips() -> None:
    queries = "      - {name: account}\n      - {name: ip, dedicated_ip: 192.0.2.7}\n"
    account = Account("whole", queries + BY_SENDER + BY_ESP)
    async with running(account.world.collector.run()):
        await account.clock.advance(10 * MINUTE)
    (record,) = (account.world.store.get(each.key) for each in account.world.combinations if each.query == "ip")
    assert not record.is_supported


async def test_a_rejection_of_one_value_only_is_a_failing_combination() -> None:
    account = Account("works")
    account.world.api.fails = lambda filters, day: NOT_SUPPORTED if filters.esp == "icloud.com" else None
    with capture_logs() as lines:
        async with running(account.world.collector.run()):
            await account.clock.advance(10 * MINUTE)
    assert lines_of(lines) == [("query combination failing", "warning")] * 2


async def test_without_the_unfiltered_sender_it_is_found_when_the_day_is_over() -> None:
    account = Account("whole", BY_ESP, start=f"{TODAY}T23:30:00+00:00")
    await account.world.publisher.show([account.world.collector.plan])
    async with running(account.world.collector.run(), account.world.publisher.run()):
        for _ in range(40):
            await account.clock.advance(MINUTE)
            assert not any(name.startswith("directmail_track") for name in await account.shown())
        assert (await account.shown())["directmail_query_supported"] == {0}


async def test_what_was_shown_before_a_restart_is_shown_after_it() -> None:
    account = Account("works")
    async with running(account.world.collector.run()):
        await account.clock.advance(MINUTE)
    restarted = Account("works")
    restarted.clock = account.clock
    restarted.world = World(account.world.config, account.clock, fails=restarted._fails, counts=restarted._counts)
    for key in tuple(account.world.store.keys()):
        restarted.world.store.restore(key, account.world.store.get(key))
    again = restarted.world
    await again.publisher.show([again.collector.plan])
    await again.collector.follow(again.collector.plan)
    async with running(again.collector.run(), again.publisher.run()):
        for _ in range(10):
            await account.clock.advance(1)
            assert len((await restarted.shown())["directmail_track_emails"]) == len(ESPS)


def test_a_new_domain_without_mail_is_not_judged_before_the_others_are_read() -> None:
    """The first of them may prove that the filter works."""
    queries = "      - {name: account}\n      - {name: new, domain: [c.example.com, d.example.com]}\n"
    plan = make_plan(config(queries + "      - {name: by_domain, domain: [a.example.com, b.example.com]}\n"))
    store, day, mails = Store(), date.fromisoformat(TODAY), {"": 1000, "a.example.com": 400, "b.example.com": 600}
    with capture_logs() as lines:
        support = FilterSupport(plan, store, structlog.get_logger())
        for at, combination in enumerate(plan.combinations):
            count = mails.get(combination.filters.domain, 0)
            store.put(combination.key, day, Cell((count, 0, 0, 0, 0), None, float(at)), day_start=0.0)
            support.add_result(combination, day)
    assert lines == []
    assert all(support.is_supported(each) for each in plan.combinations)


def test_values_that_fail_do_not_delay_the_judgement_of_others() -> None:
    queries = "      - {name: account}\n      - {name: by_domain, domain: [a.example.com, b.example.com]}\n"
    failing = "      - {name: other, account_name: gone@a.example.com, domain: a.example.com}\n"
    plan = make_plan(config(queries + failing))
    store, day = Store(), date.fromisoformat(TODAY)
    support = FilterSupport(plan, store, structlog.get_logger())
    for at, combination in enumerate(sorted(plan.combinations, key=lambda each: each.query != "other")):
        if combination.query == "other":
            store.failed(combination.key, InvalidRequest("no such address"), 0.0)
            continue
        count = 0 if combination.filters.domain else 1000
        store.put(combination.key, day, Cell((count, 0, 0, 0, 0), None, float(at)), day_start=0.0)
        support.add_result(combination, day)
    supported = {each.filters.domain for each in plan.combinations if support.is_supported(each)}
    assert not {"b.example.com"} & supported
