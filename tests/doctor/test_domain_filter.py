"""Whether the filter `domain` works: the doctor holds a domain's mail against that of its senders."""

from collections import Counter
from collections.abc import Mapping

import pytest

from exporter.directmail.listing import Item, ListPage
from exporter.directmail.model import Filters
from exporter.directmail.statistics.registry import STATISTICS
from exporter.doctor.checks.domain_filter import compared
from exporter.doctor.evidence import Account, Evidence
from exporter.doctor.findings import NOTE, OK, PROBLEM, Response
from exporter.doctor.steps.domain_filter import MOST_SENDERS
from exporter.simulator.error_responses import ApiError
from exporter.simulator.faults import Fault
from exporter.simulator.server import Simulator
from tests.doctor.test_checks import NOW, evidence, row, week
from tests.support.clock import ScriptedClock
from tests.support.doctor import ID, NEWS, NOTIFY, PRODUCT, SECRET, TOKEN, assert_readable, simulator, visit
from tests.support.doctor import NOW as DAYTIME

MAIL, NOTICES = "mail.example.com", "notify.example.com"
SENDERS = (NEWS, PRODUCT, NOTIFY)


def queries(statistics: str = "engagement", domains: str = f"{MAIL}, {NOTICES}") -> str:
    return f"\n      - name: by_domain\n        domain: [{domains}]\n        statistics: [{statistics}]\n"


def known_of(sums: dict[str, int], of_all: int | None, senders: ListPage | None, **page: int) -> Evidence:
    """Return what is known of a domain's mail (""), its senders' and the account's."""

    def response(mails: int) -> Response:
        return week(row(counts=(mails, 0, 0, 0, 0)), **page)

    parts = {Filters(account_name=name) if name else Filters(domain=MAIL): response(sums[name]) for name in sums}
    whole = None if of_all is None else response(of_all)
    return evidence(account=Account(NOW, senders=senders), parts=parts, whole=whole)


def listed(*names: str, total: int | None = None) -> ListPage:
    return ListPage([Item(name, {}) for name in names], 1, 100, total or len(names), None)


@pytest.mark.parametrize("statistic", STATISTICS)
async def test_a_filter_that_works_is_reported_for_each_statistic(statistic: str) -> None:
    seen = await visit(simulator(), queries=queries(statistic))
    assert seen.one("domain_filter").level == OK
    assert seen.one("domain_filter").text.startswith("The filter works. notify.example.com has ")
    assert seen.is_well


async def test_a_filter_of_two_statistics_is_checked_in_both() -> None:
    seen = await visit(simulator(), queries=queries(", ".join(STATISTICS)))
    assert [each.level for each in seen.of("domain_filter")] == [OK, OK]


@pytest.mark.parametrize("statistic", STATISTICS)
async def test_a_filter_that_is_ignored_is_a_problem(statistic: str) -> None:
    seen = await visit(simulator(domain_filter="ignored"), queries=queries(statistic))
    assert seen.one("domain_filter").level == PROBLEM
    assert seen.one("domain_filter").text.startswith("The API ignores the filter. ")
    assert not any(each.level == OK and "domain=" in each.text for each in seen.of("filters")), "it does not work"
    assert "filter by account_name" in seen.one("domain_filter").fix
    assert_readable(seen.report)


async def test_a_filter_that_includes_subdomains_is_a_note() -> None:
    seen = await visit(simulator(domain_filter="subdomains"), queries=queries(domains="example.com"))
    assert seen.one("domain_filter").level == NOTE
    assert "most likely its subdomains" in seen.one("domain_filter").text
    assert seen.is_well


async def test_a_filter_that_brings_nothing_is_a_problem() -> None:
    seen = await visit(simulator(Fault("empty", where={"Domain": NOTICES})), queries=queries())
    assert seen.one("domain_filter").level == PROBLEM
    assert seen.one("domain_filter").text.startswith("The filter returns too little. ")


async def test_a_filter_that_the_api_rejects_is_reported_once() -> None:
    class Rejecting(Simulator):
        def _response(self, action: str, parameters: Mapping[str, str], fault: Fault | None) -> dict[str, object]:
            if "Domain" in parameters:
                raise ApiError(400, "InvalidParameter", "The parameter Domain is not supported.")
            return super()._response(action, parameters, fault)

    clock = ScriptedClock(DAYTIME, skip_sleeps=True)
    seen = await visit(Rejecting(key_id=ID, secret=SECRET, security_token=TOKEN, clock=clock), queries=queries())
    assert seen.of("domain_filter") == []
    assert seen.one("filters").level == PROBLEM
    assert f"rejected domain={MAIL} (InvalidParameter)" in seen.one("filters").text


