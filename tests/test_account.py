"""The account and its domains in the whole program, over HTTP, beside a simulator that knows the truth."""

import re
from pathlib import Path

from exporter.clock import VirtualClock
from exporter.directmail import account
from exporter.directmail.listing import OPERATIONS
from exporter.simulator.account import DAILY_QUOTA, MONTHLY_QUOTA
from exporter.simulator.behaviour import Behaviour
from exporter.simulator.call import Inventory
from exporter.simulator.server import Simulator
from tests.support.processes import get, until
from tests.support.programs import SENDERS
from tests.test_polling import AFTERNOON, calls_made, exporter, write_config

HEAD = "account_interval: 1h\ndomains_interval: 1h\n"
QUERIES = """
      - {name: senders, account_name: {discover: true}}
      - {name: domains, domain: {discover: true}}
"""


class LongMoment(VirtualClock):
    """A clock that runs fast for budgets while its wall time stands still, so that there is one truth."""

    def time(self) -> float:
        return AFTERNOON + 3600


def values(text: str, name: str) -> dict[tuple[str, ...], float]:
    """Return a metric's values by its labels' values, the target left out."""
    found = re.findall(rf"^{name}{{(.*)}} (.*)$", text, re.MULTILINE)
    return {
        tuple(value for label, value in re.findall(r'(\w+)="([^"]*)"', labels) if label != "target"): float(number)
        for labels, number in found
    }


async def test_the_account_is_on_the_metrics_page_and_each_list_is_requested_once(tmp_path: Path) -> None:
    inventory = Inventory(unverified={"notify.example.com": frozenset({"cname", "dmarc"})})
    api = Simulator(clock=LongMoment(20.0), behaviour=Behaviour(calls_per_minute=1_000_000), inventory=inventory)
    now = api.clock.time()
    async with api.listen() as url:
        config = write_config(tmp_path / "config.yaml", url, QUERIES, HEAD)
        async with exporter(config, api) as (_, base):
            checked = [f'check="dmarc",domain="{name}"' for name in Inventory().domains]
            for text in ("directmail_account_state{", "directmail_sender_emails{", *checked):
                await until(f"{base}/metrics", text)
            text = (await get(f"{base}/metrics"))[1]
    today = api.traffic.today(now)
    requested = {
        (sender, window): sum(api.traffic.delivery(day, now, sender=sender).requested for day in days)
        for sender in SENDERS
        for window, days in (("today", [today]), ("month", [today.replace(day=n) for n in range(1, today.day + 1)]))
    }
    assert values(text, "directmail_sender_emails") == requested
    assert values(text, "directmail_account_daily_quota_emails") == {(): DAILY_QUOTA}
    assert values(text, "directmail_account_monthly_quota_emails") == {(): MONTHLY_QUOTA}
    assert set(values(text, "directmail_account_state").values()) == {0}
    failed = {labels for labels, value in values(text, "directmail_domain_verified").items() if not value}
    assert failed == {("cname", "notify.example.com"), ("dmarc", "notify.example.com")}
    assert set(values(text, "directmail_account_read_success").values()) == {1}
    calls = calls_made(api)
    assert calls[OPERATIONS["account_name"].action] == calls[OPERATIONS["domain"].action] == 1, "shared with discovery"
    assert calls[account.SUMMARY] == 1
    assert calls[account.DOMAIN] == 2
