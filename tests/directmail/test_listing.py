"""Lists of what an account has: each operation's own paging, whole or not at all, whatever the names are."""

import random
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.directmail import listing
from exporter.directmail.client import Client
from exporter.directmail.credentials import Credentials
from exporter.directmail.errors import ParseError, PermissionDenied
from exporter.directmail.limiter import Limiters
from exporter.directmail.listing import OPERATIONS, Listing
from exporter.directmail.statistics.engagement import ENGAGEMENT
from exporter.directmail.transport import open_session
from exporter.simulator.behaviour import Behaviour
from exporter.simulator.faults import Fault
from exporter.simulator.server import KEY_ID, SECRET, Simulator
from tests.support.clock import ScriptedClock
from tests.support.tasks import running

TAGS, SETS = OPERATIONS["tag_name"], OPERATIONS["config_set_id"]


def numbered(names: Sequence[Any], **rest: Any) -> dict[str, Any]:
    return {"data": {"tag": [{"TagName": name} for name in names]}, **rest}


def indexed(names: Sequence[Any], **rest: Any) -> dict[str, Any]:
    return {"ConfigSets": [{"Id": name} for name in names], **rest}


def read(operation: listing.Operation, *documents: dict[str, Any]) -> tuple[list[str], int]:
    """Return the names, and how many of the pages were requested; the list must be whole by then."""
    pages = Listing(operation, 100)
    waiting = iter(documents)
    while pages.wanted is not None:
        pages.take(next(waiting))
    assert not pages.changed
    return [item.name for item in pages.items], pages.sent


@pytest.mark.parametrize(
    ("operation", "documents", "names", "sent"),
    [
        pytest.param(TAGS, [numbered("ab", TotalCount=2, PageNumber=1, PageSize=100)], "ab", 1, id="one-page"),
        pytest.param(TAGS, [numbered("", TotalCount=0)], "", 1, id="nothing-at-all"),
        pytest.param(
            TAGS,
            [numbered("ab", TotalCount=3, PageNumber=1), numbered("c", TotalCount=3, PageNumber=2)],
            "abc",
            2,
            id="until-the-total-has-come",
        ),
        pytest.param(
            TAGS, [numbered("ab", TotalCount="3"), numbered("c", TotalCount="3")], "abc", 2, id="total-as-text"
        ),
        pytest.param(
            TAGS,
            [numbered("ab", PageSize=9), numbered("c", PageSize=9), numbered("", PageSize=9)],
            "abc",
            3,
            id="no-total-and-short-pages",
        ),
        pytest.param(TAGS, [numbered("ab"), numbered("c"), numbered("")], "abc", 3, id="no-word-of-the-end"),
        pytest.param(TAGS, [numbered("ab"), numbered("ab")], "ab", 2, id="no-word-and-the-page-repeats"),
        pytest.param(
            TAGS,
            [numbered("ab", PageNumber=1), numbered("c", PageNumber=2), numbered("c", PageNumber=2)],
            "abc",
            3,
            id="no-word-and-the-last-page-again",
        ),
        pytest.param(SETS, [indexed("ab", HasMore=False, TotalCounts=2)], "ab", 1, id="index-one-page"),
        pytest.param(
            SETS,
            [
                indexed("ab", HasMore=True, TotalCounts=3, CurrentPage=1),
                indexed("c", HasMore=False, TotalCounts=3, CurrentPage=2),
            ],
            "abc",
            2,
            id="index-until-there-is-no-more",
        ),
        pytest.param(SETS, [indexed("ab", HasMore="true"), indexed("c", HasMore="false")], "abc", 2, id="flag-as-text"),
        pytest.param(
            SETS,
            [indexed("ab", HasMore=False, TotalCounts=3), indexed("c", HasMore=False, TotalCounts=3)],
            "abc",
            2,
            id="witnesses-disagree-and-more-comes",
        ),
        pytest.param(
            SETS,
            [indexed("ab", HasMore=True, TotalCounts=2), indexed("", HasMore=False, TotalCounts=2)],
            "ab",
            2,
            id="witnesses-disagree-and-nothing-comes",
        ),
        pytest.param(
            SETS,
            [
                indexed("ab", HasMore=True, TotalCounts=3, CurrentPage=0),
                indexed("c", HasMore=False, TotalCounts=3, CurrentPage=1),
            ],
            "abc",
            2,
            id="pages-that-call-themselves-from-0",
        ),
        pytest.param(SETS, [indexed([1, 22])], ["1", "22"], 2, id="numbers-as-ids"),
    ],
)
def test_pages_are_read_until_all_has_come(
    operation: listing.Operation, documents: list[dict[str, Any]], names: Sequence[str], sent: int
) -> None:
    assert read(operation, *documents, *documents[-1:]) == (list(names), sent)


