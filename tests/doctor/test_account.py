"""The doctor and the account itself: its state, quota and reputation, its domains, and what may not be read."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest

from exporter.directmail.account import Summary
from exporter.directmail.listing import Item, ListPage
from exporter.directmail.ram_policy import ACCOUNT, allowing
from exporter.doctor.checks import account as checks
from exporter.doctor.evidence import Account
from exporter.doctor.examination import Check
from exporter.doctor.findings import NOTE, OK, PROBLEM, Finding
from exporter.doctor.steps.account import MOST_DESCRIBED
from exporter.simulator import incidents
from exporter.simulator.error_responses import ApiError
from exporter.simulator.faults import Fault
from exporter.simulator.server import Simulator
from exporter.simulator.traffic import Traffic
from tests.doctor.test_checks import NOW as AT
from tests.doctor.test_checks import evidence
from tests.support.clock import ScriptedClock
from tests.support.doctor import (
    ID,
    NOW,
    QUERIES,
    SECRET,
    TOKEN,
    Visit,
    assert_readable,
    assert_single_spaced,
    simulator,
    visit,
)

OPERATIONS = ("DescAccountSummary", "QueryMailAddressByParam", "QueryDomainByParam", "DescDomain")
NIGHT = "2026-04-22T15:50:00+00:00"
"""Ten minutes before midnight in the account's zone."""
MAIL, NOTICES = "mail.example.com", "notify.example.com"
FULL = Summary(1000, 30_000, 500, 7, 10, frozenset())


def struck(*texts: str, now: str = NOW, **behaviour: object) -> Simulator:
    planned = [incidents.parse(text, datetime.fromisoformat(NOW).timestamp()) for text in texts]
    return simulator(clock=ScriptedClock(now, skip_sleeps=True), traffic=Traffic(incidents=planned), **behaviour)


def senders(*counts: tuple[object, object], total: int | None = None) -> ListPage:
    """Return a list of senders with their mails of the day and of the month."""
    items = [
        Item(f"{number}@mail.example.com", {"DailyReqCount": day, "MonthReqCount": month})
        for number, (day, month) in enumerate(counts)
    ]
    return ListPage(items, 1, 100, len(items) if total is None else total, None)


def domains(*names: str, **checks: str) -> ListPage:
    facts = {"ConfirmStatus": "0", "SpfAuthStatus": "0", "MxAuthStatus": "0", "CnameAuthStatus": "0", **checks}
    return ListPage([Item(name, facts) for name in names], 1, 100, len(names), None)


def found_by(check: Check, **known: Any) -> Finding:
    finding = check(evidence(account=Account(AT, **known)))
    assert finding is not None
    assert_single_spaced(finding)
    return finding


async def test_each_operation_is_requested_once_and_each_domain_once() -> None:
    seen = await visit(simulator())
    requested = Counter(each.action for each in seen.api.requests)
    assert [requested[action] for action in OPERATIONS] == [1, 1, 1, 2]
    assert {seen.one(check).level for check in ("account", "quota", "reputation", "domains")} == {OK}
    assert seen.one("domains").text == f"{MAIL}, {NOTICES}: all checks pass."


@pytest.mark.parametrize("status", ["codes", "bits"])
@pytest.mark.parametrize(
    ("state", "name", "says"),
    [
        pytest.param(1, "frozen", "open a ticket", id="frozen"),
        pytest.param(2, "overdue", "Pay the bill", id="overdue"),
        pytest.param(4, "restricted", "clean the lists", id="restricted"),
        pytest.param(8, "deleted", "the key belongs", id="deleted"),
    ],
)
async def test_a_state_of_the_account_is_a_problem_with_advice(state: int, name: str, says: str, status: str) -> None:
    seen = await visit(struck(f"account_frozen:factor={state},start=-1h", user_status=status))
    assert seen.one("account").level == PROBLEM
    assert f"The account is {name}:" in seen.one("account").text
    assert says in seen.one("account").fix
    assert_readable(seen.report)


async def test_two_states_are_both_reported() -> None:
    texts = [f"account_frozen:factor={state},start=-1h" for state in (1, 2)]
    seen = await visit(struck(*texts, user_status="bits"))
    assert "The account is frozen and overdue:" in seen.one("account").text
    assert "open a ticket" in seen.one("account").fix
    assert "Pay the bill" in seen.one("account").fix


async def test_a_quota_that_is_nearly_used_is_a_problem() -> None:
    seen = await visit(struck("quota_used:start=-10h", now=NIGHT))
    assert seen.one("quota").level == PROBLEM
    assert seen.one("quota").text.startswith("97% of the daily quota is used: ")
    assert "have the quota raised" in seen.one("quota").fix


async def test_a_reputation_that_fell_is_a_note() -> None:
    seen = await visit(struck("reputation_fell:start=-1h"))
    assert seen.one("reputation").level == NOTE
    assert seen.one("reputation").text == "The account's reputation level is 2 of 10."
    assert seen.is_well


