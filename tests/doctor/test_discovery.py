"""The doctor and discovery: one call for each operation that the config needs, so that no permission is missed."""

from collections import Counter

from exporter.directmail.ram_policy import DISCOVERY, allowing
from exporter.doctor.findings import OK, PROBLEM
from exporter.simulator.faults import Fault
from tests.support.doctor import QUERIES, assert_readable, simulator, visit

LISTED = QUERIES + "".join(
    f"      - {{name: {key}, {key}: {{discover: true}}}}\n" for key in DISCOVERY if key != "tag_name"
)
LISTED += "      - {name: tags, account_name: {discover: true}, tag_name: {discover: true}}\n"


ORDER = ("account_name", "domain", "config_set_id", "dedicated_ip", "dedicated_ip_pool_id", "tag_name")
"""In which the config above comes to need them."""


async def test_each_operation_is_requested_once_without_problems() -> None:
    seen = await visit(simulator(), queries=LISTED)
    requested = Counter(each.action for each in seen.api.requests)
    assert {requested[action] for action in DISCOVERY.values()} == {1}
    assert requested["GetTrackList"] >= 3
    assert {each.level for each in seen.of("discovery")} == {OK}
    assert "QueryTagByParam works: 6 values for tag_name." in [each.text for each in seen.of("discovery")]
    assert seen.is_well


async def test_a_config_without_discovery_lists_only_senders_and_domains() -> None:
    seen = await visit(simulator())
    lists = {each.action for each in seen.api.requests} & set(DISCOVERY.values())
    assert lists == {"QueryMailAddressByParam", "QueryDomainByParam"}
    assert seen.of("discovery") == []


async def test_a_permission_that_is_missing_for_one_list_is_found_and_its_policy_printed() -> None:
    seen = await visit(simulator(Fault("forbidden", action="ConfigSetList")), queries=LISTED)
    (problem,) = [each for each in seen.of("discovery") if each.level == PROBLEM]
    assert "may not call ConfigSetList" in problem.text
    assert all(f'"dm:{action}"' in problem.fix for action in ("GetTrackList", *DISCOVERY.values()))
    assert problem.fix.endswith(allowing(["GetTrackList", *(DISCOVERY[key] for key in ORDER)]))
    assert not seen.is_well
    assert_readable(seen.report)


async def test_a_list_that_makes_no_sense_is_reported_and_the_rest_is_requested() -> None:
    seen = await visit(simulator(Fault("no_data", action="QueryTagByParam")), queries=LISTED)
    (problem,) = [each for each in seen.of("discovery") if each.level == PROBLEM]
    assert problem.text.startswith("QueryTagByParam returns no list: the response has no data.tag")
    assert len(seen.of("discovery")) == len(DISCOVERY)
    assert_readable(seen.report)


async def test_a_shape_that_discovery_brings_is_requested_with_a_value_that_is_listed() -> None:
    """Else nobody would hear that esp returns nothing without dedicated IPs."""
    queries = "\n      - {name: esps, account_name: {discover: true, include: [news.*]}, esp: [gmail.com, yahoo.com]}\n"
    queries += "      - {name: account}\n"
    seen = await visit(simulator(Fault("empty", where={"Esp": "gmail.com"})), queries=queries)
    assert [each.level for each in seen.of("filters")] == [PROBLEM]
    assert "esp=gmail.com: no mail, while account_name=news@mail.example.com has" in seen.one("filters").text
    assert seen.of("coverage") == []


async def test_of_senders_that_are_listed_one_is_enough() -> None:
    queries = "\n      - {name: senders, account_name: {discover: true}}\n"
    seen = await visit(simulator(), queries=queries)
    assert len(seen.of("sender")) == 1
    assert seen.of("coverage") == []