@pytest.mark.parametrize(
    ("operation", "documents", "says"),
    [
        pytest.param(TAGS, [{"TotalCount": 0}], "no data.tag", id="no-data"),
        pytest.param(TAGS, [{"data": None}], "no data.tag", id="null-data"),
        pytest.param(TAGS, [{"data": {"tag": None}}], "no data.tag", id="null-items"),
        pytest.param(TAGS, [{"data": {"tag": {}}}], "no data.tag", id="items-that-are-no-list"),
        pytest.param(SETS, [{"HasMore": False, "TotalCounts": 0}], "no ConfigSets", id="no-items"),
        pytest.param(TAGS, [numbered([None])], "has no TagName", id="item-without-a-name"),
        pytest.param(TAGS, [{"data": {"tag": ["a"]}}], "has no TagName", id="item-that-is-no-object"),
        pytest.param(TAGS, [numbered([True])], "has no TagName", id="name-that-is-a-flag"),
        pytest.param(TAGS, [numbered("", TotalCount=5)], "0 of 5 items", id="empty-although-five-are-promised"),
        pytest.param(TAGS, [numbered("ab", TotalCount=5), numbered("", TotalCount=5)], "2 of 5", id="cut-short"),
        pytest.param(TAGS, [numbered("ab", TotalCount=5)] * 2, "repeats the previous one", id="page-number-ignored"),
        pytest.param(
            TAGS,
            [numbered("ab", TotalCount=5, PageNumber=1)] * 2,
            "came as page 1",
            id="page-number-ignored-and-returned",
        ),
        pytest.param(TAGS, [numbered("cd", PageNumber=2)], "came as page 2", id="not-the-first-page"),
        pytest.param(SETS, [indexed("", HasMore=True)], "announces more$", id="more-is-promised-and-nothing-comes"),
    ],
)
def test_a_list_counts_only_whole(operation: listing.Operation, documents: list[dict[str, Any]], says: str) -> None:
    with pytest.raises(ParseError, match=says):
        read(operation, *documents)


def test_there_is_an_end_to_pages() -> None:
    endless = [numbered([str(number)]) for number in range(listing.MOST_PAGES + 1)]
    with pytest.raises(ParseError, match="more than 1000 pages"):
        read(TAGS, *endless)


def test_a_list_that_changes_while_it_is_read_is_worth_nothing() -> None:
    pages = Listing(TAGS, 100)
    pages.take(numbered("ab", TotalCount=3))
    pages.take(numbered("c", TotalCount=4))
    assert pages.changed
    assert pages.wanted is None


@pytest.mark.parametrize(
    ("key", "parameters"),
    [
        ("account_name", {"PageNo": "1", "PageSize": "50"}),
        ("tag_name", {"PageNo": "1", "PageSize": "50"}),
        ("config_set_id", {"PageIndex": "1", "PageSize": "50"}),
        ("dedicated_ip", {"PageIndex": "1", "PageSize": "50"}),
        ("dedicated_ip_pool_id", {"PageIndex": "1", "PageSize": "50"}),
    ],
)
def test_each_operation_has_its_own_parameters(key: str, parameters: dict[str, str]) -> None:
    assert Listing(OPERATIONS[key], 50).parameters == parameters
    assert Listing(OPERATIONS[key], 1000).parameters["PageSize"] == "100"


@pytest.mark.parametrize(
    ("name", "usable"),
    [
        pytest.param("weekly", True, id="plain"),
        pytest.param("标签/x&y \"z\" \\n {a='b'}", True, id="quotes-braces-and-chinese"),
        pytest.param(" padded ", True, id="space-around"),
        pytest.param("a\u3000b", True, id="ideographic-space"),
        pytest.param("a\u202eb", True, id="turned-around"),
        pytest.param("x" * 256, True, id="long"),
        pytest.param("x" * 257, False, id="endless"),
        pytest.param("", False, id="empty"),
        pytest.param(" \u3000", False, id="blank"),
        pytest.param("a\nb", False, id="line-break"),
        pytest.param("a\x00b", False, id="nul"),
        pytest.param("a\x1b[31mb", False, id="terminal-escape"),
        pytest.param("a\ud800b", False, id="half-a-character"),
    ],
)
def test_a_hostile_name_is_left_out_and_the_others_are_kept(name: str, usable: bool) -> None:
    pages = Listing(TAGS, 100)
    pages.take(numbered(["good", name, "good"], TotalCount=3))
    found = pages.result(1)
    assert found.values == (("good", name) if usable else ("good",))
    assert found.unusable == (not usable)


@given(st.lists(st.text(st.characters(), max_size=300)))
def test_whatever_is_listed_can_be_sent_and_shown(names: list[str]) -> None:
    pages = Listing(TAGS, 100)
    pages.take(numbered(names, TotalCount=len(names)))
    for value in pages.result(1).values:
        assert value.encode("utf-8")
        assert value.strip()
        assert "\n" not in value


