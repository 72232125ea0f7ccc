"""Visits of the doctor to a simulator."""

from collections.abc import Mapping
from dataclasses import dataclass

from exporter.clock import Clock
from exporter.config import loader
from exporter.doctor import report
from exporter.doctor.examination import examine, most_calls
from exporter.doctor.findings import PROBLEM, Finding
from exporter.doctor.report import Report
from exporter.simulator.behaviour import Behaviour
from exporter.simulator.faults import Fault
from exporter.simulator.server import Simulator
from exporter.simulator.traffic import Traffic
from tests.support.clock import ScriptedClock

ID, SECRET, TOKEN = "CanaryKeyId7f3a", "CanarySecret91bc", "CanaryToken55de"
NEWS, NOTIFY, PRODUCT = "news@mail.example.com", "no-reply@notify.example.com", "product@mail.example.com"
KEYS = {
    "ALIBABA_CLOUD_ACCESS_KEY_ID": ID,
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET": SECRET,
    "ALIBABA_CLOUD_SECURITY_TOKEN": TOKEN,
}
NOW = "2026-04-22T10:15:30+00:00"
TRAFFIC = Traffic()
"""The mail that simulators share unless they are given another: what is counted once is known to all of them."""
QUERIES = f"""
      - name: account
      - name: by_sender
        account_name: [{NEWS}, {NOTIFY}]
      - name: by_esp
        account_name: {NEWS}
        esp: [gmail.com, yahoo.com]
      - name: by_tag
        account_name: {NOTIFY}
        tag_name: [receipt, signup]
"""


def config_text(
    endpoint: str, *, zone: str = "Asia/Shanghai", queries: str = QUERIES, settings: str = "", top: str = ""
) -> str:
    return f"""{top}
poll_interval: 2h
windows: [today, 30d]
targets:
  - name: shop
    endpoint: {endpoint}
    timezone: {zone}
    rate_limit_per_minute: 6000
    {settings}
    queries:{queries}"""


def simulator(
    *struck: Fault, clock: Clock | None = None, traffic: Traffic | None = None, **behaviour: object
) -> Simulator:
    return Simulator(
        traffic or TRAFFIC,
        key_id=ID,
        secret=SECRET,
        security_token=TOKEN,
        clock=clock or ScriptedClock(NOW, skip_sleeps=True),
        faults=list(struck),
        behaviour=Behaviour(**behaviour),  # type: ignore[arg-type]
    )


@dataclass
class Visit:
    """The result of a doctor's visit to one target."""

    report: Report
    api: Simulator

    def of(self, check: str) -> list[Finding]:
        return [each for each in self.report.findings if each.check == check]

    def one(self, check: str) -> Finding:
        (found,) = self.of(check)
        return found

    @property
    def is_well(self) -> bool:
        return report.is_well([self.report])


async def examined(text: str, clock: Clock, environment: Mapping[str, str] = KEYS) -> Report:
    sound, problems = loader.parse(text)
    assert problems == ()
    assert sound is not None
    (found,) = await examine(sound, clock, environment)
    assert found.requests <= most_calls(sound.targets[0])
    for each in found.findings:
        assert_single_spaced(each)
    return found


async def visit(
    api: Simulator,
    *,
    zone: str = "Asia/Shanghai",
    queries: str = QUERIES,
    settings: str = "",
    top: str = "",
    ahead: float = 0.0,
) -> Visit:
    """Run the doctor on a simulator; its own clock may be ahead of the API's by some seconds."""
    clock = api.clock if not ahead else ScriptedClock(api.clock.time() + ahead, skip_sleeps=True)
    async with api.listen() as url:
        found = await examined(config_text(url, zone=zone, queries=queries, settings=settings, top=top), clock)
    assert found.requests == len(api.requests)
    return Visit(found, api)


def assert_single_spaced(finding: Finding) -> None:
    """Sentences put together from parts have one space between them; lines to copy below may be aligned."""
    fix, _, _to_copy = finding.fix.partition("\n")
    assert "  " not in f"{finding.text}\n{fix}", finding


def assert_readable(found: Report) -> None:
    """Every problem and note that somebody can fix says how; nothing is secret, nothing that a terminal obeys."""
    shown = report.as_text([found]), report.as_json([found])
    for text in shown:
        assert all(line.isprintable() for line in text.splitlines())
        assert not any(canary in text for canary in (ID, SECRET, TOKEN))
        assert "Traceback" not in text
        assert "None" not in text
    assert all(each.fix for each in found.findings if each.level == PROBLEM)
