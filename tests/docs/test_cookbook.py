"""docs/cookbook.md: every query runs in a Prometheus with the demo's history and returns what the page says."""

import math
import re
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
import pytest_asyncio

from exporter.commands import demo
from exporter.simulator.account import STREAMS
from exporter.simulator.traffic import Traffic
from tools.stack import programs
from tools.stack.prometheus import Prometheus, Series, load, prometheus

TEXT = (Path(__file__).parents[2] / "docs" / "cookbook.md").read_text()
NOW = datetime.fromisoformat("2026-04-22T11:30:00+08:00").timestamp()
"""A Wednesday morning in the demo's zone; the weekly newsletter went out the day before."""
DAYS, STEP = 8.0, 3600.0
LOOKBACK = "--query.lookback-delta=61m"


class Question(NamedTuple):
    """A question of the page: the query that answers it, and the one that does not (empty where there is none)."""

    title: str
    right: str
    misleading: str


def questions() -> list[Question]:
    """Return the questions in the order of the page."""
    found = []
    for title, text in re.findall(r"^### \d+\. ([^\n]+)\n(.*?)(?=^##|\Z)", TEXT, re.DOTALL | re.MULTILINE):
        (right,) = re.findall(r"```promql\n(.*?)```", text, re.DOTALL)
        misleading = re.findall(r"\bNot `([^`]+)`", text)
        assert len(misleading) <= 1, title
        found.append(Question(title, right, "".join(misleading)))
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tool: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Prometheus]:
    """A Prometheus with eight days of the demo."""
    for program in programs.PACKAGES:
        tool(program)
    folder = tmp_path_factory.mktemp("cookbook")
    demo.past(Traffic(), NOW, demo.ADDRESS, days=DAYS, step=STEP).write(folder / "history.om")
    await load(folder, folder / "history.om")
    async with prometheus(folder, "{}", LOOKBACK) as running:
        yield running


def test_the_page_has_fifteen_questions_numbered_in_order() -> None:
    assert re.findall(r"^### (\d+)\.", TEXT, re.MULTILINE) == [str(number) for number in range(1, 16)]
    assert len(questions()) == 15


@pytest.mark.asyncio(loop_scope="module")
async def test_every_query_has_a_result_and_a_misleading_one_another(server: Prometheus) -> None:
    for question in questions():
        right = numbers(await server.query(question.right, NOW))
        assert right, question.title
        assert all(map(math.isfinite, right.values())), question.title
        if question.misleading:
            assert numbers(await server.query(question.misleading, NOW)) != right, question.title


@pytest.mark.asyncio(loop_scope="module")
async def test_what_is_counted_is_the_demos_mail(server: Prometheus) -> None:
    """Of each sender today, and opened by all of them in the last seven closed days."""
    traffic, by_title = Traffic(), {question.title: question.right for question in questions()}
    today = traffic.today(NOW)
    senders = sorted({stream.sender for stream in STREAMS})
    sent = numbers(await server.query(by_title["How many mails did each sender send today?"], NOW))
    polled = datetime.fromtimestamp(NOW - NOW % 300, traffic.choices.zone).timestamp() - 300
    assert sent == {
        (("account_name", sender),): traffic.counts(today, polled, sender=sender).emails for sender in senders
    }
    week = [today - timedelta(days=age) for age in range(1, 8)]
    (rate,) = numbers(await server.query(by_title["What is the open rate of all senders together?"], NOW)).values()
    counted = [traffic.counts(day, NOW) for day in week]
    settled = sum(each.unique_opens for each in counted) / sum(each.emails for each in counted)
    assert settled * 0.97 < rate <= settled, "late opens of the hours since the last read are not in it yet"


def numbers(series: Series) -> dict[tuple[tuple[str, str], ...], float]:
    """Return the value of each series, by its labels without its name."""
    return {
        tuple(sorted((name, value) for name, value in each["metric"].items() if name != "__name__")): float(
            each["value"][1]
        )
        for each in series
    }
