"""Direct Mail / Engagement: for senders of mail. How much was opened and clicked, and where did it change?"""

from tools.boards.account import ACCOUNT
from tools.boards.delivery import DELIVERY
from tools.boards.frame import board, labels, scope
from tools.boards.incident import FOLLOWED, TOP, compared
from tools.boards.panels import BLUE, GREEN, PROVIDERS, RED, YELLOW, Json, Line, Query, Row, Steps, fixed, lines
from tools.boards.selectors import (
    DATA,
    EVERY_PROVIDER,
    PROVIDER,
    SCOPE,
    SENDER,
    TAG,
    counts,
    grown,
    hourly,
    ratio,
    routed,
)
from tools.boards.tables import breakdown
from tools.boards.trust import BY_PROVIDER, TRUST

UID, TITLE = "directmail-engagement", "Direct Mail / Engagement"

# A first orientation from published figures of marketing mail; set them to what is usual for you.
OPEN_RATE: Steps = ((None, RED), (0.15, YELLOW), (0.25, GREEN))
CLICK_RATE: Steps = ((None, RED), (0.01, YELLOW), (0.02, GREEN))
CLICK_TO_OPEN: Steps = ((None, RED), (0.05, YELLOW), (0.08, GREEN))
PLAIN: Steps = ((None, BLUE),)

EVENTS = {"opens": "#8AB8FF", "unique opens": "#1F60C4", "clicks": "#FFEE52", "unique clicks": "#B877D9"}
"""The colours of what is counted in an hour."""


def figure(title: str, description: str, unit: str, over: str, under: str = "", steps: Steps = PLAIN) -> Json:
    """Return a count, or a ratio of two, of the chosen senders in the chosen window."""
    now, before = (
        ratio(over, under, SENDER, ago=ago) if under else counts(over, SENDER, ago=ago) for ago in ("", "1w")
    )
    return compared(title, description, unit, now, before, steps)


EMAILS = figure(
    "Emails delivered",
    "Delivered mails with tracking enabled, in the chosen window, added up over the chosen senders. Mail sent without "
    "a tag or without tracking is not counted by Direct Mail.",
    unit="short",
    over="track_emails",
)
OPENED = figure(
    "Unique open rate",
    "Recipients with at least one open / delivered mails. Image pre-loading (Apple Mail Privacy Protection) counts "
    "as an open, so compare the rate with its own past, not with a fixed goal. The window `today` lags: three quarters "
    "of the opens come within a day, the rest within a week.",
    unit="percentunit",
    over="track_unique_opens",
    under="track_emails",
    steps=OPEN_RATE,
)
CLICKED = figure(
    "Unique click rate",
    "Recipients with at least one click / delivered mails. Less distorted than opens, but link scanners count too.",
    unit="percentunit",
    over="track_unique_clicks",
    under="track_emails",
    steps=CLICK_RATE,
)
CLICKED_OF_OPENED = figure(
    "Click-to-open rate",
    "Unique clicks / unique opens (CTOR): the share of openers who clicked. Inflated opens lower it.",
    unit="percentunit",
    over="track_unique_clicks",
    under="track_unique_opens",
    steps=CLICK_TO_OPEN,
)

EMAILS_PER_HOUR = lines(
    "Emails delivered per hour",
    "Growth observed in each hour, by sender.",
    "short",
    [Query(grown("track_emails", SENDER, "account_name"), "{{account_name}}")],
    bars=True,
    step="1h",
)
EVENTS_PER_HOUR = lines(
    "Opens and clicks per hour",
    "Growth observed per hour, mean of the last three hours, regardless of send date. A "
    "line that falls to 0 while mail is delivered means broken tracking.",
    "short",
    [Query(hourly(f"track_{name.replace(' ', '_')}", SENDER), name) for name in EVENTS],
    step="10m",
    overrides=fixed(EVENTS),
)
CLICK_RATES = lines(
    "Unique click rate ($window)",
    "Unique clicks per mail, by sender.",
    "percentunit",
    [Query(ratio("track_unique_clicks", "track_emails", SENDER, "account_name"), "{{account_name}}")],
)
CLICK_TO_OPEN_RATES = lines(
    "Click-to-open rate ($window)",
    "Unique clicks per opener, by sender.",
    "percentunit",
    [Query(ratio("track_unique_clicks", "track_unique_opens", SENDER, "account_name"), "{{account_name}}")],
)

