"""Recordings in tests/recordings/; `python -m tests.support.recordings` makes those of the simulator anew."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import yaml

from exporter.clock import SystemClock
from exporter.config import loader
from exporter.config.model import Config
from exporter.directmail.client import Client
from exporter.directmail.model import Filters
from exporter.directmail.statistics.registry import STATISTICS
from exporter.directmail.transport import open_session
from exporter.doctor import recording
from exporter.doctor.examination import examine
from exporter.doctor.recording import CallRecorder, Origin
from exporter.doctor.sanitizing import Sanitizer
from exporter.plan.pacing import OLDEST_AGE
from exporter.simulator.behaviour import CHOICES, Behaviour
from exporter.simulator.replay import Recording
from exporter.simulator.server import Simulator
from exporter.simulator.traffic import Traffic
from exporter.target_client import connect
from tests.support.clock import ScriptedClock
from tools import account, verified

NEWS, NOTIFY = "news@mail.example.com", "no-reply@notify.example.com"
QUERIES = [
    {"name": "account", "statistics": ["engagement", "delivery"]},
    {"name": "by_sender", "account_name": [NEWS, NOTIFY]},
    {"name": "by_esp", "account_name": NEWS, "esp": "gmail.com"},
    {"name": "by_tag", "account_name": NOTIFY, "tag_name": "receipt"},
    {"name": "by_domain", "domain": "notify.example.com"},
]
MADE: Mapping[str, tuple[Behaviour, int, bool]] = {
    "simulator-days-percent-utc": (Behaviour(clock_text="utc"), 100, True),
    "simulator-hours-fraction": (
        Behaviour(rows="hour", rate_format="0.3142", domain_filter="subdomains"),
        20,
        False,
    ),
    "simulator-sum-sign": (
        Behaviour(rows="sum", rate_format="31.42%", no_dedicated_ips="error", domain_filter="ignored"),
        100,
        False,
    ),
}
"""The simulator's recordings: its behaviour, the page size, and whether to request all of `make test-account`."""


def config(
    url: str, queries: object, *, page_size: int = 100, zone: str = "Asia/Shanghai", oldest: bool = True
) -> Config:
    """Return a config with one target with a high rate limit."""
    target = {
        "name": "shop",
        "endpoint": url,
        "timezone": zone,
        "rate_limit_per_minute": 6000,
        "page_size": page_size,
        "queries": queries,
    }
    windows = ["today", f"{OLDEST_AGE}d"] if oldest else ["today"]
    sound, problems = loader.parse(yaml.safe_dump({"windows": windows, "poll_interval": "2h", "targets": [target]}))
    assert sound is not None, problems
    assert problems == ()
    return sound


def queries_of(found: Recording) -> list[dict[str, object]]:
    """Return queries over just the filters that a recording has answers for."""
    by_filters: dict[Filters, set[str]] = {}
    for statistic in STATISTICS.values():
        keys = {parameter: key for key, parameter in statistic.parameters.items()}
        for call in found.calls:
            if call.action == statistic.action:
                given = {keys[name]: value for name, value in call.parameters.items() if name in keys}
                if given.get("esp") != "Others":  # no config has it
                    by_filters.setdefault(Filters(**given), set()).add(statistic.name)
    return [
        {
            "name": f"q{place}",
            "statistics": sorted(names),
            **{key: value for key, value in filters._asdict().items() if value},
        }
        for place, (filters, names) in enumerate(by_filters.items())
    ]


async def made(name: str) -> dict[str, str]:
    """Return the files of one of the simulator's recordings."""
    behaviour, page_size, everything = MADE[name]
    clock = ScriptedClock("2026-04-22T10:15:30+00:00", skip_sleeps=True)
    api = Simulator(Traffic(), clock=clock, behaviour=behaviour)
    keys = {"ALIBABA_CLOUD_ACCESS_KEY_ID": api.key_id, "ALIBABA_CLOUD_ACCESS_KEY_SECRET": api.secret}
    calls = CallRecorder(clock)
    async with AsyncExitStack() as stack:
        settings = config(await stack.enter_async_context(api.listen()), QUERIES, page_size=page_size)
        if everything:
            found = await account.request(settings, clock, keys, calls)
        else:
            (found,) = await examine(settings, clock, keys, {"shop": calls})
    reported = ", ".join(f"{name} {getattr(behaviour, name) or '-'}" for name in CHOICES)
    about = f"The simulator: {reported}; page_size {page_size}."
    sanitizer = Sanitizer(name.encode(), weeks=100)
    return recording.files(settings.targets[0], calls.kept, found.findings, sanitizer, Origin("simulator", about))


@asynccontextmanager
async def client(url: str, api: Simulator, page_size: int = 100) -> AsyncIterator[Client]:
    """Open a client of a simulator that makes each call once."""
    clock = SystemClock()
    async with open_session() as session:
        keys = {"ALIBABA_CLOUD_ACCESS_KEY_ID": api.key_id, "ALIBABA_CLOUD_ACCESS_KEY_SECRET": api.secret}
        settings = config(url, [{"name": "all"}], page_size=page_size)
        yield connect(settings.targets[0], session, clock, keys, attempts=1)


async def main() -> None:
    for name in MADE:
        shutil.rmtree(verified.FOLDER / name, ignore_errors=True)
        recording.write(verified.FOLDER / name, await made(name))


if __name__ == "__main__":
    asyncio.run(main())