@given(
    count=st.integers(0, 30),
    cap=st.integers(1, 12),
    says=st.sets(st.sampled_from(["total", "more", "number", "size"])),
    key=st.sampled_from(sorted(OPERATIONS)),
)
def test_a_list_is_complete_however_little_the_server_reports_of_its_pages(
    count: int, cap: int, says: set[str], key: str
) -> None:
    operation = OPERATIONS[key]
    names = [f"name-{number}" for number in range(count)]
    pages = Listing(operation, 100)
    while pages.wanted is not None:
        number = int(pages.parameters[operation.page])
        document: dict[str, Any] = {}
        holder = document.setdefault("data", {}) if len(operation.items) > 1 else document
        shown = names[(number - 1) * cap : number * cap]
        holder[operation.items[-1]] = [{operation.value: name} for name in shown]
        whole = {"total": count, "more": number * cap < count, "number": number, "size": cap}
        fields = {"total": operation.total, "more": operation.has_more, "number": operation.number, "size": "PageSize"}
        document |= {fields[fact]: whole[fact] for fact in says}
        pages.take(document)
    assert [item.name for item in pages.items] == names
    assert pages.sent <= -(-count // cap) + 1


class Keys:
    async def get(self) -> Credentials:
        return Credentials(KEY_ID, SECRET)

    def rejected(self) -> None:
        """Nothing to read again."""


async def test_a_long_list_takes_no_slot_of_the_polling() -> None:
    clock = ScriptedClock()
    limiters = Limiters(60, clock)
    order: list[tuple[str, float]] = []

    class Offline(Client):
        """Gets its responses without a network, in a tenth of a second."""

        async def _send(self, request: Any, credentials: Credentials) -> Any:
            order.append(("list", clock.monotonic()))
            await clock.sleep(0.1)
            return request.read(numbered([request.parameters["PageNo"]], TotalCount=10, RequestId="R"))

    async def poll() -> None:
        polling = limiters.of(ENGAGEMENT.action)
        while True:
            await polling.turn()
            order.append(("poll", await polling.acquire()))

    async def list_all() -> None:
        client = Offline(
            None,  # type: ignore[arg-type]
            *("https://dm.example.com", Keys(), limiters, clock),
            timeout=5,
            page_size=100,
            observe=lambda *seen: None,
        )
        assert len((await client.list_values(TAGS)).values) == 10

    async with running(poll(), list_all()):
        await clock.advance(25)
    polls = [at for what, at in order if what == "poll"]
    assert [what for what, _ in order].count("list") == 10
    assert {round(after - before, 9) for before, after in pairwise(polls)} == {round(60.25 / 60, 9)}


class TestOverHttp:
    """Against the simulator's own paging."""

    async def listed(self, api: Simulator, key: str, clock: ScriptedClock) -> listing.Listed:
        async with api.listen() as url, open_session() as session:
            limiters = Limiters(60, clock)
            client = Client(
                *(session, url, Keys(), limiters, clock),
                timeout=5,
                page_size=100,
                observe=lambda *seen: None,
                rng=random.Random(1),
            )
            return await client.list_values(OPERATIONS[key])

    @pytest.mark.parametrize(
        ("key", "values", "pages"),
        [
            ("account_name", {"news@mail.example.com", "product@mail.example.com", "no-reply@notify.example.com"}, 3),
            ("tag_name", {"onboarding", "password-reset", "promo", "receipt", "signup", "weekly-newsletter"}, 6),
            ("domain", {"mail.example.com", "notify.example.com"}, 2),
            ("config_set_id", {"set-system", "set-marketing"}, 2),
            ("dedicated_ip", {"192.0.2.10", "192.0.2.20"}, 2),
            ("dedicated_ip_pool_id", {"pool-system", "pool-marketing"}, 2),
        ],
    )
    async def test_all_pages_of_each_operation_arrive(self, key: str, values: set[str], pages: int) -> None:
        clock = ScriptedClock(skip_sleeps=True)
        found = await self.listed(Simulator(clock=clock, behaviour=Behaviour(largest_page=1)), key, clock)
        assert (set(found.values), found.pages) == (values, pages)
        assert len(found.values) == len(values)

    async def test_a_failing_page_is_tried_again_and_the_list_is_whole(self) -> None:
        clock = ScriptedClock(skip_sleeps=True)
        fault = Fault("page_fails", times=1, action="QueryTagByParam")
        found = await self.listed(
            Simulator(clock=clock, faults=[fault], behaviour=Behaviour(largest_page=4)), "tag_name", clock
        )
        assert len(found.values) == 6

    @pytest.mark.parametrize("fault", ["no_data", "stat_null", "empty"])
    async def test_a_response_without_the_items_is_no_empty_list(self, fault: str) -> None:
        clock = ScriptedClock(skip_sleeps=True)
        for key in ("tag_name", "config_set_id"):
            with pytest.raises(ParseError):
                await self.listed(Simulator(clock=clock, faults=[Fault(fault)]), key, clock)

    async def test_a_missing_permission_names_the_operation(self) -> None:
        clock = ScriptedClock(skip_sleeps=True)
        with pytest.raises(PermissionDenied) as caught:
            await self.listed(Simulator(clock=clock, faults=[Fault("forbidden")]), "dedicated_ip", clock)
        assert "dm:DedicatedIpList" in caught.value.advice
