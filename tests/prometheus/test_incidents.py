"""The whole stack with real programs: an incident in the mail or the API, and what arrives at a webhook."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from exporter.simulator.incidents import PRODUCT
from tests.support.processes import Program, program
from tools.stack import incidents, rules
from tools.stack.prometheus import Prometheus, alertmanager, prometheus
from tools.stack.receiver import Receiver, receiver

pytestmark = [pytest.mark.stack, pytest.mark.usefixtures("machine_clock")]

SPEED = 600
"""An hour of mail in six seconds."""
ROUTES_SPEED = 60
"""Alertmanager waits for what comes over real sockets: half a second for a group, five until the next message."""
PATIENCE = 150.0
"""Real seconds after which an alert that should have come is given up."""
JOB = "directmail"


@dataclass
class Live:
    """The stack while it runs."""

    server: Prometheus
    notified: Receiver
    exporter: Program

    async def until_firing(self, name: str) -> None:
        """Return when Prometheus says that the alert fires, whether or not it is notified."""
        while not await self.server.query(f'ALERTS{{alertname="{name}",alertstate="firing"}}'):
            await asyncio.sleep(0.1)


@asynccontextmanager
async def live(folder: Path, *ahead: str) -> AsyncIterator[Live]:
    """Run an exporter with incidents ahead of it, a Prometheus with our rules, an Alertmanager with our routes."""
    async with AsyncExitStack() as stack:
        exporter = await stack.enter_async_context(
            program("127.0.0.1:0", str(SPEED), *ahead, module="tools.stack.live")
        )
        at_zero = float((await exporter.line_with("clock=")).removeprefix("clock="))
        address = await exporter.address()
        notified = await stack.enter_async_context(receiver())
        alerts = await stack.enter_async_context(alertmanager(folder, rules.routes(notified.address, ROUTES_SPEED)))
        config = {
            "global": {"scrape_interval": "400ms", "scrape_timeout": "400ms"},
            "rule_files": [str(path) for path in rules.scaled(folder, SPEED, at_zero)],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alerts.removeprefix("http://")]}]}]},
            "scrape_configs": [{"job_name": JOB, "static_configs": [{"targets": [address]}]}],
        }
        flags = ("--query.lookback-delta=2s", "--rules.alert.resend-delay=1s")
        server = await stack.enter_async_context(prometheus(folder, json.dumps(config), *flags))
        yield Live(server, notified, exporter)


async def test_an_incident_fires_its_alert_at_the_webhook_and_resolves_when_it_ends(tmp_path: Path) -> None:
    """One life of an exporter: tracking breaks for its sender, its key is revoked and given back, it dies."""
    ahead = ("tracking_down:start=+2h,for=330m", "key_revoked:start=+510m,for=90m")
    async with live(tmp_path, *ahead) as stack, asyncio.timeout(PATIENCE):
        broken = await stack.notified.until("DirectMailTrackingBroken", "firing", account_name=PRODUCT, tag_name="")
        assert broken["receiver"] == "on-call"
        assert "without a single open" in broken["annotations"]["description"]
        assert PRODUCT in broken["annotations"]["description"]
        assert broken["annotations"]["runbook_url"].endswith("#directmailtrackingbroken")
        await stack.notified.until("DirectMailTrackingBroken", "resolved", account_name=PRODUCT, tag_name="")
        assert stack.notified.of("DirectMailTrackingBroken", "firing", tag_name="onboarding") == [], (
            "the sender speaks for its tag"
        )

        rejected = await stack.notified.until("DirectMailCredentialsFailing", "firing")
        assert "dm:GetTrackList" in rejected["annotations"]["description"]
        await stack.until_firing("DirectMailDataStale")
        assert stack.notified.of("DirectMailDataStale", "firing") == [], "the cause speaks for the consequence"
        await stack.notified.until("DirectMailCredentialsFailing", "resolved")

        stack.exporter.process.kill()
        await stack.notified.until("DirectMailExporterDown", "firing")
        await stack.until_firing("DirectMailDataStale")
        assert stack.notified.of("DirectMailDataStale", "firing") == []


async def test_every_incident_fires_its_alerts_and_no_others_and_quiet_weeks_fire_no_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    findings = await incidents.measure(tmp_path)
    with capsys.disabled():
        sys.stdout.write(f"\n{incidents.markdown(findings)}")
    assert {each.world.name: set(each.missing) for each in findings.verdicts if each.missing} == {}
    assert {each.world.name: set(each.unexpected) for each in findings.verdicts if each.unexpected} == {}
    assert findings.quiet == []
    assert findings.weeks >= 20
