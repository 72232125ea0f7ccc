"""Direct Mail / Engagement: what mail operators ask. How much was opened and clicked, and where did it change?"""

from tools.boards.breakdowns import CHANGE, breakdown, narrowing
from tools.boards.frame import board, labels, scope
from tools.boards.panels import (
    BLUE,
    GREEN,
    ORANGE,
    PROVIDERS,
    RED,
    YELLOW,
    Json,
    Line,
    Query,
    Row,
    Steps,
    alerts,
    dashed,
    fixed,
    lines,
    note,
    override,
    stat,
    thresholds,
)
from tools.boards.selectors import (
    DATA,
    EVERY_PROVIDER,
    FIRING,
    PROVIDER,
    RECORDED_PROVIDER,
    SCOPE,
    SENDER,
    TAG,
    change,
    counts,
    grown,
    ratio,
    routed,
)
from tools.boards.trust import TRUST

UID, TITLE = "directmail-engagement", "Direct Mail / Engagement"

# A first orientation from published figures of marketing mail; set them to what is usual for you.
OPEN_RATE: Steps = ((None, RED), (0.15, YELLOW), (0.25, GREEN))
CLICK_RATE: Steps = ((None, RED), (0.01, YELLOW), (0.02, GREEN))
CLICK_TO_OPEN: Steps = ((None, RED), (0.05, YELLOW), (0.08, GREEN))
AGE: Steps = ((None, GREEN), (900, YELLOW), (3600, RED))
STANDING: Steps = ((None, GREEN), (0.4, RED), (0.7, ORANGE))
"""Where the alerts DirectMailEspOpenRateDrop begin. Lines have the colour of their step, so the worst is below."""
PLAIN: Steps = ((None, BLUE),)

EVENTS = {"opens": "#73BF69", "unique opens": "#37872D", "clicks": "#FF9830", "unique clicks": "#C4162A"}


def compared(title: str, description: str, unit: str, now: str, before: str, steps: Steps = PLAIN) -> Json:
    """Return a figure with its past behind it and its change against last week beside it."""
    queries = (Query(now, "now"), Query(change(now, before), "vs last week"))
    changed = override("vs last week", unit="percentunit", decimals=1, thresholds=thresholds(CHANGE))
    return stat(title, description, unit, queries, steps, overrides=[changed], text="value_and_name")


def figure(title: str, description: str, unit: str, over: str, under: str = "", steps: Steps = PLAIN) -> Json:
    """Return a count, or a ratio of two, of the chosen senders in the chosen window."""
    now, before = (
        ratio(over, under, SENDER, ago=ago) if under else counts(over, SENDER, ago=ago) for ago in ("", "1w")
    )
    return compared(title, description, unit, now, before, steps)


WHAT_OPENS_SAY = note(
    "**An open is an image that was loaded, not a person who read:** Apple Mail loads it unasked, others block it. "
    "Compare with the same sender's past or with other providers, never with a fixed rate; link scanners click too."
)
FIRING_ALERTS = stat(
    "Firing alerts",
    "Alerts of the Direct Mail rules that fire, of every exporter.",
    "short",
    [Query(FIRING, "firing")],
    ((None, GREEN), (1, RED)),
    text="value",
)
TODAY = compared(
    "Unique open rate of today",
    "Unique open rate of today so far, and against the same time last week. Both days are equally old, so the numbers "
    "compare.",
    "percentunit",
    ratio("unique_opens", "emails", SENDER, window="today"),
    ratio("unique_opens", "emails", SENDER, window="today", ago="1w"),
)
DATA_AGE = stat(
    "Age of the data",
    "Time since the combination of the chosen targets that waits longest was last read.",
    "s",
    [Query(f"time() - min(directmail_query_last_success_timestamp_seconds{{{DATA}}})", "age")],
    AGE,
    text="value",
)