async def test_a_lost_cname_is_a_problem_that_explains_dead_links() -> None:
    seen = await visit(struck("cname_lost:start=-1h"))
    assert seen.one("domains").level == PROBLEM
    assert seen.one("domains").text == f"{MAIL}: cname not verified."
    assert "tracked links do not resolve" in seen.one("domains").fix


@pytest.mark.parametrize(
    ("check", "level"),
    [
        pytest.param("ownership", PROBLEM, id="ownership"),
        pytest.param("spf", PROBLEM, id="spf"),
        pytest.param("dkim", PROBLEM, id="dkim-of-its-description"),
        pytest.param("dmarc", NOTE, id="dmarc-of-its-description"),
        pytest.param("mx", NOTE, id="mx"),
    ],
)
async def test_a_check_that_fails_is_named_with_its_domain_and_what_to_restore(check: str, level: str) -> None:
    api = simulator()
    api.inventory.unverified = {NOTICES: frozenset({check})}
    seen = await visit(api)
    assert (seen.one("domains").level, seen.one("domains").text) == (level, f"{NOTICES}: {check} not verified.")
    assert seen.one("domains").fix.startswith("Restore the ")


async def test_a_key_that_may_only_read_statistics_is_one_note_with_what_else_could_be_seen() -> None:
    seen = await visit(simulator(*(Fault("forbidden", action=action) for action in OPERATIONS)))
    assert seen.is_well
    (note,) = seen.of("account")
    assert note.level == NOTE
    assert note.text.endswith("Not checked: quota, reputation, state, the senders' mail, the domains.")
    assert note.fix.startswith("Nothing to do if that is intended;")
    assert all(f'"dm:{action}"' in note.fix for action in OPERATIONS)
    assert seen.one("clock_text").level == NOTE
    assert "dm:QueryDomainByParam" in seen.one("clock_text").fix
    assert_readable(seen.report)


INTERVALS = "\naccount_interval: 1h\ndomains_interval: 1h\n"


async def of_config_with_intervals(api: Simulator) -> Visit:
    """Return a visit with a config that needs all that the account says."""
    return await visit(api, top=INTERVALS)


@pytest.mark.parametrize("action", OPERATIONS)
async def test_a_permission_that_the_config_needs_is_a_problem_with_the_whole_policy(action: str) -> None:
    seen = await of_config_with_intervals(simulator(Fault("forbidden", action=action)))
    problem = next(each for each in seen.of("account") if each.level == PROBLEM)
    assert f"may not call {action} (Forbidden.RAM, HTTP 403)." in problem.text
    needed = ["GetTrackList", *ACCOUNT["account_interval"], *ACCOUNT["domains_interval"]]
    assert problem.fix.endswith(allowing(needed))
    assert_readable(seen.report)


@pytest.mark.parametrize("action", OPERATIONS)
async def test_an_answer_about_the_account_that_makes_no_sense_is_a_problem_only_if_it_is_needed(action: str) -> None:
    fault = Fault("html_500", action=action)
    optional, needed = await visit(simulator(fault)), await of_config_with_intervals(simulator(fault))
    assert optional.is_well
    assert any(each.level == NOTE and action in each.text for each in optional.of("account"))
    assert not needed.is_well
    assert any(each.level == PROBLEM and action in each.text for each in needed.of("account"))


async def test_a_list_is_made_once_for_discovery_and_the_account() -> None:
    queries = f"{QUERIES}      - {{name: all, account_name: {{discover: true}}}}\n"
    seen = await visit(simulator(), queries=queries)
    assert Counter(each.action for each in seen.api.requests)["QueryMailAddressByParam"] == 1
    assert seen.one("discovery").text == "QueryMailAddressByParam works: 3 values for account_name."


async def test_an_account_that_is_rejected_is_a_problem_and_not_a_missing_policy() -> None:
    class Blacklisting(Simulator):
        def _response(self, action: str, parameters: Mapping[str, str], fault: Fault | None) -> dict[str, object]:
            if action == "QueryDomainByParam":
                raise ApiError(403, "User.Blacklisted", "The user is in the blacklist.")
            return super()._response(action, parameters, fault)

    clock = ScriptedClock(NOW, skip_sleeps=True)
    seen = await visit(Blacklisting(key_id=ID, secret=SECRET, security_token=TOKEN, clock=clock))
    assert seen.one("account").level == PROBLEM
    assert "rejected the account itself" in seen.one("account").text
    assert "ticket" in seen.one("account").fix
    assert "Statement" not in seen.one("account").fix
    assert seen.one("coverage").text == "The rest was not tried."


async def test_throttling_of_the_account_ends_the_visit() -> None:
    seen = await visit(simulator(Fault("throttle", action="DescAccountSummary")))
    assert seen.one("throttling").level == PROBLEM
    assert seen.api.requests[-1].action == "DescAccountSummary"
    assert seen.one("domains").level == OK, "what is known is told all the same"


