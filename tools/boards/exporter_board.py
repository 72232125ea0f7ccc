"""Direct Mail / Exporter: for its operators. Are the numbers current, is the quota enough, are the keys valid?"""

from collections.abc import Iterable

from exporter.directmail.statistics.registry import STATISTICS
from tools.boards.alerts import firing, listed
from tools.boards.frame import board, scope
from tools.boards.panels import (
    AGE,
    BLUE,
    GREEN,
    RED,
    YELLOW,
    Json,
    Line,
    Query,
    Row,
    dashed,
    fixed,
    heatmap,
    lines,
    stat,
    states,
    timeline,
)
from tools.boards.selectors import JI, SCOPE, whole

UID, TITLE = "directmail-exporter", "Direct Mail / Exporter"
FOLLOWED = ("job", "instance", "target")
"""The variables that alerts follow."""

REQUESTS = f"directmail_exporter_api_requests_total{{{SCOPE}}}"
ERRORS = f"directmail_exporter_api_request_errors_total{{{SCOPE}}}"
THROTTLED = f'directmail_exporter_api_request_errors_total{{{SCOPE}, reason="throttled"}}'
DURATIONS = f"directmail_exporter_api_request_duration_seconds_bucket{{{SCOPE}}}"
POLLED = f'{SCOPE}, action=~"{"|".join(statistic.action for statistic in STATISTICS.values())}"'
"""The operations that combinations (sets of filter values) are polled by; others are called a few times an hour."""
PLANNED = f"directmail_exporter_planned_requests_per_minute{{{SCOPE}}}"
ALLOWED = f"directmail_exporter_rate_limit_requests_per_minute{{{SCOPE}}}"
INTERVAL = f"directmail_exporter_poll_interval_seconds{{{SCOPE}}}"
LAST_SUCCESS = f"directmail_query_last_success_timestamp_seconds{{{SCOPE}}}"

RESULTS = {
    "ok": "#73BF69",
    "throttled": "#FF9830",
    "auth": "#F2495C",
    "permission": "#9C5A2C",
    "invalid_request": "#B877D9",
    "server": "#F2CC0C",
    "network": "#5794F2",
    "timeout": "#2CB5AD",
    "parse": "#C7D0D9",
}


def rate(series: str, by: str = "target") -> str:
    """Return requests a second."""
    return whole("rate", series, "$__rate_interval", by)


def hour(series: str) -> str:
    """Return how often within an hour."""
    return whole("increase", series, "1h")


UP = stat(
    "Exporter up",
    "UP: Prometheus can scrape every chosen exporter.",
    "none",
    [Query(f"min(up{{{JI}}})", "up")],
    ((None, RED), (1, GREEN)),
    mappings=states({"0": ("DOWN", RED), "1": ("UP", GREEN)}),
)
TARGETS = stat(
    "Targets polled",
    "Targets with a combination read within its poll interval / all targets.",
    "percentunit",
    [Query(f"sum(directmail_up{{{SCOPE}}}) / count(directmail_up{{{SCOPE}}})", "polled well")],
    ((None, RED), (0.5, YELLOW), (1, GREEN)),
)
DATA_AGE = stat(
    "Age of the data",
    "Time since the oldest combination of the chosen targets was last read.",
    "s",
    [Query(f"time() - min({LAST_SUCCESS})", "age")],
    AGE,
)
SUCCEEDED = stat(
    "Success (1h)",
    "API requests with a usable response / all requests, including throttled ones.",
    "percentunit",
    [Query(f"1 - {hour(ERRORS)} / ({hour(REQUESTS)} > 0)", "usable answers")],
    ((None, RED), (0.9, YELLOW), (0.98, GREEN)),
)
THROTTLED_HOUR = stat(
    "Throttled (1h)",
    "Requests rejected by Alibaba Cloud's flow control.",
    "short",
    [Query(f"round({hour(THROTTLED)})", "throttled")],
    ((None, GREEN), (1, YELLOW), (50, RED)),
)
BUDGET_USED = stat(
    "Budget planned",
    "Requests a minute that the plan needs / requests a minute that the limiter allows now, for the worst target. "
    "Above 90% there is nothing left for retries; above 100% the poll interval cannot be kept.",
    "percentunit",
    [Query(f"max({PLANNED} / ({ALLOWED} > 0))", "planned / allowed")],
    ((None, GREEN), (0.7, YELLOW), (0.9, RED)),
)
COMBINATIONS = stat(
    "Combinations",
    "Number of polled combinations (sets of filter values). Each has its own series of every metric and window.",
    "short",
    [Query(f"count(directmail_query_success{{{SCOPE}}})", "combinations")],
    ((None, BLUE),),
)
STALE = stat(
    "Stale",
    "Combinations without data: older than stale_after, or never read.",
    "short",
    [Query(f"sum(directmail_query_stale{{{SCOPE}}})", "stale")],
    ((None, GREEN), (1, YELLOW), (10, RED)),
)
UNSUPPORTED = stat(
    "Not supported",
    "Combinations with filters that the account does not support, such as providers without dedicated IPs. No data, "
    "no error.",
    "short",
    [Query(f"sum(1 - directmail_query_supported{{{SCOPE}}})", "not supported")],
    ((None, GREEN), (1, YELLOW)),
)
CONFIG = stat(
    "Config",
    "Result of the last config load. After a failure the previous config stays active.",
    "none",
    [Query(f"min(directmail_exporter_config_last_reload_successful{{{JI}}})", "loaded")],
    ((None, RED), (1, GREEN)),
    mappings=states({"0": ("REJECTED", RED), "1": ("LOADED", GREEN)}),
)
VERSION = stat(
    "Version",
    "Version of the running exporter.",
    "none",
    [Query(f"max by (version) (directmail_exporter_build_info{{{JI}}})", "{{version}}")],
    text="name",
)