EMAILS = figure(
    "Emails delivered",
    "Delivered mails with tracking enabled, in the chosen window, added up over the chosen senders. Mail sent without "
    "a tag or without tracking is not counted by Direct Mail.",
    *("short", "emails"),
)
OPENED = figure(
    "Unique open rate",
    "Recipients who opened at least once / delivered mails. Image pre-loading (Apple Mail Privacy Protection) counts "
    "as an open, so compare it with its own past rather than with a target. The window `today` lags: three quarters of "
    "the opens come within a day, the rest within a week.",
    *("percentunit", "unique_opens", "emails", OPEN_RATE),
)
CLICKED = figure(
    "Unique click rate",
    "Recipients who clicked at least once / delivered mails. Less distorted than opens, but link scanners count too.",
    *("percentunit", "unique_clicks", "emails", CLICK_RATE),
)
CLICKED_OF_OPENED = figure(
    "Click-to-open rate",
    "Unique clicks / unique opens (CTOR): is the content worth a click to those who saw it? Falls when opens are "
    "inflated.",
    *("percentunit", "unique_clicks", "unique_opens", CLICK_TO_OPEN),
)

EMAILS_PER_HOUR = lines(
    "Emails delivered per hour",
    "Mails seen by the exporter in each hour, by sender.",
    "short",
    [Query(grown("emails", SENDER, "account_name"), "{{account_name}}")],
    bars=True,
    decimals=0,
    step="1h",
)
EVENTS_PER_HOUR = lines(
    "Opens and clicks per hour",
    "Events seen by the exporter in each hour, whatever the day the mail was sent. A line that falls to zero while "
    "mail is delivered means broken tracking.",
    "short",
    [Query(grown(name.replace(" ", "_"), SENDER), name) for name in EVENTS],
    decimals=0,
    step="10m",
    overrides=fixed(EVENTS),
)
TODAY_AND_A_WEEK_AGO = lines(
    "$account_name: open rate today",
    "Unique open rate of the day so far, restarting at midnight of the API's day. Dashed: the same time last week.",
    "percentunit",
    [
        Query(ratio("unique_opens", "emails", SENDER, window="today"), "today"),
        Query(ratio("unique_opens", "emails", SENDER, window="today", ago="1w"), "a week ago"),
    ],
    step="10m",
    overrides=[*fixed({"today": "#5794F2", "a week ago": "#FF9830"}), dashed("B")],
    below=True,
    repeat="account_name",
)
CLICK_RATES = lines(
    "Unique click rate ($window)",
    "Unique clicks per mail, by sender.",
    "percentunit",
    [Query(ratio("unique_clicks", "emails", SENDER, "account_name"), "{{account_name}}")],
)
CLICK_TO_OPEN_RATES = lines(
    "Click-to-open rate ($window)",
    "Unique clicks per opener, by sender.",
    "percentunit",
    [Query(ratio("unique_clicks", "unique_opens", SENDER, "account_name"), "{{account_name}}")],
)

_RELATIVE = f"stream_esp:directmail_unique_opens_per_emails:relative_increase24h{{{RECORDED_PROVIDER}}}"
USUAL_STANDING = lines(
    "$account_name: opens vs usual (24h)",
    "Opens at each provider against its usual standing: how it opens relative to all other providers of the same "
    "sender, divided by its own 13-day mean of that. "
    "1: as usual. It does not move when content, audience, season or tracking change for all; a fall at one provider "
    "is that provider's doing (spam folder). Dashed lines: 0.7 (warning) and 0.4 (critical, on 6h). The worst stands "
    "first. Comes from the recording rules, which need 300 mails a day to the provider and know neither Instance nor "
    "Query.",
    "none",
    [Query(f"min by (esp) ({_RELATIVE} / avg_over_time({_RELATIVE}[13d] offset 1d))", "{{esp}}")],
    steps=STANDING,
    decimals=2,
    step="10m",
    worst_first=True,
    overrides=fixed(PROVIDERS),
    repeat="account_name",
)
PROVIDER_OPEN_RATES = lines(
    "Unique open rate by provider ($window)",
    "For the chosen senders together. Levels differ between providers by nature (image proxies, pre-loading); look at "
    "changes.",
    "percentunit",
    [Query(ratio("unique_opens", "emails", PROVIDER, "esp"), "{{esp}}")],
    overrides=fixed(PROVIDERS),
)
PROVIDER_SHARES = lines(
    "Share of the mail by provider (24h)",
    "Share of deliveries. A provider that rejects or defers mail loses share.",
    "percentunit",
    [
        Query(
            f"{grown('emails', PROVIDER, 'esp', '24h')} / ignoring (esp) group_left () "
            f"{grown('emails', EVERY_PROVIDER, span='24h')}",
            "{{esp}}",
        )
    ],
    step="10m",
    overrides=fixed(PROVIDERS),
)
PROVIDER_TABLE = breakdown(
    "Providers ($window)",
    "One line a mailbox provider, for the chosen senders.",
    *("esp", "Provider", PROVIDER, [narrowing("esp")]),
)

