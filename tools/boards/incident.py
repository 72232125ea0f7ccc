"""The top of the engagement board: what fires, what moves, and whether the numbers are current."""

from tools.boards import alerts
from tools.boards.panels import (
    AGE,
    BLUE,
    GREEN,
    NOTHING,
    ORANGE,
    PROVIDERS,
    RED,
    Json,
    Line,
    Query,
    Row,
    Steps,
    dashed,
    fixed,
    lines,
    override,
    stat,
    thresholds,
)
from tools.boards.selectors import DATA, RECORDED_PROVIDER, SENDER, change, ratio
from tools.boards.tables import CHANGE

FOLLOWED = ("job", "instance", "target", "account_name", "tag_name", "esp", "domain")
"""The variables that alerts follow: those whose values can be labels of an alert."""
STANDING: Steps = ((None, GREEN), (0.4, RED), (0.7, ORANGE))
"""Where the alerts DirectMailEspOpenRateDrop begin; drawn as lines."""
TODAY_COLOURS = {"today": "#5794F2", "a week ago": "#9FA7B3"}


def compared(
    title: str,
    description: str,
    unit: str,
    now: str,
    before: str,
    steps: Steps = ((None, BLUE),),
    *,
    nothing: str = NOTHING,
) -> Json:
    """Return a figure and its change against last week beside it."""
    queries = (Query(now, "now"), Query(change(now, before), "vs last week"))
    changed = override("vs last week", unit="percentunit", decimals=1, thresholds=thresholds(CHANGE))
    overrides, text = [changed], "value_and_name"
    return stat(title, description, unit, queries, steps, overrides=overrides, text=text, nothing=nothing)


def _against_usual(span: str) -> str:
    """Return what the alert compares with its threshold: opens at a provider against its own mean of 13 days."""
    relative = f"stream_esp:directmail_unique_opens_per_emails:relative_increase{span}{{{RECORDED_PROVIDER}}}"
    days = 'scalar(directmail:threshold{threshold="history_days"})'
    usual = f"avg_over_time({relative}[13d] offset 1d)"
    return f"{relative} / ({usual} and count_over_time({relative}[13d:6h] offset 1d) >= 4 * {days})"


TODAY = compared(
    "Unique open rate of today",
    "Unique open rate of today so far, and against the same time last week. Both days have the same age, so the values "
    "are comparable.",
    "percentunit",
    ratio("track_unique_opens", "track_emails", SENDER, window="today"),
    ratio("track_unique_opens", "track_emails", SENDER, window="today", ago="1w"),
    nothing="no data yet: needs mail today",
)
DATA_AGE = stat(
    "Age of the data",
    "Time since the oldest combination (one set of filter values) of the chosen targets and queries was last read.",
    "s",
    [Query(f"time() - min(directmail_query_last_success_timestamp_seconds{{{DATA}}})", "age")],
    AGE,
    text="value",
)
USUAL_STANDING = lines(
    "$account_name: opens vs usual",
    "Opens at each provider relative to all other providers of the same sender, divided by its own 13-day mean. "
    "100 %: as usual. Changes of content, audience, season or tracking affect all providers and cancel out; a provider "
    "that falls alone probably uses the spam folder. The alert EspOpenRateDrop compares the same values with its "
    "thresholds, dashed: 6 h critical below 40 %, 24 h warning below 70 %. The line is the lower of both. From the "
    "recording rules, which need 300 mails to the provider and ignore Instance and Query. Without queries by provider: "
    "today's unique open rate of all providers against the same time last week.",
    "percentunit",
    [
        Query(
            f'min by (esp) (label_replace({_against_usual("6h")}, "rule", "6h", "", "") or '
            f'label_replace({_against_usual("24h")}, "rule", "24h", "", ""))',
            "{{esp}}",
        ),
        Query(
            f"({ratio('track_unique_opens', 'track_emails', SENDER, window='today')}) / "
            f"({ratio('track_unique_opens', 'track_emails', SENDER, window='today', ago='1w')} > 0) "
            f'unless on () count(directmail_query_success{{{DATA}, account_name=~"$account_name", '
            'esp=~"$esp", esp!=""})',
            "all providers",
        ),
    ],
    steps=STANDING,
    soft_high=2,
    step="10m",
    overrides=fixed({**PROVIDERS, "all providers": "#C7D0D9"}),
    repeat="account_name",
    nothing="no data yet: needs two days of mail",
)
TODAY_AND_A_WEEK_AGO = lines(
    "$account_name: open rate today",
    "Unique open rate of the day so far, restarting at midnight of the API's day. Dashed: the same time last week.",
    "percentunit",
    [
        Query(ratio("track_unique_opens", "track_emails", SENDER, window="today"), "today"),
        Query(ratio("track_unique_opens", "track_emails", SENDER, window="today", ago="1w"), "a week ago"),
    ],
    step="10m",
    overrides=[*fixed(TODAY_COLOURS), dashed("B")],
    repeat="account_name",
    nothing="no data yet: needs mail today",
)

TOP = Row(
    "",
    [
        Line(6, [alerts.firing(FOLLOWED), alerts.listed(FOLLOWED), TODAY, DATA_AGE], [4, 10, 6, 4]),
        Line(8, [USUAL_STANDING]),
        Line(8, [TODAY_AND_A_WEEK_AGO]),
    ],
)