ACCOUNT = stat(
    "Account read",
    "Result of the last reads of the account and its domains.",
    "none",
    [Query(f"min(directmail_account_read_success{{{SCOPE}}})", "read")],
    ((None, RED), (1, GREEN)),
    mappings=states({"0": ("FAILING", RED), "1": ("OK", GREEN)}),
    nothing="no data yet: needs account_interval",
)

BY_RESULT = lines(
    "Requests by result",
    "API requests per second: `ok`, or the reason of the failure.",
    "reqps",
    [
        Query(f"{rate(REQUESTS, '')} - {rate(ERRORS, '')}", "ok"),
        Query(rate(ERRORS, "reason"), "{{reason}}"),
    ],
    overrides=fixed(RESULTS),
)
FAILING = lines(
    "Failing requests",
    "Share of failed requests, by target. Dashed: a quarter.",
    "percentunit",
    [Query(f"{rate(ERRORS)} / ({rate(REQUESTS)} > 0)", "{{target}}")],
    steps=((None, GREEN), (0.25, RED)),
)
THROTTLED_REQUESTS = lines(
    "Throttled requests",
    "Requests rejected by flow control, per second.",
    "reqps",
    [Query(rate(THROTTLED), "{{target}}")],
)
QUANTILES = {"p50": "#73BF69", "p90": "#F2CC0C", "p99": "#5794F2"}
LATENCY = lines(
    "Request latency",
    "Quantiles of the API's response time.",
    "s",
    [
        Query(f"histogram_quantile({part}, {rate(DURATIONS, 'le')}) >= 0", name)
        for part, name in zip((0.5, 0.9, 0.99), QUANTILES, strict=True)
    ],
    overrides=fixed(QUANTILES),
)
LATENCY_BUCKETS = heatmap(
    "Request latency distribution",
    "Requests by response time.",
    "s",
    Query(whole("increase", DURATIONS, "$__rate_interval", "le"), "{{le}}", format="heatmap"),
)

COLOURS_OF_CALLS = ("#5794F2", "#F2CC0C", "#73BF69", "#FF9FE0", "#8F3BB8", "#2CB5AD")
"""None is red or orange."""


def call_colours(actions: Iterable[str]) -> dict[str, str]:
    """Return the colour of each line of the operations' calls; Grafana chooses where there are more lines."""
    calls = (f"{action} {what}" for action in actions for what in ("planned", "allowed", "used"))
    return dict(zip(calls, COLOURS_OF_CALLS, strict=False))


BUDGET = lines(
    "Calls a minute: planned, allowed, used",
    "Requests that the plan needs in the steady state, that the limiter allows now (fewer while the API throttles) and "
    "that were made, for operations that read combinations, over the chosen targets. "
    "If more are used than planned, there are retries, further pages or a backlog.",
    "short",
    [
        Query(f"sum by (action) (directmail_exporter_planned_requests_per_minute{{{POLLED}}})", "{{action}} planned"),
        Query(
            f"sum by (action) (directmail_exporter_rate_limit_requests_per_minute{{{POLLED}}})", "{{action}} allowed"
        ),
        Query(
            f"{rate(f'directmail_exporter_api_requests_total{{{POLLED}}}', 'action')} * 60",
            "{{action}} used",
        ),
    ],
    decimals=1,
    overrides=[*fixed(call_colours(statistic.action for statistic in STATISTICS.values())), dashed("B")],
)
BACKLOG = lines(
    "Backlog",
    "Cells (one combination, one day) due and not yet read, by target. It grows at midnight and after a restart, "
    "and falls back to 0. If it does not, the budget is too small.",
    "short",
    [Query(f"sum by (target) (directmail_exporter_backlog_cells{{{SCOPE}}})", "{{target}}")],
)