SENDER_TABLE = breakdown(
    "Senders",
    "One line a sender address. Click a sender to filter.",
    *("account_name", "Sender", SENDER, [narrowing("account_name")]),
)
TAG_TABLE = breakdown(
    "Tags",
    "One line a tag (campaign or mail type) of the chosen senders. Click a tag to filter.",
    *("tag_name", "Tag", TAG, [narrowing("tag_name")]),
)
TAG_EMAILS = lines(
    "Emails per hour by tag",
    "Campaign bursts and the steady flow of transactional mail.",
    "short",
    [Query(grown("emails", TAG, "tag_name"), "{{tag_name}}")],
    bars=True,
    decimals=0,
    step="1h",
)
TAG_OPEN_RATES = lines(
    "Unique open rate by tag ($window)",
    "Which campaign or mail type moved.",
    "percentunit",
    [Query(ratio("unique_opens", "emails", TAG, "tag_name"), "{{tag_name}}")],
)

INFRASTRUCTURE = (
    breakdown(
        "Dedicated IPs",
        "One line a dedicated IP, where the exporter polls by IP.",
        *("dedicated_ip", "IP", routed("dedicated_ip")),
    ),
    breakdown(
        "IP pools",
        "One line a dedicated IP pool, where polled.",
        *("dedicated_ip_pool_id", "Pool", routed("dedicated_ip_pool_id")),
    ),
    breakdown(
        "Configuration sets",
        "One line a configuration set, where polled.",
        *("config_set_id", "Configuration set", routed("config_set_id")),
    ),
)

ROWS = (
    Row("", [Line(2, [WHAT_OPENS_SAY]), Line(5, [FIRING_ALERTS, alerts(), TODAY, DATA_AGE], [4, 10, 6, 4])]),
    Row("Now ($window)", [Line(5, [EMAILS, OPENED, CLICKED, CLICKED_OF_OPENED])]),
    Row(
        "Trend",
        [
            Line(9, [EMAILS_PER_HOUR, EVENTS_PER_HOUR]),
            Line(8, [TODAY_AND_A_WEEK_AGO]),
            Line(8, [CLICK_RATES, CLICK_TO_OPEN_RATES]),
        ],
    ),
    Row(
        "Mailbox providers",
        [Line(10, [USUAL_STANDING]), Line(8, [PROVIDER_OPEN_RATES, PROVIDER_SHARES]), Line(7, [PROVIDER_TABLE])],
    ),
    Row(
        "Senders and tags ($window)",
        [Line(6, [SENDER_TABLE]), Line(8, [TAG_TABLE]), Line(9, [TAG_EMAILS, TAG_OPEN_RATES])],
    ),
    Row("Sending infrastructure ($window)", [Line(5, [each]) for each in INFRASTRUCTURE], collapsed=True),
    TRUST,
)


def make() -> Json:
    """Return the board."""
    emails = "directmail_track_emails"
    senders = f'{emails}{{{DATA}, account_name=~"$account_name"'
    return board(
        *(UID, TITLE, "Who opens and clicks the mail that Alibaba Cloud Direct Mail delivers, and where that changes."),
        span="now-7d",
        refresh="5m",
        variables=[
            *scope(),
            labels("query", "Query", f"{emails}{{{SCOPE}}}"),
            labels("account_name", "Sender", f'{emails}{{{DATA}, account_name!=""}}'),
            labels("tag_name", "Tag", f'{senders}, tag_name!=""}}'),
            labels("esp", "Mailbox provider", f'{senders}, esp!=""}}'),
            labels("window", "Window", f"{emails}{{{DATA}}}", single="7d"),
        ],
        other=("directmail-exporter", "Direct Mail / Exporter"),
        rows=ROWS,
    )