async def test_senders_that_are_not_listed_are_those_of_the_config() -> None:
    struck = Fault("forbidden", action="QueryMailAddressByParam")
    named = f"\n      - {{name: senders, account_name: [{NEWS}, {PRODUCT}]}}"
    seen = await visit(simulator(struck), queries=named + queries(domains=MAIL))
    assert seen.one("domain_filter").level == OK


@pytest.mark.parametrize(
    ("sums", "of_all", "senders", "level", "says"),
    [
        pytest.param({"": 500, NEWS: 500}, 900, listed(NEWS), OK, "The filter works", id="equal"),
        pytest.param({"": 505, NEWS: 500}, 900, listed(NEWS), OK, "The filter works", id="grown-meanwhile"),
        pytest.param({"": 500, NEWS: 300, PRODUCT: 200}, 900, listed(NEWS, PRODUCT), OK, "works", id="two-senders"),
        pytest.param({"": 500, NEWS: 500}, None, listed(NEWS), OK, "works", id="nothing-of-the-account"),
        pytest.param({"": 500, NEWS: 500}, 500, listed(NEWS), NOTE, "all mail is from", id="one-domain"),
        pytest.param({"": 0, NEWS: 0}, 900, listed(NEWS), NOTE, "little mail", id="no-mail"),
        pytest.param({"": 50, NEWS: 60}, 900, listed(NEWS), NOTE, "little mail", id="little-mail"),
        pytest.param({"": 900, NEWS: 500}, 900, listed(NEWS, NOTIFY), PROBLEM, "ignores the filter", id="ignored"),
        pytest.param({"": 700, NEWS: 500}, 900, listed(NEWS, NOTIFY), PROBLEM, "too much", id="too-much"),
        pytest.param({"": 0, NEWS: 500}, 900, listed(NEWS), PROBLEM, "too little", id="nothing"),
        pytest.param({"": 900, NEWS: 500}, 900, None, NOTE, "not all senders are known", id="senders-not-listed"),
        pytest.param({"": 900, NEWS: 500}, 900, listed(NEWS, total=200), NOTE, "not all senders", id="many-senders"),
    ],
)
def test_findings_from_the_sums(
    sums: dict[str, int], of_all: int | None, senders: ListPage | None, level: str, says: str
) -> None:
    found = compared(known_of(sums, of_all, senders), MAIL, [name for name in sums if name])
    assert found is not None
    assert (found.level, says in found.text) == (level, True)
    assert found.fix or level == OK


@pytest.mark.parametrize(
    ("after", "level"),
    [pytest.param(700, OK, id="sent-meanwhile"), pytest.param(500, PROBLEM, id="nothing-sent")],
)
def test_mail_that_is_sent_while_the_senders_are_read_is_no_contradiction(after: int, level: str) -> None:
    known = known_of({"": 500, NEWS: 600}, 900, listed(NEWS))
    found = compared(known, MAIL, [NEWS], again=week(row(counts=(after, 0, 0, 0, 0))))
    assert found is not None
    assert found.level == level


def test_sums_of_more_than_a_page_are_not_compared() -> None:
    found = compared(known_of({"": 500, NEWS: 500}, 900, listed(NEWS), total=200), MAIL, [NEWS])
    assert found is not None
    assert found.text.startswith("Unknown whether the filter works: not all of")


def test_a_domain_with_more_senders_than_calls_is_not_compared() -> None:
    names = [f"{number}@{MAIL}" for number in range(MOST_SENDERS + 1)]
    known = known_of({"": 500, **dict.fromkeys(names[:-1], 100)}, 900, listed(*names))
    found = compared(known, MAIL, names)
    assert found is not None
    assert found.level == NOTE


async def test_a_config_without_the_filter_makes_no_call_for_it() -> None:
    seen = await visit(simulator())
    assert not any("Domain" in each.parameters for each in seen.api.requests)
    assert seen.of("domain_filter") == []


async def test_nothing_is_requested_twice_for_it() -> None:
    text = f"\n      - {{name: senders, account_name: [{', '.join(SENDERS)}]}}" + queries()
    seen = await visit(simulator(), queries=text)
    requested = Counter((each.action, tuple(each.parameters.items())) for each in seen.api.requests)
    assert set(requested.values()) == {1}
    assert seen.one("domain_filter").level == OK


async def test_discovered_domains_are_checked_too() -> None:
    """For every statistic, with one list."""
    query = f"{{name: by_domain, domain: {{discover: true}}, statistics: [{', '.join(STATISTICS)}]}}"
    seen = await visit(simulator(), queries=f"\n      - {query}\n")
    assert [each.level for each in seen.of("domain_filter")] == [OK, OK]
    assert len(seen.of("discovery")) == 1
    assert Counter(each.action for each in seen.api.requests)["QueryDomainByParam"] == 1
