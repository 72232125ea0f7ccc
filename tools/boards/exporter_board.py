"""Direct Mail / Exporter: what its owner asks. Are the numbers current, is the quota enough, are the keys valid?"""

from tools.boards.frame import board, scope
from tools.boards.panels import (
    BLUE,
    GREEN,
    RED,
    YELLOW,
    Json,
    Line,
    Query,
    Row,
    alerts,
    dashed,
    fixed,
    heatmap,
    lines,
    stat,
    states,
    timeline,
)
from tools.boards.selectors import FIRING, JI, SCOPE

UID, TITLE = "directmail-exporter", "Direct Mail / Exporter"

REQUESTS = f"directmail_exporter_api_requests_total{{{SCOPE}}}"
ERRORS = f"directmail_exporter_api_request_errors_total{{{SCOPE}}}"
THROTTLED = f'directmail_exporter_api_request_errors_total{{{SCOPE}, reason="throttled"}}'
DURATIONS = f"directmail_exporter_api_request_duration_seconds_bucket{{{SCOPE}}}"
PLANNED = f"directmail_exporter_planned_requests_per_minute{{{SCOPE}}}"
ALLOWED = f"directmail_exporter_rate_limit_requests_per_minute{{{SCOPE}}}"
INTERVAL = f"directmail_exporter_poll_interval_seconds{{{SCOPE}}}"
LAST_SUCCESS = f"directmail_query_last_success_timestamp_seconds{{{SCOPE}}}"

RESULTS = {
    "ok": "#73BF69",
    "throttled": "#FF9830",
    "auth": "#C4162A",
    "permission": "#F2495C",
    "invalid_request": "#B877D9",
    "server": "#CCA300",
    "network": "#5794F2",
    "timeout": "#2CB5AD",
    "parse": "#8F8F8F",
}


def rate(series: str, by: str = "target") -> str:
    """Return requests a second."""
    return f"sum by ({by}) (rate({series}[$__rate_interval]))"


def hour(series: str) -> str:
    """Return how often within an hour."""
    return f"sum(increase({series}[1h]))"


UP = stat(
    "Exporter up",
    "UP: Prometheus can scrape the exporter.",
    "none",
    [Query(f"min(up{{{JI}}})", "up")],
    ((None, RED), (1, GREEN)),
    sparkline=False,
    mappings=states({"0": ("DOWN", RED), "1": ("UP", GREEN)}),
)
TARGETS = stat(
    "Targets polled well",
    "Targets of which any combination was read within its interval / all targets.",
    "percentunit",
    [Query(f"sum(directmail_up{{{SCOPE}}}) / count(directmail_up{{{SCOPE}}})", "polled well")],
    ((None, RED), (0.5, YELLOW), (1, GREEN)),
)
DATA_AGE = stat(
    "Age of the data",
    "Time since the combination that waits longest was last read, over all chosen targets.",
    "s",
    [Query(f"time() - min({LAST_SUCCESS})", "age")],
    ((None, GREEN), (900, YELLOW), (3600, RED)),
)
SUCCEEDED = stat(
    "Good requests (1h)",
    "Requests to the API that brought a usable answer / all requests, throttled ones included.",
    "percentunit",
    [Query(f"1 - {hour(ERRORS)} / {hour(REQUESTS)}", "usable answers")],
    ((None, RED), (0.9, YELLOW), (0.98, GREEN)),
)
THROTTLED_HOUR = stat(
    "Throttled (1h)",
    "Requests refused by Alibaba Cloud's flow control.",
    "short",
    [Query(hour(THROTTLED), "throttled")],
    ((None, GREEN), (1, YELLOW), (50, RED)),
    decimals=0,
)
BUDGET_USED = stat(
    "Budget planned",
    "Calls a minute that the plan asks for / calls a minute that the limiter allows now, of the target that is worst "
    "off. Above 90% there is nothing left for retries; above 100% the poll interval cannot be kept.",
    "percentunit",
    [Query(f"max({PLANNED} / {ALLOWED})", "planned / allowed")],
    ((None, GREEN), (0.7, YELLOW), (0.9, RED)),
)
COMBINATIONS = stat(
    "Combinations",
    "How many combinations of filters are polled. Each has its own series of every metric and window.",
    "short",
    [Query(f"count(directmail_query_success{{{SCOPE}}})", "combinations")],
    ((None, BLUE),),
    decimals=0,
)
STALE = stat(
    "Stale combinations",
    "Combinations whose series were dropped, because their numbers are older than stale_after.",
    "short",
    [Query(f"sum(directmail_query_stale{{{SCOPE}}})", "stale")],
    ((None, GREEN), (1, YELLOW), (10, RED)),
    decimals=0,
)
FIRING_ALERTS = stat(
    "Firing alerts",
    "Alerts of the Direct Mail rules that fire, of every exporter.",
    "short",
    [Query(FIRING, "firing")],
    ((None, GREEN), (1, RED)),
)
CONFIG = stat(
    "Config",
    "Whether the last attempt to load the config worked. After a refusal the old one stays in force.",
    "none",
    [Query(f"min(directmail_exporter_config_last_reload_successful{{{JI}}})", "loaded")],
    ((None, RED), (1, GREEN)),
    sparkline=False,
    mappings=states({"0": ("REFUSED", RED), "1": ("LOADED", GREEN)}),
)
VERSION = stat(
    "Version",
    "Version of the running exporter.",
    "none",
    [Query(f"max by (version) (directmail_exporter_build_info{{{JI}}})", "{{version}}")],
    sparkline=False,
    text="name",
)

