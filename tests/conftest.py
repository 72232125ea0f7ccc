"""Fixtures of all tests: no real account, no metadata address, a clock with a start, real programs when needed."""

import gc
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
import suite_clock
from hypothesis import HealthCheck, settings

os.environ["ALIBABA_CLOUD_ECS_METADATA_DISABLED"] = "true"
for name in (
    "ALIBABA_CLOUD_ACCESS_KEY_ID",
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
    "ALIBABA_CLOUD_SECURITY_TOKEN",
):
    os.environ.pop(name, None)
os.environ["PYTHONFAULTHANDLER"] = "1"  # a program that crashes shows where
os.environ["GOGC"] = "400"  # Prometheus and promtool look for garbage less often: a sixth less to compute
# How long an example takes is the machine's doing, and a failure that comes is one that comes again.
settings.register_profile("suite", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")

DOT_OF = 25
"""Tests that pass for each dot of the progress: a run is a few lines, and failures are easy to see."""
READS_CLOCK = "suite_clock/readers"
"""A property of a test's report, and the key under which pytest's cache keeps the tests that have it."""
_reports: dict[str, bool] = {}
"""The tests that ran, and whether they read the suite's clock."""
_passed = count(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("clock")
    start = "The moment at which the suite's clock starts.  [default: %(default)s]"
    group.addoption("--clock-start", default=suite_clock.START, metavar="ISO", help=start)
    readers = "Run only the tests that read the suite's clock when they ran last: those it could make a difference to."
    group.addoption("--clock-readers", action="store_true", help=readers)


def pytest_configure(config: pytest.Config) -> None:
    if _is_worker(config):  # it follows the clock of the process that started it
        return
    suite_clock.start(config.getoption("--clock-start"))
    if config.getoption("--clock-readers"):
        config.args[:] = sorted({file for name in _known_readers(config) if Path(file := name.split("::")[0]).exists()})
        if not config.args:
            raise pytest.UsageError("which tests read the suite's clock is not known yet: run all tests once")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Look for no garbage while tests and modules come in, all of which stay, and not among them afterwards."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--clock-readers"):
        readers = set(_known_readers(config))
        config.hook.pytest_deselected(items=[each for each in items if each.nodeid not in readers])
        items[:] = [each for each in items if each.nodeid in readers]


@pytest.fixture(autouse=True)
def _readings_of_the_suites_clock(record_property: Callable[[str, object], None]) -> Iterator[None]:
    before = suite_clock.readings()
    yield
    record_property(READS_CLOCK, suite_clock.readings() > before)


def pytest_report_teststatus(report: pytest.TestReport, config: pytest.Config) -> tuple[str, str, str] | None:
    if report.when != "call" or not report.passed or config.get_verbosity() >= 0:
        return None
    return "passed", "" if next(_passed) % DOT_OF else ".", "PASSED"


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "teardown":
        _reports[report.nodeid] = dict(report.user_properties).get(READS_CLOCK, False)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if not _is_worker(session.config) and session.config.pluginmanager.hasplugin("cacheprovider"):
        known = set(_known_readers(session.config)) - _reports.keys()
        known |= {name for name, reads in _reports.items() if reads}
        session.config.cache.set(READS_CLOCK, sorted(known))


def _known_readers(config: pytest.Config) -> list[str]:
    return config.cache.get(READS_CLOCK, []) if config.pluginmanager.hasplugin("cacheprovider") else []


def _is_worker(config: pytest.Config) -> bool:
    """Return whether xdist started this process."""
    return hasattr(config, "workerinput")


@pytest.fixture(scope="module")
def machine_clock() -> Iterator[None]:
    """Give a module the machine's clock, where its programs have no other: containers, Prometheus."""
    with suite_clock.suspended():
        yield


@pytest.fixture
def unused_tcp_port() -> Iterator[int]:
    """Yield a port of loopback where nothing listens, nor will before the test has ended: it is in use."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.fixture(scope="session")
def tool() -> Callable[[str], Path]:
    """Find a program that is not Python's: a developer's machine may lack it, CI may not."""

    def find(name: str) -> Path:
        path = shutil.which(name)
        if path is None and os.environ.get("CI") == "true":
            pytest.fail(f"{name} is not installed, and CI needs it")
        if path is None:
            pytest.skip(f"{name} is not installed")
        return Path(path)

    return find
