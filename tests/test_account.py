"""The account and its domains in the whole program, over HTTP, beside a simulator that knows the truth."""

import re
from pathlib import Path

from exporter.simulator import account
from exporter.simulator.habits import Habits
from exporter.simulator.server import Simulator
from tests.support.clock import ScriptedClock
from tests.support.processes import get, until
from tests.support.programs import SENDERS, write_config
from tests.test_polling import asked, exporter

NOON = "2026-04-22T12:00:00+08:00"
HEAD = "account_interval: 1h\ndomains_interval: 1h\n"


def values(text: str, name: str) -> dict[tuple[str, ...], float]:
    """Return a metric's values by its labels' values."""
    found = re.findall(rf"^{name}{{(.*)}} (.*)$", text, re.MULTILINE)
    return {tuple(re.findall(r'"([^"]*)"', labels)): float(value) for labels, value in found}


async def test_what_the_account_says_is_on_the_metrics_page_and_each_list_is_made_once(tmp_path: Path) -> None:
    clock = ScriptedClock(NOON)
    unverified = {"notify.example.com": frozenset({"cname", "dmarc"})}
    api = Simulator(clock=clock, habits=Habits(calls_per_minute=1_000_000), unverified=unverified)
