"""The last row of the engagement board: how far to trust the numbers."""

from tools.boards.panels import PROVIDERS, Line, Query, Row, fixed, lines, note
from tools.boards.selectors import PROVIDER, SENDER, WITHOUT_ICLOUD, counts, grown, ratio

BY_PROVIDER = "no data yet: needs queries by esp"
READING = note(
    """\
- **Opens are image loads, not readers.** Apple Mail loads images of unread mail, at any provider, most at iCloud; \
other programs block them. Compare a sender with its own past, or a provider with the others; do not use a fixed rate.
- **Clicks** are not affected by Apple Mail, but link scanners click, too. A click-to-open rate that rises at one \
provider only is a scanner.
- **Opens fall, click-to-open rate is steady:** fewer recipients saw the mail. **Click-to-open rate falls, opens are \
steady:** the content.
- **Emails** are delivered mails with tracking. If a provider *rejects* mail, its deliveries fall; if it uses the \
*spam folder*, its opens fall. Mail without its tag looks like mail that was not sent. The row Delivery \
shows the difference.
- **Late opens:** about a quarter come after the first day, some after a week. `7d` and `30d` are closed days.
""",
    "Reading these panels",
)
OPENS_PER_OPENER = lines(
    "Opens per opener by provider",
    "Opens / unique opens. Image proxies and programs that load images repeatedly raise it.",
    "none",
    [Query(ratio("track_opens", "track_unique_opens", PROVIDER, "esp"), "{{esp}}")],
    low=1,
    soft_high=2,
    decimals=2,
    overrides=fixed(PROVIDERS),
    nothing=BY_PROVIDER,
)
CLICKERS_PER_OPENER = lines(
    "Clickers per opener by provider (24h)",
    "Unique clicks / unique opens, where at least 200 opened. A rise at one provider only is a link scanner.",
    "percentunit",
    [
        Query(
            f"{grown('track_unique_clicks', PROVIDER, 'esp', '24h')} / "
            f"({grown('track_unique_opens', PROVIDER, 'esp', '24h')} >= 200)",
            "{{esp}}",
        )
    ],
    step="10m",
    overrides=fixed(PROVIDERS),
    nothing=BY_PROVIDER,
)
WITH_AND_WITHOUT_ICLOUD = lines(
    "Unique open rate with and without iCloud ($window)",
    "iCloud has the highest share of pre-loaded opens. The true inflation is at least the gap between the lines.",
    "percentunit",
    [
        Query(ratio("track_unique_opens", "track_emails", PROVIDER), "all providers"),
        Query(ratio("track_unique_opens", "track_emails", WITHOUT_ICLOUD), "without iCloud"),
    ],
    decimals=1,
    overrides=fixed({"all providers": "#5794F2", "without iCloud": "#F2CC0C"}),
    nothing=BY_PROVIDER,
)
YESTERDAY_GROWING = lines(
    "Unique opens of yesterday's mail, growing",
    "Late opens still raise the count of a closed day, so recent windows are incomplete. A flat line means that the "
    "API counts opens on the day of the opening.",
    "short",
    [Query(counts("track_unique_opens", SENDER, "account_name", "yesterday"), "{{account_name}}")],
    step="10m",
)
API_RATE = lines(
    "API rate over computed ($window)",
    "The API's own unique open rate / unique opens per mail. 1: the API reports fractions. 100: it reports percent. "
    "Otherwise its rate has another meaning. Needs `reported_rates: true`.",
    "none",
    [
        Query(
            f'avg by (account_name) (directmail_track_reported_unique_open_rate{{{SENDER}, window="$window"}})'
            f" / ({ratio('track_unique_opens', 'track_emails', SENDER, 'account_name')} > 0)",
            "{{account_name}}",
        )
    ],
    high=110,
    decimals=2,
    nothing="no data yet: needs reported_rates: true",
)

TRUST = Row(
    "Data quality",
    [
        Line(8, [READING, OPENS_PER_OPENER]),
        Line(8, [CLICKERS_PER_OPENER, WITH_AND_WITHOUT_ICLOUD]),
        Line(8, [YESTERDAY_GROWING, API_RATE]),
    ],
    needs="queries by esp, reported_rates: true",
)