async def test_of_many_domains_those_with_senders_are_described_first() -> None:
    api = simulator()
    api.inventory.domains = [*(f"{number}.example.org" for number in range(9)), MAIL, NOTICES]
    api.inventory.unverified = {NOTICES: frozenset({"dkim"}), "8.example.org": frozenset({"dkim"})}
    seen = await visit(api)
    assert Counter(each.action for each in seen.api.requests)["DescDomain"] == MOST_DESCRIBED
    assert seen.one("domains").text == f"{NOTICES}: dkim not verified; DKIM and DMARC of 8 not checked."


@pytest.mark.parametrize(
    ("summary", "listed", "level", "says"),
    [
        pytest.param(FULL, senders((100, 100)), OK, "10% of the daily quota is used: 100 of 1000", id="little"),
        pytest.param(FULL, senders((400, 400), (500, 500)), NOTE, "before the day ends", id="by-its-pace"),
        pytest.param(FULL, senders((700, 700)), OK, "70%", id="as-much-as-of-the-day-is-over"),
        pytest.param(FULL, senders((960, 960)), PROBLEM, "96%", id="nearly-all"),
        pytest.param(FULL, senders((0, 29_000)), PROBLEM, "97% of the monthly quota", id="of-the-month"),
        pytest.param(FULL, senders((0, 22_900)), NOTE, "before the month ends", id="of-the-month-by-its-pace"),
        pytest.param(FULL, senders((100, 100), total=2), OK, "At least 10%", id="more-senders-than-a-page"),
        pytest.param(FULL, senders((100, 9), ("many", 9)), OK, "At least 10%", id="a-count-that-is-none"),
        pytest.param(FULL, senders(("-1", "-1")), OK, "the number used is unknown", id="no-count"),
        pytest.param(FULL, senders(), OK, "0% of the daily", id="no-sender"),
        pytest.param(FULL, None, OK, "the number used is unknown", id="senders-not-listed"),
        pytest.param(FULL._replace(daily_quota=None), senders((9, 9)), OK, "no daily quota", id="no-quota"),
        pytest.param(FULL._replace(daily_quota=0), senders((0, 0)), PROBLEM, "100%", id="a-quota-of-nothing"),
    ],
)
def test_how_much_of_the_quota_is_used(summary: Summary, listed: ListPage | None, level: str, says: str) -> None:
    """A quarter past six in the evening: 76 % of the day is over, and 73 % of the month."""
    found = found_by(checks.quota, summary=summary, senders=listed)
    assert (found.level, says in found.text) == (level, True)
    assert bool(found.fix) == (level != OK)


@pytest.mark.parametrize(
    ("summary", "level", "says"),
    [
        pytest.param(FULL, OK, "level is 7 of 10.", id="well"),
        pytest.param(FULL._replace(reputation=4), NOTE, "level is 4 of 10.", id="low"),
        pytest.param(FULL._replace(highest_reputation=None), OK, "level is 7.", id="no-highest"),
    ],
)
def test_what_the_reputation_is(summary: Summary, level: str, says: str) -> None:
    found = found_by(checks.reputation, summary=summary)
    assert (found.level, found.text.endswith(says)) == (level, True)


@pytest.mark.parametrize(
    ("listed", "level", "says"),
    [
        pytest.param(domains(MAIL, CnameAuthStatus="1"), PROBLEM, f"{MAIL}: cname not verified", id="in-use"),
        pytest.param(domains(NOTICES, SpfAuthStatus="1"), NOTE, f"{NOTICES}, which no sender uses: spf", id="not-used"),
        pytest.param(domains(MAIL, CnameAuthStatus="maybe"), OK, "all checks pass", id="a-status-that-is-none"),
        pytest.param(domains(*(f"{each}.example.com" for each in range(5))), OK, "and 2 more", id="many"),
        pytest.param(domains(), NOTE, "no sender domain", id="no-domain"),
    ],
)
def test_what_the_domains_lack(listed: ListPage, level: str, says: str) -> None:
    found = found_by(checks.domains, domains=listed, senders=senders((1, 1)))
    assert (found.level, says in found.text) == (level, True)


def test_a_summary_without_a_state_or_a_reputation_reports_none() -> None:
    summary = FULL._replace(states=None, reputation=None)
    assert found_by(checks.state, summary=summary).text.startswith("The account's state is unknown")
    assert checks.reputation(evidence(account=Account(AT, summary=summary))) is None


def test_a_status_that_is_not_known_is_named_and_not_called_normal() -> None:
    found = found_by(checks.state, summary=FULL._replace(states=None, unknown_status=16))
    assert (found.level, "UserStatus 16" in found.text) == (NOTE, True)


@pytest.mark.parametrize("check", [checks.state, checks.reputation, checks.quota, checks.domains, checks.unread])
def test_nothing_is_reported_on_what_was_not_read(check: Check) -> None:
    assert check(evidence(account=Account())) is None