BY_RESULT = lines(
    "Requests by result",
    "API requests per second: `ok`, and those that brought no usable answer by reason.",
    "reqps",
    [
        Query(f"sum(rate({REQUESTS}[$__rate_interval])) - sum(rate({ERRORS}[$__rate_interval]))", "ok"),
        Query(rate(ERRORS, "reason"), "{{reason}}"),
    ],
    overrides=fixed(RESULTS),
)
FAILING = lines(
    "Failing requests",
    "Share of the requests that fail, by target. Dashed: a quarter.",
    "percentunit",
    [Query(f"{rate(ERRORS)} / {rate(REQUESTS)}", "{{target}}")],
    steps=((None, GREEN), (0.25, RED)),
)
THROTTLED_REQUESTS = lines(
    "Throttled requests",
    "Refused by flow control, per second.",
    "reqps",
    [Query(rate(THROTTLED), "{{target}}")],
)
LATENCY = lines(
    "Request latency",
    "Quantiles of the API's response time.",
    "s",
    [
        Query(f"histogram_quantile({part}, {rate(DURATIONS, 'le')})", name)
        for part, name in ((0.5, "p50"), (0.9, "p90"), (0.99, "p99"))
    ],
)
LATENCY_BUCKETS = heatmap(
    "Request latency distribution",
    "Requests by response time.",
    "s",
    Query(f"sum by (le) (increase({DURATIONS}[$__rate_interval]))", "{{le}}", format="heatmap"),
)

BUDGET = lines(
    "Calls a minute: planned, allowed, used",
    "What the plan asks for in the steady state, what the limiter allows now (less than configured while the API "
    "throttles), and what was called. Used above planned: retries, pages, or a backlog that is worked off.",
    "short",
    [
        Query(f"max by (target) ({PLANNED})", "{{target}} planned"),
        Query(f"max by (target) ({ALLOWED})", "{{target}} allowed"),
        Query(f"{rate(REQUESTS)} * 60", "{{target}} used"),
    ],
    decimals=1,
    overrides=[dashed("B")],
)
BACKLOG = lines(
    "Backlog",
    "Days of combinations that are due and not yet read, by target. It grows at midnight and after a restart, and goes "
    "back to 0; one that stays says that the budget is too small.",
    "short",
    [Query(f"max by (target) (directmail_exporter_backlog_cells{{{SCOPE}}})", "{{target}}")],
    decimals=0,
)

TARGET_AGE = lines(
    "Age of the data by target",
    "Time since the combination that waits longest was last read. Dashed: where the stale alert begins to count "
    "(3 intervals).",
    "s",
    [
        Query(f"time() - min by (target) ({LAST_SUCCESS})", "{{target}}"),
        Query(f"3 * max by (target) ({INTERVAL})", "{{target}} limit"),
    ],
    overrides=[dashed("B")],
)
FAILING_COMBINATIONS = lines(
    "Failing, stale and dropped combinations",
    "Combinations whose last read failed, those whose series were dropped for their age, and those of discovered "
    "values that do not fit into the limits or the budget.",
    "short",
    [
        Query(f"sum by (target) (1 - directmail_query_success{{{SCOPE}}})", "{{target}} failing"),
        Query(f"sum by (target) (directmail_query_stale{{{SCOPE}}})", "{{target}} stale"),
        Query(f"max by (target) (directmail_exporter_combinations_dropped{{{SCOPE}}})", "{{target}} dropped"),
    ],
    decimals=0,
)
DOUBTS = lines(
    "Doubtful answers (1h)",
    "Counts that the API gave lower than before: a few are restatements, many mean that its days begin at another hour "
    "than `timezone` says. Rates that are not count / emails, and more unique events than events.",
    "short",
    [
        Query(f"sum by (target) (increase(directmail_exporter_{name}_total{{{SCOPE}}}[1h]))", f"{{{{target}}}} {what}")
        for name, what in (
            ("count_decreases", "fell"),
            ("reported_rate_mismatches", "rates"),
            ("implausible_counts", "implausible"),
        )
    ],
    decimals=0,
)
TARGET_STATE = timeline(
    "Target state",
    "ok: a combination of the target was read within its interval.",
    [Query(f"max by (target) (directmail_up{{{SCOPE}}})", "{{target}}")],
    ((None, RED), (1, GREEN)),
    states({"0": ("failing", RED), "1": ("ok", GREEN)}),
)

CPU = lines(
    "CPU",
    "CPU seconds per second.",
    "percentunit",
    [Query(f"rate(process_cpu_seconds_total{{{JI}}}[$__rate_interval])", "{{instance}}")],
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
    decimals=0,
    overrides=[dashed("B")],
)
SCRAPE_TIME = lines(
    "Scrape duration",
    "How long Prometheus takes to scrape the exporter.",
    "s",
    [Query(f"scrape_duration_seconds{{{JI}}}", "{{instance}}")],
)
SCRAPE_SIZE = lines(
    "Samples per scrape",
    "Size of the exposition.",
    "short",
    [Query(f"scrape_samples_scraped{{{JI}}}", "{{instance}}")],
    decimals=0,
)

ROWS = (
    Row(
        "State",
        [
            Line(4, [FIRING_ALERTS, UP, TARGETS, DATA_AGE, SUCCEEDED, BUDGET_USED]),
            Line(4, [THROTTLED_HOUR, STALE, COMBINATIONS, CONFIG, VERSION, alerts()], [3, 3, 3, 3, 3, 9]),
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
        collapsed=True,
    ),
)


def make() -> Json:
    """Return the board."""
    return board(
        *(UID, TITLE, "Whether the numbers are current, the call budget is enough and the keys are valid."),
        span="now-6h",
        refresh="1m",
        variables=scope(),
        other=("directmail-engagement", "Direct Mail / Engagement"),
        rows=ROWS,
    )
