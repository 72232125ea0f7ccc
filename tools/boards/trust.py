"""The last row of the engagement board: how far to trust the numbers."""

from tools.boards.panels import PROVIDERS, Line, Query, Row, fixed, lines, note
from tools.boards.selectors import PROVIDER, SENDER, WITHOUT_ICLOUD, counts, grown, ratio

BY_PROVIDER = "no data yet: needs queries by esp"
READING = note(
    """\
- **An open is an image that was loaded, not a person who read:** Apple Mail loads it unasked, others block it. \
Compare with the same sender's past or with other providers, never with a fixed rate; link scanners click too.
- **Falling opens, steady click-to-open rate:** placement. **Falling click-to-open rate, steady opens:** content.
- **Rising click-to-open rate at one provider only:** a link scanner.
- **Apple Mail Privacy Protection** loads images whoever reads. It follows the mail program, so it also inflates Gmail \
and Yahoo addresses read in Apple Mail, most of all iCloud. Clicks are not touched by it.
- **Emails** are delivered mails with tracking on. A provider that *rejects* mail shows as missing deliveries, one \
that *folders* it as missing opens, and a release that loses the tag looks as if sending had stopped; the row Delivery \
tells these apart.
- **Late opens:** about a quarter come after the first day, some after a week. `7d` and `30d` are closed days.
""",
    "Reading these panels",
)
OPENS_PER_OPENER = lines(
    "Opens per opener by provider",
    "Opens / unique opens. Rises with image re-fetching by proxies and with machine opens.",
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
    "Unique clicks / unique opens, where at least 200 opened. A jump at one provider alone is a link scanner, not "
    "interest.",
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
    "iCloud mailboxes have the highest share of pre-loaded opens; the gap between the lines is a lower bound of the "
    "inflation.",
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
    "The figure of a finished day still grows with late opens: recent windows are still incomplete. Flat: the API "
    "counts by day of the event.",
    "short",
    [Query(counts("track_unique_opens", SENDER, "account_name", "yesterday"), "{{account_name}}")],
    step="10m",
)
API_RATE = lines(
    "API rate over computed ($window)",
    "Unique open rate as the API reports it / unique opens per mail. 1: the API reports fractions; 100: percent. "
    "Other or changing values: the rate has another meaning. Needs `reported_rates: true`.",
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
