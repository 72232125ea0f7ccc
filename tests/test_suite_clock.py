"""No outcome depends on the hour: the suite's clock has a start, and whatever reads the machine's clock is listed."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import suite_clock

from exporter.clock import SystemClock, VirtualClock

ROOT = Path(__file__).parents[1]
FOLDERS = ("exporter", "tests", "tools")
OF_OPENSSL = "OpenSSL checks certificates by it"
OF_PROMETHEUS = "a real Prometheus has no other; the account's zone or the start of its clock is chosen by it"
MACHINE = {
    "exporter/clock.py": "everything else in the program asks a clock that is passed in",
    "exporter/commands/init.py": "the config that it writes says when, for people",
    "exporter/commands/simulate.py": "requests are dated by it, while only the mail goes faster",
    "exporter/store/database.py": "the name of a file that is set aside, and the date of a schema, are for people",
    "tests/commands/test_backfill.py": OF_PROMETHEUS,
    "tests/deploy/test_image.py": "containers have no other",
    "tests/doctor/test_examination.py": OF_OPENSSL,
    "tests/grafana/test_backfilled_month.py": OF_PROMETHEUS,
    "tests/grafana/test_queries.py": OF_PROMETHEUS,
    "tests/prometheus/test_demo_stack.py": OF_PROMETHEUS,
    "tests/prometheus/test_incidents.py": OF_PROMETHEUS,
    "tests/prometheus/test_victoria_metrics.py": OF_PROMETHEUS,
    "tests/prometheus/test_scrapes.py": "Prometheus' samples have its time, and are set against the mail's",
    "tests/simulator/test_official_sdk.py": "the SDK dates its requests by it, while the mail stands still",
    "tests/support/certificates.py": OF_OPENSSL,
    "tests/test_suite_clock.py": "the suite's clock is set against it",
    "tools/stack/demo.py": OF_PROMETHEUS,
    "tools/stack/live.py": OF_PROMETHEUS,
}
"""Who reads the machine's clock, and why no outcome depends on what it shows."""
UNMOVED = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "machine_time", "machine_clock"}
"""What shows the machine's clock in tests, whatever the suite's clock shows."""
TIMED = {"tests/test_suite_clock.py": "names them"}
"""Who takes the time that something needs, and why no outcome depends on the machine's load."""
STOPWATCHES = {"time.monotonic", "time.monotonic_ns", "time.perf_counter", "time.perf_counter_ns", "time.process_time"}


def names(source: str) -> Iterator[str]:
    """Yield what a module's source speaks of: names, names of names, arguments, and fixtures that are named as text."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Attribute(value=ast.Name(id=owner) | ast.Attribute(attr=owner), attr=name):
                yield f"{owner}.{name}"
                yield name
            case ast.ImportFrom(module="time"):
                yield from (f"time.{each.name}" for each in node.names)
            case ast.Name(id=name) | ast.arg(arg=name) | ast.Constant(value=str(name)):
                yield name


def reads_machine_clock(path: str, source: str) -> bool:
    """Return whether a module reads the machine's clock. In tests `time.time` is the suite's."""
    found = set(names(source))
    return bool(found & UNMOVED) or (not path.startswith("tests/") and "time.time" in found)


def sources() -> dict[str, str]:
    files = (file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py"))
    return {str(file.relative_to(ROOT)): file.read_text() for file in files if "at_start" not in file.parts}


def test_only_listed_code_reads_the_machines_clock() -> None:
    assert {path for path, source in sources().items() if reads_machine_clock(path, source)} == MACHINE.keys()


def test_no_test_measures_time() -> None:
    """How long something takes is the machine's affair, and that of `benchmarks/`."""
    found = {path for path, source in sources().items() if path.startswith("tests/") and STOPWATCHES & {*names(source)}}
    assert found == TIMED.keys()


@pytest.mark.parametrize(
    ("path", "source", "found"),
    [
        pytest.param(
            "tests/test_x.py", "from datetime import datetime\nday = datetime.now(UTC).date()", True, id="now"
        ),
        pytest.param("tests/test_x.py", "import datetime\nday = datetime.date.today()", True, id="today"),
        pytest.param("tests/test_x.py", "def test_x(machine_clock: None) -> None: ...", True, id="fixture"),
        pytest.param("tests/test_x.py", "pytestmark = mark.usefixtures('machine_clock')", True, id="named-fixture"),
        pytest.param("tests/test_x.py", "import time\nnow = time.time()", False, id="the-suites-clock"),
        pytest.param("exporter/x.py", "import time\nnow = time.time()", True, id="the-program"),
        pytest.param("tools/x.py", "from time import time\nnow = time()", True, id="imported-by-name"),
        pytest.param(
            "exporter/x.py", "def age(clock: Clock) -> float:\n    return clock.time()", False, id="passed-in"
        ),
    ],
)
def test_a_reading_of_the_machines_clock_is_found(path: str, source: str, found: bool) -> None:
    assert reads_machine_clock(path, source) == found


def test_the_suite_and_its_programs_run_at_the_moment_that_was_given(pytestconfig: pytest.Config) -> None:
    begin = datetime.fromisoformat(pytestconfig.getoption("--clock-start")).timestamp()
    code = "from exporter.clock import SystemClock; print(SystemClock().time())"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    for now in (SystemClock().time(), float(shown.stdout)):
        assert 0 <= now - begin < 86_400


class TestTheSuitesClock:
    NOON = "2028-02-29T12:00:00+00:00"
    """Hours, months and years away from when the suite starts, wherever that is."""

    @pytest.fixture(autouse=True)
    def _back(self) -> Iterator[None]:
        with suite_clock.suspended():
            yield

    def test_it_starts_at_the_given_moment_and_advances(self) -> None:
        suite_clock.start(self.NOON)
        noon = datetime.fromisoformat(self.NOON).timestamp()
        times = [SystemClock().time(), VirtualClock().time(), SystemClock().time()]
        assert times == [pytest.approx(noon, abs=60)] * 3
        assert times[2] > times[0]

    def test_calendar_functions_of_time_follow_it(self) -> None:
        suite_clock.start(self.NOON)
        code = "import time; print(time.strftime('%F %H', time.gmtime()), time.time_ns() // 10**18)"
        shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert shown.stdout == "2028-02-29 12 1\n"
        assert shown.stderr == ""

    def test_the_machines_clock_is_still_there(self) -> None:
        suite_clock.start(self.NOON)
        with suite_clock.suspended():
            machine = SystemClock().time()
        assert abs(machine - suite_clock.machine_time()) < 60
        assert abs(machine - datetime.now(UTC).timestamp()) < 60
        assert SystemClock().time() - machine != pytest.approx(0.0, abs=60)

    def test_a_moment_without_an_offset_is_rejected(self) -> None:
        with pytest.raises(ValueError, match="no offset from UTC"):
            suite_clock.start("2028-02-29T12:00:00")
