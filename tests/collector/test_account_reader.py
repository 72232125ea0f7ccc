"""The account and its domains over simulated days: what is requested, what is shown meanwhile, what is logged."""

import random
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from exporter.collector.account_reader import AccountReader
from exporter.collector.discovery import Discovery
from exporter.config import loader
from exporter.directmail.account import DOMAIN, SUMMARY
from exporter.directmail.errors import DirectMailError, InvalidRequest, PermissionDenied
from exporter.directmail.listing import Listed, Operation
from exporter.metrics.account import FAMILIES
from exporter.metrics.account_publisher import AccountPublisher
from exporter.metrics.exposition import Exposition
from exporter.store.account_facts import AccountFacts
from exporter.store.discovered_values import DiscoveredValues
from tests.support.clock import ScriptedClock
from tests.support.tasks import running
from tests.support.worlds import make_outages

MINUTE, HOUR = 60.0, 3600.0
SENDERS, DOMAINS = "QueryMailAddressByParam", "QueryDomainByParam"
DENIED = PermissionDenied("no permission", code="NoPermission", advice="Attach a policy.")
QUOTA, EMAILS, VERIFIED = (
    "directmail_account_daily_quota_emails",
    "directmail_sender_emails",
    "directmail_domain_verified",
)


class Api:
    """An account with two senders and two domains, as the client hands on its results."""

    def __init__(self, clock: ScriptedClock) -> None:
        self.clock = clock
        self.fails: Callable[[str], DirectMailError | None] = lambda action: None
        self.domains: dict[str, dict[str, Any]] = {"mail.example.com": {}, "notify.example.com": {}}
        """The fields of each domain that are not 0."""
        self.status: object = 0
        self.described: dict[str, Any] | None = None
        """What every DescDomain answers with; None for the checks of the domain."""
        self.requested: list[tuple[float, str, str]] = []
        """Monotonic time, operation and domain of every request."""

    async def call(self, action: str, parameters: Mapping[str, str]) -> dict[str, Any]:
        await self._requested(action, parameters.get("DomainId", ""))
        if action == SUMMARY:
            quotas = {"DailyQuota": "2000", "MonthQuota": 60_000, "RemainFreeQuota": 150, "QuotaLevel": 3}
            return {**quotas, "MaxQuotaLevel": 10, "UserStatus": self.status, "RequestId": "R"}
        if self.described is not None:
            return self.described
        if parameters["DomainId"] not in self.domains:
            raise InvalidRequest("no such domain")
        return {"DkimAuthStatus": "0", "DmarcAuthStatus": 1, **self.domains[parameters["DomainId"]]}

    async def list_values(self, operation: Operation) -> Listed:
        await self._requested(operation.action)
        if operation.action == SENDERS:
            day = int(self.clock.time() // 86_400) % 100
            facts = {"DailyCount": "-1", "DailyReqCount": str(day), "MonthReqCount": "700", "MonthCount": "-1"}
            return Listed(
                ("a@example.com", "b@example.com"), 0, 1, "R", {"a@example.com": facts, "b@example.com": facts}
            )
        checks = dict.fromkeys(("ConfirmStatus", "SpfAuthStatus", "MxAuthStatus", "CnameAuthStatus"), "0")
        listed = {name: {"DomainId": name, **checks, **changed} for name, changed in self.domains.items()}
        return Listed(tuple(listed), 0, 1, "R", listed)

    async def _requested(self, action: str, domain: str = "") -> None:
        self.requested.append((self.clock.monotonic(), action, domain))
        await self.clock.sleep(0.1)
        if (failure := self.fails(action)) is not None:
            raise failure

    def count(self, action: str) -> int:
        return sum(requested == action for _, requested, _ in self.requested)


class World:
    """The account of one target in China's time zone, read and shown."""

    def __init__(
        self, settings: str = "account_interval: 1h\ndomains_interval: 1h", start: str = "2026-04-22T09:00:00+08:00"
    ) -> None:
        config, problems = loader.parse(
            f"{settings}\ntargets:\n  - name: shop\n    region: us-east-1\n    labels: {{team: growth}}\n"
            "    queries: [{name: account}]\n"
        )
        assert config is not None, problems
        self.clock = ScriptedClock(start)
        self.api = Api(self.clock)
        self.facts = AccountFacts()
        self.exposition = Exposition(FAMILIES, CollectorRegistry())
        self.publisher = AccountPublisher(self.facts, self.exposition, self.clock)
        outages = make_outages(self.clock, lambda: 10)
        client: Any = self.api
        self.reader = AccountReader(
            "shop",
            client,
            self.facts,
            self.clock,
            outages,
            changed=lambda: self.publisher.refresh("shop"),
            rng=random.Random(1),
        )
        discovered = DiscoveredValues()

        async def listed(key: str, found: Listed, requested_at: float) -> None:
            self.reader.listed(key, found, frozenset(discovered.get("shop", key).values), requested_at)

        self.discovery = Discovery(
            "shop",
            client,
            discovered,
            self.clock,
            outages,
            listed=listed,
            not_listed=self.reader.not_listed,
            rng=random.Random(1),
        )
        self.publisher.follow(config)
        self.reader.follow(config.account_interval, config.domains_interval)
        self.discovery.follow(self.reader.lists)

    def polled(self) -> Any:
        return running(self.reader.run(), self.discovery.run(), self.publisher.run())

    async def shown(self, name: str) -> dict[str, float]:
        """Return a metric's values by the labels that are not the target's."""
        page = await self.exposition.scrape()
        lines = [line for line in b"".join(page.parts).decode().splitlines() if line.startswith(f"{name}{{")]
        found = {}
        for line in lines:
            labels, value = line.removeprefix(name).rsplit(" ", 1)
            assert 'target="shop"' in labels
            assert 'team="growth"' in labels
            own = [
                each.split("=")[1].strip('"')
                for each in labels.strip("{}").split(",")
                if each.split("=")[0] not in ("target", "team")
            ]
            found[" ".join(own)] = float(value)
        return found


async def test_quota_reputation_and_state_are_shown() -> None:
    world = World()
    world.api.status = "6"
    async with world.polled():
        await world.clock.advance(1)
        assert await world.shown(QUOTA) == {"": 2000}
        assert await world.shown("directmail_account_monthly_quota_emails") == {"": 60_000}
        assert await world.shown("directmail_account_free_emails_remaining") == {"": 150}
        assert await world.shown("directmail_account_reputation_level") == {"": 3}
        assert await world.shown("directmail_account_reputation_level_max") == {"": 10}
        assert await world.shown("directmail_account_state") == {
            "frozen": 0,
            "overdue": 1,
            "restricted": 1,
            "deleted": 0,
        }
        reads = await world.shown("directmail_account_read_success")
    assert reads == {SUMMARY: 1, SENDERS: 1, DOMAINS: 1, DOMAIN: 1}


async def test_a_senders_mail_is_what_was_requested_and_not_its_limit() -> None:
    world = World()
    async with world.polled():
        await world.clock.advance(1)
        shown = await world.shown(EMAILS)
    assert shown == {
        f"{name}@example.com {window}": mails for name in "ab" for window, mails in (("today", 65), ("month", 700))
    }


async def test_every_check_of_every_domain_is_shown() -> None:
    world = World()
    world.api.domains["notify.example.com"] = {"CnameAuthStatus": "1", "SpfAuthStatus": "", "DkimAuthStatus": "7"}
    async with world.polled():
        await world.clock.advance(1)
        shown = await world.shown(VERIFIED)
    assert {check for check, ok in shown.items() if not ok} == {
        "cname notify.example.com",
        "dmarc mail.example.com",
        "dmarc notify.example.com",
    }
    passed = {f"{check} mail.example.com" for check in ("ownership", "spf", "mx", "cname", "dkim")}
    assert {check for check, ok in shown.items() if ok} == passed | {
        "ownership notify.example.com",
        "mx notify.example.com",
    }, "what the answer does not say is absent"


async def test_each_operation_is_called_once_an_interval_and_once_for_each_domain() -> None:
    world = World("account_interval: 1h\ndomains_interval: 2h")
    async with world.polled():
        await world.clock.advance(48 * HOUR)
    assert 44 <= world.api.count(SUMMARY) <= 54
    assert 44 <= world.api.count(SENDERS) <= 54
    assert 22 <= world.api.count(DOMAINS) <= 28
    assert 44 <= world.api.count(DOMAIN) <= 56


@pytest.mark.parametrize(
    ("settings", "operations"),
    [
        pytest.param("", set(), id="neither"),
        pytest.param("account_interval: 1h", {SUMMARY, SENDERS}, id="the-account"),
        pytest.param("domains_interval: 1h", {DOMAINS, DOMAIN}, id="the-domains"),
    ],
)
async def test_what_is_not_configured_is_not_requested_and_not_shown(settings: str, operations: set[str]) -> None:
    world = World(settings)
    async with world.polled():
        await world.clock.advance(3 * HOUR)
        assert {action for _, action, _ in world.api.requested} == operations
        assert (await world.shown(QUOTA) != {}) == (SUMMARY in operations)
        assert (await world.shown(VERIFIED) != {}) == (DOMAIN in operations)
        assert set(await world.shown("directmail_account_read_success")) == operations


async def test_values_are_held_and_dropped_when_they_were_not_renewed_for_long() -> None:
    world = World("account_interval: 1h\ndomains_interval: 1h\nstale_after: 30m")
    async with world.polled():
        await world.clock.advance(1)
        world.api.fails = lambda action: DENIED
        await world.clock.advance(85 * MINUTE)
        assert await world.shown(QUOTA) == {"": 2000}
        assert (await world.shown("directmail_account_read_success"))[SUMMARY] == 0
        await world.clock.advance(10 * MINUTE)
        for name in (QUOTA, EMAILS, VERIFIED, "directmail_account_state"):
            assert await world.shown(name) == {}
        world.api.fails = lambda action: None
        await world.clock.advance(75 * MINUTE)
        for name in (QUOTA, EMAILS, VERIFIED, "directmail_account_state"):
            assert await world.shown(name) != {}


async def test_mail_of_today_is_gone_at_midnight_in_the_targets_zone_until_it_is_read_again() -> None:
    world = World(start="2026-04-22T23:30:00+08:00")
    async with world.polled():
        await world.clock.advance(30 * MINUTE - 1)
        assert set(await world.shown(EMAILS)) == {
            f"{name}@example.com {window}" for name in "ab" for window in ("today", "month")
        }
        await world.clock.advance(2)
        assert set(await world.shown(EMAILS)) == {"a@example.com month", "b@example.com month"}
        await world.clock.advance(40 * MINUTE)
        assert len(await world.shown(EMAILS)) == 4


async def test_mail_of_a_month_is_gone_with_it() -> None:
    world = World(start="2026-04-30T23:30:00+08:00")
    async with world.polled():
        await world.clock.advance(30 * MINUTE + 1)
        assert await world.shown(EMAILS) == {}


async def test_a_new_domain_appears_and_one_that_is_gone_vanishes_after_a_confirming_list() -> None:
    world = World()
    async with world.polled():
        await world.clock.advance(1)
        del world.api.domains["notify.example.com"]
        world.api.domains["new.example.com"] = {}
        await world.clock.advance(70 * MINUTE)
        assert {each.split()[1] for each in await world.shown(VERIFIED)} == {
            "mail.example.com",
            "notify.example.com",
            "new.example.com",
        }
        assert "dkim new.example.com" in await world.shown(VERIFIED)
        await world.clock.advance(70 * MINUTE)
        assert {each.split()[1] for each in await world.shown(VERIFIED)} == {"mail.example.com", "new.example.com"}
        requests = world.api.count(DOMAIN)
        await world.clock.advance(70 * MINUTE)
        assert world.api.count(DOMAIN) - requests <= 3


@pytest.mark.parametrize("action", [SUMMARY, DOMAIN, SENDERS, DOMAINS])
async def test_a_missing_permission_is_one_line_with_the_policy_and_one_when_it_is_there(action: str) -> None:
    world = World()
    with capture_logs() as lines:
        async with world.polled():
            await world.clock.advance(1)
            world.api.fails = lambda requested: DENIED if requested == action else None
            await world.clock.advance(6 * HOUR)
            world.api.fails = lambda requested: None
            await world.clock.advance(2 * HOUR)
    reported = [line for line in lines if line["event"] != "discovered values changed"]
    assert [line["log_level"] for line in reported] == ["warning", "info"]
    assert [line["action"] for line in reported] == [action, action]
    assert reported[0]["advice"] == "Attach a policy."


async def test_an_account_that_is_frozen_is_one_line_with_what_to_do_and_one_when_it_works_again() -> None:
    world = World()
    with capture_logs() as lines:
        async with world.polled():
            await world.clock.advance(3 * HOUR)
            world.api.status = 1
            await world.clock.advance(3 * HOUR)
            world.api.status = 5
            await world.clock.advance(3 * HOUR)
            world.api.status = 0
            await world.clock.advance(3 * HOUR)
    logged = [line for line in lines if line["event"] != "discovered values changed"]
    assert [(line["event"], line["log_level"]) for line in logged] == [
        ("account not in good standing", "warning"),
        ("account not in good standing", "warning"),
        ("account in good standing", "info"),
    ]
    assert [line.get("states") for line in logged] == ["frozen", "frozen, restricted", None]
    assert "ticket" in logged[0]["advice"]


async def test_an_answer_without_any_number_is_a_failure_and_no_0() -> None:
    world = World()
    world.api.status = "frozen?"
    async with world.polled():
        await world.clock.advance(5 * MINUTE)
        assert await world.shown(QUOTA) == {}
        assert (await world.shown("directmail_account_read_success"))[SUMMARY] == 0


async def test_a_status_that_is_not_known_is_no_state_and_one_line_that_names_it() -> None:
    world = World()
    world.api.status = 16
    with capture_logs() as lines:
        async with world.polled():
            await world.clock.advance(3 * HOUR)
            assert await world.shown("directmail_account_state") == {}
            assert await world.shown(QUOTA) == {"": 2000}
    (line,) = [line for line in lines if line["event"] == "account has an unknown status"]
    assert (line["log_level"], line["status"]) == ("warning", 16)


async def test_a_domain_described_by_another_operations_answer_is_a_failure() -> None:
    world = World()
    world.api.described = {"DailyQuota": 7, "RequestId": "R"}
    async with world.polled():
        await world.clock.advance(5 * MINUTE)
        assert (await world.shown("directmail_account_read_success"))[DOMAIN] == 0
        assert not any(name.startswith(("dkim", "dmarc")) for name in await world.shown(VERIFIED))


@pytest.mark.parametrize("number", ["\ud800", "", "a\x00b", "9" * 257, None, True, 1.5, ["7"]], ids=repr)
async def test_a_domain_with_an_id_that_cannot_be_requested_counts_as_one_without(number: object) -> None:
    world = World()
    world.api.domains = {"mail.example.com": {"DomainId": number}}
    async with world.polled():
        await world.clock.advance(3 * HOUR)
        assert set(await world.shown(VERIFIED)) == {
            f"{check} mail.example.com" for check in ("ownership", "spf", "mx", "cname")
        }
    assert world.api.count(DOMAIN) == 0