PROVIDER_OPEN_RATES = lines(
    "Unique open rate by provider ($window)",
    "For the chosen senders together. Levels differ between providers (image proxies, pre-loading); look at changes.",
    "percentunit",
    [Query(ratio("track_unique_opens", "track_emails", PROVIDER, "esp"), "{{esp}}")],
    overrides=fixed(PROVIDERS),
    nothing=BY_PROVIDER,
)
PROVIDER_SHARES = lines(
    "Share of the mail by provider (24h)",
    "Share of deliveries. A provider that rejects or defers mail loses share.",
    "percentunit",
    [
        Query(
            f"{grown('track_emails', PROVIDER, 'esp', '24h')} / ignoring (esp) group_left () "
            f"({grown('track_emails', EVERY_PROVIDER, span='24h')} > 0)",
            "{{esp}}",
        )
    ],
    step="10m",
    overrides=fixed(PROVIDERS),
    nothing=BY_PROVIDER,
)
PROVIDER_TABLE = breakdown(
    "Providers ($window)",
    "One row per mailbox provider, for the chosen senders; no data if the account does not support the filter. Click a "
    "provider to filter.",
    label="esp",
    name="Provider",
    level=PROVIDER,
    nothing=BY_PROVIDER,
)

SENDER_TABLE = breakdown(
    "Senders",
    "One row per sender address. Click a sender to filter.",
    label="account_name",
    name="Sender",
    level=SENDER,
)
BY_TAG = "no data yet: needs queries by tag_name"
TAG_TABLE = breakdown(
    "Tags",
    "One row per tag (campaign or mail type) of the chosen senders. Click a tag to filter.",
    label="tag_name",
    name="Tag",
    level=TAG,
    nothing=BY_TAG,
)
TAG_EMAILS = lines(
    "Emails per hour by tag",
    "Campaign bursts and the steady flow of transactional mail.",
    "short",
    [Query(grown("track_emails", TAG, "tag_name"), "{{tag_name}}")],
    bars=True,
    step="1h",
    nothing=BY_TAG,
)
TAG_OPEN_RATES = lines(
    "Unique open rate by tag ($window)",
    "Unique opens per mail, by tag.",
    "percentunit",
    [Query(ratio("track_unique_opens", "track_emails", TAG, "tag_name"), "{{tag_name}}")],
    nothing=BY_TAG,
)

INFRASTRUCTURE = tuple(
    breakdown(
        title,
        f"One row per {what}, for queries by this filter only.",
        label=label,
        name=name,
        level=routed(label),
        links=label == "domain",
        nothing=f"no data yet: needs queries by {label}",
    )
    for title, what, label, name in (
        ("Sender domains", "sender domain", "domain", "Domain"),
        ("Dedicated IPs", "dedicated IP", "dedicated_ip", "IP"),
        ("IP pools", "dedicated IP pool", "dedicated_ip_pool_id", "Pool"),
        ("Configuration sets", "configuration set", "config_set_id", "Configuration set"),
    )
)

ROWS = (
    TOP,
    Row("Now ($window)", [Line(5, [EMAILS, OPENED, CLICKED, CLICKED_OF_OPENED])]),
    Row(
        "Trend",
        [Line(9, [EMAILS_PER_HOUR, EVENTS_PER_HOUR]), Line(8, [CLICK_RATES, CLICK_TO_OPEN_RATES])],
    ),
    Row("Senders ($window)", [Line(6, [SENDER_TABLE])]),
    Row(
        "Mailbox providers ($window)",
        [Line(8, [PROVIDER_OPEN_RATES, PROVIDER_SHARES]), Line(7, [PROVIDER_TABLE])],
        needs="queries by esp",
    ),
    Row(
        "Tags ($window)",
        [Line(8, [TAG_TABLE]), Line(9, [TAG_EMAILS, TAG_OPEN_RATES])],
        needs="queries by tag_name",
    ),
    DELIVERY,
    ACCOUNT,
    Row(
        "Sending infrastructure ($window)",
        [Line(5, [each]) for each in INFRASTRUCTURE],
        needs="queries by domain, dedicated_ip, dedicated_ip_pool_id or config_set_id",
    ),
    TRUST,
)


def make() -> Json:
    """Return the board."""
    polled = "directmail_query_success"
    senders = f'{polled}{{{DATA}, account_name=~"$account_name"'
    return board(
        UID,
        TITLE,
        "Opens and clicks, deliveries, quota and domains of Alibaba Cloud Direct Mail.",
        span="now-7d",
        refresh="5m",
        variables=[
            *scope(),
            labels("query", "Query", f"{polled}{{{SCOPE}}}"),
            labels("account_name", "Sender", f'{polled}{{{DATA}, account_name!=""}}'),
            labels("tag_name", "Tag", f'{senders}, tag_name!=""}}'),
            labels("esp", "Mailbox provider", f'{senders}, esp!=""}}'),
            labels("domain", "Domain", f'{{__name__=~"directmail_domain_verified|{polled}", {SCOPE}, domain!=""}}'),
            labels("window", "Window", f"directmail_track_window_start_timestamp_seconds{{{SCOPE}}}", single="7d"),
        ],
        followed=FOLLOWED,
        other=("directmail-exporter", "Direct Mail / Exporter"),
        rows=ROWS,
    )
