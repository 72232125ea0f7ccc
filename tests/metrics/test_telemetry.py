"""The exporter's own metrics."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client import Counter as ClientCounter
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from exporter.clock import Clock
from exporter.config.model import Discover, Query, Target
from exporter.directmail.crosscheck import Crosscheck
from exporter.directmail.errors import REASONS, ServerError
from exporter.directmail.limiter import Limiter
from exporter.directmail.listing import OPERATIONS, Listed
from exporter.directmail.statistics.delivery import DELIVERY
from exporter.directmail.statistics.engagement import ENGAGEMENT
from exporter.directmail.statistics.registry import DEFAULT
from exporter.metrics.exposition import Exposition
from exporter.metrics.target_rows import BUCKETS, FAMILIES
from exporter.metrics.telemetry import STEP, Telemetry
from exporter.plan.target_plan import TargetPlan
from exporter.store.discovered_values import DiscoveredValues
from tests.support.clock import ScriptedClock
from tests.support.tasks import most_in_a_turn, running
from tests.support.worlds import make_config, make_plan

DESIGN_NAMES = {
    "directmail_up",
    "directmail_exporter_build_info",
    "directmail_exporter_api_requests_total",
    "directmail_exporter_api_request_errors_total",
    "directmail_exporter_api_request_duration_seconds",
    "directmail_exporter_rate_limit_requests_per_minute",
    "directmail_exporter_throttled",
    "directmail_exporter_planned_requests_per_minute",
    "directmail_exporter_poll_interval_seconds",
    "directmail_exporter_backlog_cells",
    "directmail_exporter_combinations_dropped",
    "directmail_exporter_discovery_success",
    "directmail_exporter_discovered_values",
    "directmail_exporter_count_decreases_total",
    "directmail_exporter_reported_rate_mismatches_total",
    "directmail_exporter_implausible_counts_total",
    "directmail_exporter_credentials_expiry_timestamp_seconds",
    "directmail_exporter_log_lines_dropped_total",
    "directmail_exporter_config_last_reload_successful",
    "directmail_exporter_config_last_reload_success_timestamp_seconds",
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "python_info",
}


@dataclass
class State:
    """A target of which one statistic is polled, and the polling of that; `also` has the other ones."""

    clock: Clock
    plan: TargetPlan
    limiter: Limiter
    up: bool = True
    due: int | None = 7
    credentials_expire_at: float | None = None
    crosscheck: Crosscheck = field(default_factory=lambda: Crosscheck(ENGAGEMENT))
    also: Sequence["State"] = ()

    @property
    def target(self) -> Target:
        return self.plan.target

    @property
    def polls(self) -> dict[str, "State"]:
        return {each.plan.action: each for each in (self, *self.also)}

    @property
    def limiters(self) -> dict[str, Limiter]:
        listing = (OPERATIONS[key].action for key in self.plan.target.discovered)
        return {**{action: each.limiter for action, each in self.polls.items()}, **dict.fromkeys(listing, self.limiter)}

    @property
    def planned_requests(self) -> dict[str, float]:
        return {action: each.plan.requests_per_minute for action, each in self.polls.items()}

    def is_up(self) -> bool:
        return self.up

    def backlog(self) -> int | None:
        return self.due


@dataclass
class Kept:
    writable: bool


def state() -> State:
    clock = ScriptedClock()
    return State(clock, make_plan(make_config(head="poll_interval: 5m")), Limiter(30, clock))


def text(registry: CollectorRegistry) -> str:
    return generate_latest(registry).decode()


def test_every_name_of_the_contract_is_there() -> None:
    registry = CollectorRegistry()
    Telemetry(registry, Counter()).add("shop", state())
    names = {line.split()[2] for line in text(registry).splitlines() if line.startswith("# TYPE")}
    assert names >= DESIGN_NAMES


@pytest.mark.parametrize("of_process", [True, False])
def test_metrics_of_the_process_can_be_left_out(*, of_process: bool) -> None:
    registry = CollectorRegistry()
    Telemetry(registry, {}, of_process=of_process)
    names = {line.split("{")[0].split()[0] for line in text(registry).splitlines() if not line.startswith("#")}
    assert {name for name in names if not name.startswith("directmail_")} == (
        {name for name in names if name.startswith(("process_", "python_"))} if of_process else set()
    )
    assert ("python_info" in names) == ("process_open_fds" in names) == of_process


def test_all_errors_start_at_0() -> None:
    registry = CollectorRegistry()
    Telemetry(registry, Counter()).add("shop", state())
    shown = text(registry)
    for reason in REASONS:
        line = (
            f'directmail_exporter_api_request_errors_total{{action="GetTrackList",reason="{reason}",target="shop"}} 0.0'
        )
        assert line in shown
    assert 'directmail_exporter_api_requests_total{action="GetTrackList",target="shop"} 0.0' in shown


def test_a_request_is_counted_once_and_its_failure_by_its_reason() -> None:
    registry = CollectorRegistry()
    telemetry = Telemetry(registry, Counter())
    telemetry.add("shop", state())
    observe = telemetry.observer("shop")
    observe("GetTrackList", 0.2, None)
    observe("GetTrackList", 0.3, "throttled")
    shown = text(registry)
    assert 'api_requests_total{action="GetTrackList",target="shop"} 2.0' in shown
    assert 'reason="throttled",target="shop"} 1.0' in shown
    assert 'api_request_duration_seconds_sum{action="GetTrackList",target="shop"} 0.5' in shown


def test_a_targets_state_is_that_of_the_scrape() -> None:
    registry, decreases = CollectorRegistry(), Counter({"shop": 3})
    its = state()
    Telemetry(registry, decreases).add("shop", its)
    assert 'directmail_up{target="shop"} 1.0' in text(registry)
    its.up = False
    its.limiter.throttled()
    shown = text(registry)
    assert 'directmail_up{target="shop"} 0.0' in shown
    of_action = '{action="GetTrackList",target="shop"}'
    assert f"directmail_exporter_rate_limit_requests_per_minute{of_action} 15.0" in shown
    assert f"directmail_exporter_throttled{of_action} 1.0" in shown
    assert f"directmail_exporter_backlog_cells{of_action} 7.0" in shown
    assert f"directmail_exporter_poll_interval_seconds{of_action} 300.0" in shown
    assert f"directmail_exporter_planned_requests_per_minute{of_action} {its.plan.requests_per_minute}" in shown
    assert 'directmail_exporter_count_decreases_total{target="shop"} 3.0' in shown


def test_a_backlog_that_is_not_known_yet_is_absent() -> None:
    registry, its = CollectorRegistry(), state()
    its.due = None
    Telemetry(registry, Counter()).add("shop", its)
    assert "directmail_exporter_backlog_cells{" not in text(registry)
    its.due = 0
    assert 'directmail_exporter_backlog_cells{action="GetTrackList",target="shop"} 0.0' in text(registry)


def test_each_operation_has_its_own_state_and_the_target_is_up_with_any() -> None:
    registry, its = CollectorRegistry(), state()
    delivery = State(
        its.clock,
        replace(its.plan, statistic="delivery", poll_interval=600.0, requests_per_minute=1.5, left_out=2),
        Limiter(50, its.clock),
        crosscheck=Crosscheck(DELIVERY),
    )
    its.also, its.up = [delivery], False
    telemetry = Telemetry(registry, Counter())
    telemetry.add("shop", its)
    its.limiter.throttled()
    telemetry.observer("shop")(DELIVERY.action, 0.2, "throttled")
    delivery.crosscheck.implausible["delivered"] = 4
    shown = text(registry)
    for name, of_engagement, of_delivery in (
        ("rate_limit_requests_per_minute", 15.0, 50.0),
        ("throttled", 1.0, 0.0),
        ("planned_requests_per_minute", its.plan.requests_per_minute, 1.5),
        ("poll_interval_seconds", 300.0, 600.0),
        ("backlog_cells", 7.0, 7.0),
        ("combinations_dropped", 0.0, 2.0),
        ("api_requests_total", 0.0, 1.0),
    ):
        for action, value in ((ENGAGEMENT.action, of_engagement), (DELIVERY.action, of_delivery)):
            assert f'\ndirectmail_exporter_{name}{{action="{action}",target="shop"}} {value}\n' in shown
    for reason in REASONS:
        count = float(reason == "throttled")
        assert f'errors_total{{action="{DELIVERY.action}",reason="{reason}",target="shop"}} {count}' in shown
    assert 'implausible_counts_total{count="delivered",statistic="delivery",target="shop"} 4.0' in shown
    assert 'implausible_counts_total{count="unique_opens",statistic="engagement",target="shop"} 0.0' in shown
    assert shown.count("reported_rate_mismatches_total{") == len(ENGAGEMENT.rates), "delivery reports none"
    assert 'directmail_up{target="shop"} 1.0' in shown, "delivery is read"


def test_credentials_show_their_expiry_where_it_is_known() -> None:
    registry = CollectorRegistry()
    its = state()
    Telemetry(registry, Counter()).add("shop", its)
    name = "directmail_exporter_credentials_expiry_timestamp_seconds"
    assert f"\n{name}{{" not in text(registry)
    its.credentials_expire_at = 1776852000.0
    assert f'{name}{{target="shop"}} 1.776852e+09' in text(registry)


def test_every_rate_and_count_that_may_not_fit_starts_at_0() -> None:
    registry = CollectorRegistry()
    its = state()
    Telemetry(registry, Counter()).add("shop", its)
    for name in ("open", "unique_open", "click", "unique_click"):
        line = f'reported_rate_mismatches_total{{rate="{name}",statistic="engagement",target="shop"}} 0.0'
        assert line in text(registry)
    for name in ("unique_opens", "unique_clicks"):
        line = f'implausible_counts_total{{count="{name}",statistic="engagement",target="shop"}} 0.0'
        assert line in text(registry)
    its.crosscheck.mismatches["click"] = 3
    assert 'mismatches_total{rate="click",statistic="engagement",target="shop"} 3.0' in text(registry)


def test_a_target_that_left_leaves_nothing() -> None:
    registry = CollectorRegistry()
    telemetry = Telemetry(registry, Counter())
    telemetry.add("shop", state())
    telemetry.add("other", state())
    telemetry.remove("shop")
    assert 'target="shop"' not in text(registry)
    assert 'target="other"' in text(registry)


def test_a_rejected_config_keeps_the_time_of_the_last_good_one() -> None:
    registry = CollectorRegistry()
    telemetry = Telemetry(registry, Counter())
    telemetry.loaded(1000.0)
    telemetry.load_failed()
    shown = text(registry)
    assert "directmail_exporter_config_last_reload_successful 0.0" in shown
    assert "directmail_exporter_config_last_reload_success_timestamp_seconds 1000.0" in shown


def test_a_request_that_ends_after_its_target_left_brings_nothing_back() -> None:
    """A reload cancels the calls in flight, and they end a moment later."""
    registry = CollectorRegistry()
    telemetry = Telemetry(registry, Counter())
    observe = telemetry.observer("shop")
    telemetry.add("shop", state())
    telemetry.remove("shop")
    observe("GetTrackList", 0.2, "network")
    assert 'target="shop"' not in text(registry)


def test_a_target_that_comes_back_starts_anew() -> None:
    registry = CollectorRegistry()
    telemetry = Telemetry(registry, Counter())
    telemetry.add("shop", state())
    telemetry.observer("shop")("GetTrackList", 0.2, None)
    telemetry.remove("shop")
    telemetry.add("shop", state())
    assert 'api_requests_total{action="GetTrackList",target="shop"} 0.0' in text(registry)


class TestDiscovery:
    """Of a target that has one sender and discovers its tags."""

    @pytest.fixture
    def shown(self) -> tuple[Callable[[], str], DiscoveredValues, Telemetry, State]:
        registry, discovered = CollectorRegistry(), DiscoveredValues()
        telemetry = Telemetry(registry, Counter(), None, discovered)
        its = state()
        query = Query("", "tags", {"account_name": ("a",)}, {"tag_name": Discover((), (), 200)}, (), DEFAULT)
        its.plan = replace(its.plan, target=replace(its.plan.target, queries=(query,)), left_out=3)
        return lambda: text(registry), discovered, telemetry, its

    def test_its_calls_start_at_0_and_only_its(self, shown: Any) -> None:
        page, _, telemetry, its = shown
        telemetry.add("shop", its)
        assert 'api_requests_total{action="QueryTagByParam",target="shop"} 0.0' in page()
        assert 'errors_total{action="QueryTagByParam",reason="permission",target="shop"} 0.0' in page()
        assert "QueryMailAddressByParam" not in page()

    def test_counters_continue_when_a_reload_adds_operations(self, shown: Any) -> None:
        page, _, telemetry, its = shown
        telemetry.add("shop", state())
        telemetry.observer("shop")("GetTrackList", 0.2, None)
        telemetry.add("shop", its)
        assert 'api_requests_total{action="GetTrackList",target="shop"} 1.0' in page()
        assert 'api_requests_total{action="QueryTagByParam",target="shop"} 0.0' in page()

    def test_before_the_first_try_there_is_no_sample(self, shown: Any) -> None:
        page, _, telemetry, its = shown
        telemetry.add("shop", its)
        assert "discovery_success{" not in page()
        assert "discovered_values{" not in page()

    def test_a_first_failure_is_shown_without_a_number(self, shown: Any) -> None:
        page, discovered, telemetry, its = shown
        telemetry.add("shop", its)
        discovered.failed("shop", "tag_name", ServerError("the API failed"), 1.0)
        assert 'discovery_success{action="QueryTagByParam",target="shop"} 0.0' in page()
        assert "discovered_values{" not in page()

    def test_a_list_shows_its_values_and_a_later_failure_keeps_them(self, shown: Any) -> None:
        page, discovered, telemetry, its = shown
        telemetry.add("shop", its)
        discovered.succeeded("shop", "tag_name", Listed(("a", "b"), 0, 1, ""), 1.0)
        assert 'discovery_success{action="QueryTagByParam",target="shop"} 1.0' in page()
        discovered.failed("shop", "tag_name", ServerError("the API failed"), 2.0)
        assert 'discovery_success{action="QueryTagByParam",target="shop"} 0.0' in page()
        assert 'discovered_values{action="QueryTagByParam",target="shop"} 2.0' in page()
        assert 'combinations_dropped{action="GetTrackList",target="shop"} 3.0' in page()

    def test_an_empty_list_is_a_real_0(self, shown: Any) -> None:
        page, discovered, telemetry, its = shown
        telemetry.add("shop", its)
        discovered.succeeded("shop", "tag_name", Listed((), 0, 1, ""), 1.0)
        assert 'discovered_values{action="QueryTagByParam",target="shop"} 0.0' in page()


def test_a_second_set_on_one_registry_is_rejected() -> None:
    registry = CollectorRegistry()
    Telemetry(registry, Counter())
    with pytest.raises(ValueError, match="Duplicated"):
        Telemetry(registry, Counter())


@pytest.mark.parametrize(("writable", "shown"), [(True, "1.0"), (False, "0.0")])
def test_a_state_file_shows_whether_it_can_be_written(writable: bool, shown: str) -> None:
    registry = CollectorRegistry()
    Telemetry(registry, Counter(), Kept(writable))
    assert f"directmail_exporter_state_writable {shown}\n" in text(registry)


def test_without_a_state_file_it_has_no_metric() -> None:
    registry = CollectorRegistry()
    Telemetry(registry, Counter())
    assert "\ndirectmail_exporter_state_writable " not in text(registry)


OPENMETRICS = "application/openmetrics-text; version=1.0.0"
REQUESTS = st.lists(
    st.tuples(
        st.sampled_from(["shop", 'a"b\\c']),
        st.sampled_from([ENGAGEMENT.action, DELIVERY.action]),
        st.one_of(st.floats(0, 40), st.sampled_from(BUCKETS)),
        st.sampled_from([None, *REASONS]),
    ),
    max_size=12,
)


class TestHeldReady:
    """What a scrape has of the targets was made before it."""

    def setup_method(self) -> None:
        self.registry, self.clock = CollectorRegistry(), ScriptedClock()
        self.exposition = Exposition(FAMILIES, self.registry)
        self.decreases: Counter[str] = Counter()
        self.discovered = DiscoveredValues()
        self.telemetry = Telemetry(
            self.registry, self.decreases, None, self.discovered, exposition=self.exposition, of_process=False
        )

    async def body(self, accept: str = "") -> str:
        page = await self.exposition.scrape(accept)
        return b"".join(page.parts).decode()

    @settings(max_examples=40)
    @given(REQUESTS, st.floats(0, 1e12), st.integers(0, 2**53))
    async def test_it_is_what_prometheus_client_prints(
        self, requests: list[tuple[str, str, float, str | None]], expiry: float, decreases: int
    ) -> None:
        self.setup_method()
        registry, its = CollectorRegistry(), state()
        its.also, its.credentials_expire_at = [replace(its, plan=replace(its.plan, statistic="delivery"))], expiry
        theirs = Telemetry(registry, self.decreases, None, self.discovered, of_process=False)
        for each in (self.telemetry, theirs):
            for target in ("shop", 'a"b\\c', "other"):
                each.add(target, its)
        self.decreases["shop"] = decreases
        for target, action, seconds, reason in requests:
            self.telemetry.observer(target)(action, seconds, reason)
            theirs.observer(target)(action, seconds, reason)
        await self.telemetry.refresh()
        for accept, rendered in (("", generate_latest(registry)), (OPENMETRICS, generate_openmetrics(registry))):
            assert families(await self.body(accept)) == families(rendered.decode())

    @settings(max_examples=40)
    @given(REQUESTS)
    async def test_calls_are_counted_as_prometheus_clients_own_objects_count(
        self, requests: list[tuple[str, str, float, str | None]]
    ) -> None:
        self.setup_method()
        registry, its = CollectorRegistry(), state()
        its.also = [replace(its, plan=replace(its.plan, statistic="delivery"))]
        calls, errors, took = (family for family in FAMILIES[:3])
        counted = ClientCounter(calls.name, calls.help, ["target", "action"], registry=registry)
        failed = ClientCounter(errors.name, errors.help, ["target", "action", "reason"], registry=registry)
        timed = Histogram(took.name, took.help, ["target", "action"], buckets=BUCKETS, registry=registry)
        for target in ("shop", 'a"b\\c'):
            self.telemetry.add(target, its)
            for action in its.limiters:
                counted.labels(target, action)
                timed.labels(target, action)
                for reason in REASONS:
                    failed.labels(target, action, reason)
        for target, action, seconds, reason in requests:
            self.telemetry.observer(target)(action, seconds, reason)
            counted.labels(target, action).inc()
            timed.labels(target, action).observe(seconds)
            if reason is not None:
                failed.labels(target, action, reason).inc()
        await self.telemetry.refresh()
        for accept, rendered in (("", generate_latest(registry)), (OPENMETRICS, generate_openmetrics(registry))):
            ours = families(await self.body(accept))
            for name, lines in families(rendered.decode()).items():
                if not name.endswith("_created"):
                    assert ours[name] == [line for line in lines if "_created{" not in line]

    async def test_a_target_is_shown_at_once_and_what_changes_within_a_second(self) -> None:
        async with running(self.telemetry.run(self.clock)):
            await self.clock.advance(0.5)
            self.telemetry.add("shop", state())
            assert 'api_requests_total{action="GetTrackList",target="shop"} 0.0' in await self.body()
            self.telemetry.observer("shop")("GetTrackList", 0.2, None)
            await self.clock.advance(0.4)
            assert 'api_requests_total{action="GetTrackList",target="shop"} 0.0' in await self.body()
            await self.clock.advance(0.1)
            await self.exposition.in_thread(int)  # what was to be rendered before is rendered then
            assert 'api_requests_total{action="GetTrackList",target="shop"} 1.0' in await self.body()
            self.telemetry.remove("shop")
            assert 'target="shop"' not in await self.body()

    async def test_nothing_is_made_anew_while_nothing_changes(self) -> None:
        self.telemetry.add("shop", state())
        await self.body()
        counted = self.exposition._snapshot
        await self.telemetry.refresh()
        assert self.exposition._snapshot is counted is not None

    async def test_a_change_makes_only_its_own_lines_anew(self) -> None:
        self.telemetry.add("shop", state())
        before = self.telemetry._targets.read("shop").render()
        self.telemetry.observer("shop")("GetTrackList", 0.2, None)
        after = self.telemetry._targets.read("shop").render()
        changed = {family.name for family, old, new in zip(FAMILIES, before, after, strict=True) if old is not new}
        assert changed == {
            "directmail_exporter_api_requests_total",
            "directmail_exporter_api_request_duration_seconds",
        }

    async def test_changed_lines_are_rendered_in_another_thread(self) -> None:
        its = state()
        self.telemetry.add("shop", its)
        its.credentials_expire_at = expiry = TracedFloat(1e9)
        await self.telemetry.refresh()
        assert expiry.rendered_in == {"rendering_0"}
        assert 'credentials_expiry_timestamp_seconds{target="shop"} 1e+09' in await self.body()

    async def test_a_scrape_calls_no_target(self) -> None:
        its = CountingTarget()
        self.telemetry.add("shop", its)
        requested = its.requested
        for accept in ("", OPENMETRICS):
            assert 'directmail_up{target="shop"} 1.0' in await self.body(accept)
        assert its.requested == requested

    async def test_many_targets_are_updated_a_few_at_a_time(self) -> None:
        its = CountingTarget()
        for number in range(300):
            self.telemetry.add(f"shop-{number}", its)
        its.requested = 0
        assert await most_in_a_turn(self.telemetry.refresh(), lambda: its.requested) == STEP
        assert its.requested == 300


class TracedFloat(float):
    """A number that knows the threads in which it was printed."""

    def __init__(self, value: float) -> None:
        self.rendered_in: set[str] = set()

    def __float__(self) -> float:
        self.rendered_in.add(threading.current_thread().name)
        return self + 0.0


class CountingTarget(State):
    """A target's state that counts how often it was checked."""

    def __init__(self) -> None:
        its = state()
        super().__init__(its.clock, its.plan, its.limiter)
        self.requested = 0

    def is_up(self) -> bool:
        self.requested += 1
        return True


def families(shown: str) -> dict[str, list[str]]:
    """Return the lines of each family that has samples, of the targets' metrics, the head among them."""
    found: dict[str, list[str]] = {}
    for line in shown.splitlines():
        if line.startswith("# HELP"):
            lines = found[line.split()[2]] = []
        if not line.startswith("# EOF"):
            lines.append(line)
    return {name: lines for name, lines in found.items() if len(lines) > 2 and "target=" in lines[2]}