TARGET_AGE = lines(
    "Age of the data by target",
    "Time since the oldest combination was last read. Dashed: 3 poll intervals.",
    "s",
    [
        Query(f"time() - min by (target) ({LAST_SUCCESS})", "{{target}}"),
        Query(f"3 * max by (target) ({INTERVAL})", "{{target}} limit"),
    ],
    overrides=[dashed("B")],
)
COMBINATION_COLOURS = {"failing": "#F2495C", "stale": "#FF9830", "dropped": "#B877D9", "not supported": "#C7D0D9"}
FAILING_COMBINATIONS = lines(
    "Combinations without data",
    "Failing: the last read failed. Stale: no data. Dropped: discovered values "
    "beyond the limits or the budget. Not supported: the account cannot use the filter.",
    "short",
    [
        Query(f"sum(1 - directmail_query_success{{{SCOPE}}})", "failing"),
        Query(f"sum(directmail_query_stale{{{SCOPE}}})", "stale"),
        Query(f"sum(directmail_exporter_combinations_dropped{{{SCOPE}}})", "dropped"),
        Query(f"sum(1 - directmail_query_supported{{{SCOPE}}})", "not supported"),
    ],
    overrides=fixed(COMBINATION_COLOURS),
)
DOUBT_COLOURS = {"fell": "#5794F2", "rates": "#F2CC0C", "implausible": "#B877D9"}
DOUBTS = lines(
    "Doubtful answers (1h)",
    "Fell: a count was lower than before; many mean that the API's days do not begin at midnight of `timezone`. "
    "Rates: a reported rate is not count / emails. Implausible: more unique events than events.",
    "short",
    [
        Query(hour(f"directmail_exporter_{name}_total{{{SCOPE}}}"), what)
        for name, what in zip(
            ("count_decreases", "reported_rate_mismatches", "implausible_counts"), DOUBT_COLOURS, strict=True
        )
    ],
    overrides=fixed(DOUBT_COLOURS),
)
TARGET_STATE = timeline(
    "Target state",
    "ok: a combination of the target was read within its interval.",
    [Query(f"max by (target) (directmail_up{{{SCOPE}}})", "{{target}}")],
    states({"0": ("failing", RED), "1": ("ok", GREEN)}),
)

CPU = lines(
    "CPU",
    "CPU seconds per second.",
    "percentunit",
    [Query(rate(f"process_cpu_seconds_total{{{JI}}}", "instance"), "{{instance}}")],
)
MEMORY = lines("Memory", "Resident memory.", "bytes", [Query(f"process_resident_memory_bytes{{{JI}}}", "{{instance}}")])
FILES = lines(
    "Open files",
    "Open file descriptors and their limit.",
    "short",
    [
        Query(f"process_open_fds{{{JI}}}", "{{instance}} open"),
        Query(f"process_max_fds{{{JI}}}", "{{instance}} limit"),
    ],
    overrides=[dashed("B")],
)
SCRAPE_TIME = lines(
    "Scrape duration",
    "Duration of Prometheus' scrapes.",
    "s",
    [Query(f"scrape_duration_seconds{{{JI}}}", "{{instance}}")],
)
SCRAPE_SIZE = lines(
    "Samples per scrape",
    "Number of samples per scrape.",
    "short",
    [Query(f"scrape_samples_scraped{{{JI}}}", "{{instance}}")],
)

ROWS = (
    Row(
        "State",
        [
            Line(6, [firing(FOLLOWED), listed(FOLLOWED)], [4, 20]),
            Line(4, [UP, TARGETS, DATA_AGE, SUCCEEDED, BUDGET_USED, THROTTLED_HOUR]),
            Line(4, [STALE, UNSUPPORTED, COMBINATIONS, CONFIG, VERSION, ACCOUNT]),
        ],
    ),
    Row("Budget", [Line(9, [BUDGET, BACKLOG], [14, 10])]),
    Row(
        "API",
        [Line(8, [BY_RESULT, FAILING, THROTTLED_REQUESTS], [10, 7, 7]), Line(9, [LATENCY, LATENCY_BUCKETS])],
    ),
    Row("Polling", [Line(8, [TARGET_AGE, FAILING_COMBINATIONS]), Line(7, [TARGET_STATE, DOUBTS])]),
    Row(
        "Process",
        [Line(7, [CPU, MEMORY, FILES]), Line(7, [SCRAPE_TIME, SCRAPE_SIZE])],
    ),
)


def make() -> Json:
    """Return the board."""
    return board(
        UID,
        TITLE,
        "Whether the data is current, the request budget sufficient and the keys valid.",
        span="now-6h",
        refresh="1m",
        variables=scope(),
        followed=FOLLOWED,
        other=("directmail-engagement", "Direct Mail / Engagement"),
        rows=ROWS,
    )
