"""The account as the status page reports it: only what was said, and when."""

from exporter.directmail.account import Summary
from exporter.directmail.errors import NetworkError, PermissionDenied
from exporter.store.account_facts import Fact, Facts
from exporter.web import status_account
from tests.support.clock import ScriptedClock

ACTIONS = ("GetTrackList", "DescAccountSummary", "QueryDomainByParam", "DescDomain")
SUMMARY = Summary(10_000, None, 0, 3, 5, frozenset({"frozen", "overdue"}))


def known(clock: ScriptedClock) -> Facts:
    facts = Facts()
    facts.summary.succeeded(SUMMARY, clock.time(), clock)
    checks = {f"d{number}.example.com": {"ownership": True, "spf": number > 6} for number in range(9)}
    facts.domains.succeeded(checks, clock.time(), clock)
    return facts


def test_what_is_not_read_at_all_is_not_mentioned() -> None:
    assert status_account.reads(Facts(), ("GetTrackList", "QueryDomainByParam"), ScriptedClock()) == []


def test_before_the_first_response_there_is_no_number() -> None:
    account, domains = status_account.reads(Facts(), ACTIONS, ScriptedClock())
    assert account == {"name": "Account", "age": None, "failure": None, "texts": []}
    assert domains == {"name": "Domains", "age": None, "failure": None, "texts": []}


def test_values_are_shown_with_their_age() -> None:
    clock = ScriptedClock()
    facts = known(clock)
    clock.jump(wall=90, monotonic=90)
    denied = PermissionDenied("the RAM policy does not allow this call")
    facts.summary.failed(denied)
    account, domains = status_account.reads(facts, ACTIONS, clock)
    assert (account["age"], account["failure"], domains["age"], domains["failure"]) == (90, denied, 90, None)
    assert account["texts"] == [
        "frozen, overdue",
        "daily quota 10\u202f000 mails",
        "free mails left 0",
        "reputation level 3 of 5",
    ]
    assert domains["texts"] == [
        "9 listed",
        *(f"d{number}.example.com: spf not verified" for number in range(5)),
        "2 more with failing checks",
    ]


def test_an_account_without_any_state_is_in_good_standing() -> None:
    clock, facts = ScriptedClock(), Facts()
    facts.summary.succeeded(Summary(None, None, None, None, None, frozenset()), clock.time(), clock)
    (account,) = status_account.reads(facts, ("DescAccountSummary",), clock)
    assert account["texts"] == ["in good standing"]


def test_a_failure_ends_with_the_next_success() -> None:
    clock = ScriptedClock()
    facts = known(clock)
    facts.domains.failed(NetworkError("connection refused"))
    facts.domains.succeeded({}, clock.time(), clock)
    assert [each["failure"] for each in status_account.reads(facts, ACTIONS, clock)] == [None, None]


def test_the_age_is_that_of_the_oldest_read_of_a_domain() -> None:
    clock = ScriptedClock()
    facts = known(clock)
    clock.jump(wall=50, monotonic=50)
    described: Fact[dict[str, bool]] = Fact()
    described.succeeded({"dkim": False}, clock.time(), clock)
    facts.domains.succeeded({"d7.example.com": {"spf": True}}, clock.time(), clock)
    facts.described["d7.example.com"] = described  # type: ignore[assignment]
    clock.jump(wall=10, monotonic=10)
    (domains,) = status_account.reads(facts, ACTIONS[2:], clock)
    assert (domains["age"], domains["texts"]) == (10, ["1 listed", "d7.example.com: dkim not verified"])
