"""The exporter's own metrics: those of the process, rendered when scraped, and those of its targets, rendered ahead."""

import asyncio
import platform
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Protocol

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from exporter import __revision__, __version__
from exporter.clock import Clock
from exporter.config.shards import WHOLE, Shard
from exporter.metrics.exposition import Exposition
from exporter.metrics.target_metrics import TargetMetrics
from exporter.metrics.target_rows import FAMILIES, TargetState
from exporter.process import stderr
from exporter.store.discovered_values import DiscoveredValues

EVERY = 1.0
"""Seconds between two checks of all targets."""
STEP = 4
"""Targets that are checked before other work runs: about a millisecond."""
_SECTION = "telemetry"


class Persistence(Protocol):
    """The state file, as far as its metrics need it."""

    writable: bool


class Telemetry:
    """The own metrics of one process.

    Those of the process itself are on the registry that is passed in. Those of the targets are blocks of the
    exposition, made anew at most once a second; without an exposition they are on the registry as well.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        decreases: Mapping[str, int],
        state: Persistence | None = None,
        discovered: DiscoveredValues | None = None,
        shard: Shard = WHOLE,
        *,
        exposition: Exposition | None = None,
        of_process: bool = True,
    ) -> None:
        """`decreases` are the counts that went down, by target, read at each refresh; `state` the state file.

        `discovered` is what discovery has found; `of_process` adds process_* and python_*.
        """
        self._exposition = exposition
        self._targets = TargetMetrics(decreases, discovered or DiscoveredValues())
        if exposition is None:
            registry.register(self._targets)
        self._reload_ok = Gauge(
            "directmail_exporter_config_last_reload_successful",
            "Whether the last config load succeeded, 1 or 0.",
            registry=registry,
        )
        self._reload_time = Gauge(
            "directmail_exporter_config_last_reload_success_timestamp_seconds",
            "Load time of the active config, in Unix seconds.",
            registry=registry,
        )
        build = Gauge(
            "directmail_exporter_build_info",
            "Always 1. Labels: version, revision and Python version.",
            ["version", "revision", "python_version"],
            registry=registry,
        )
        build.labels(__version__, __revision__, platform.python_version()).set(1)
        share = Gauge(
            "directmail_exporter_shard_info",
            "Always 1. Labels: the shard's number, from 0, and the number of shards.",
            ["shard", "shards"],
            registry=registry,
        )
        share.labels(str(shard.index), str(shard.count)).set(1)
        registry.register(_Process(state))
        if of_process:
            ProcessCollector(registry=registry)
            PlatformCollector(registry=registry)

    def add(self, target: str, state: TargetState) -> None:
        """Show a target: its counters start at 0, its state is read once a second.

        One that is shown already keeps its counters, and gets those of operations that are new to it.
        """
        self._targets.add(target, state)
        if self._exposition is not None:
            self._exposition.swap((target, _SECTION), FAMILIES, {None: self._targets.read(target).render()})

    def remove(self, target: str) -> None:
        """Stop showing the target."""
        self._targets.remove(target)
        if self._exposition is not None:
            self._exposition.drop((target, _SECTION))

    def observer(self, target: str) -> Callable[[str, float, str | None], None]:
        """Return what the target's client reports of each HTTP request: action, seconds, reason of its failure."""
        return partial(self._targets.observe, target)

    async def run(self, clock: Clock) -> None:
        """Show the targets as they are, once a second, until cancelled."""
        while True:
            await clock.sleep(EVERY)
            await self.refresh()

    async def refresh(self) -> None:
        """Show the targets as they are: read a few at a time, rendered in another thread."""
        if self._exposition is None:
            return
        changes = []
        for number, target in enumerate(self._targets.names()):
            if number % STEP == 0:
                await asyncio.sleep(0)
            if target in self._targets and (change := self._targets.read(target)).values:
                changes.append(change)
        if not changes:
            return
        blocks = await self._exposition.in_thread(lambda: [change.render() for change in changes])
        for change, block in zip(changes, blocks, strict=True):
            if self._targets.is_current(change):
                self._exposition.replace((change.target, _SECTION), None, block)

    def loaded(self, at: float) -> None:
        """Note that a config was loaded."""
        self._reload_ok.set(1)
        self._reload_time.set(at)

    def load_failed(self) -> None:
        """Note that a config was rejected."""
        self._reload_ok.set(0)


class _Process(Collector):
    """The metrics of the process."""

    def __init__(self, state: Persistence | None) -> None:
        self._state = state

    def collect(self) -> Iterator[Metric]:
        text = "Whether the state file can be written, 1 or 0. Absent without a state file."
        writable = GaugeMetricFamily("directmail_exporter_state_writable", text)
        if self._state is not None:
            writable.add_metric([], float(self._state.writable))
        yield writable
        text = "Log lines lost because stderr was not writable."
        yield CounterMetricFamily("directmail_exporter_log_lines_dropped", text, value=stderr.dropped())

    describe = collect
