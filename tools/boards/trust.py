"""The last row of the engagement board: how far to trust the numbers."""

from tools.boards.panels import PROVIDERS, Line, Query, Row, fixed, lines, note
from tools.boards.selectors import PROVIDER, SENDER, WITHOUT_ICLOUD, counts, grown, ratio

READING = note(
    """\
- **Falling opens, steady click-to-open rate:** placement. **Falling click-to-open rate, steady opens:** content.
- **Rising click-to-open rate at one provider only:** a link scanner.
- **Apple Mail Privacy Protection** loads images whoever reads. It follows the mail program, so it also inflates Gmail \
and Yahoo addresses read in Apple Mail, most of all iCloud. Clicks are not touched by it.
- **Emails** are delivered mails with tracking on. A provider that *rejects* mail shows as missing deliveries, one \
that *folders* it as missing opens, and a release that loses the tag looks as if sending had stopped.
- **Late opens:** about a quarter come after the first day, some after a week. `7d` and `30d` are closed days.
""",
    "Reading these panels",
)
OPENS_PER_OPENER = lines(
    "Opens per opener by provider",
    "Opens / unique opens. Rises with image re-fetching by proxies and with machine opens.",
    "none",
    [Query(ratio("opens", "unique_opens", PROVIDER, "esp"), "{{esp}}")],
    low=1,
    decimals=2,
    overrides=fixed(PROVIDERS),
)
CLICKERS_PER_OPENER = lines(
    "Clickers per opener by provider (24h)",
    "Unique clicks / unique opens, where at least 200 opened. A jump at one provider alone is a link scanner, not "
    "interest.",
    "percentunit",
    [
        Query(
            f"{grown('unique_clicks', PROVIDER, 'esp', '24h')} / "
            f"({grown('unique_opens', PROVIDER, 'esp', '24h')} >= 200)",
            "{{esp}}",
        )
    ],
    step="10m",
    overrides=fixed(PROVIDERS),
)
WITH_AND_WITHOUT_ICLOUD = lines(
    "Unique open rate with and without iCloud ($window)",
    "iCloud mailboxes have the highest share of pre-loaded opens; the gap between the lines is a lower bound of the "
    "inflation.",
    "percentunit",
    [
        Query(ratio("unique_opens", "emails", PROVIDER), "all providers"),
        Query(ratio("unique_opens", "emails", WITHOUT_ICLOUD), "without iCloud"),
    ],
    low=None,
    decimals=1,
)
YESTERDAY_GROWING = lines(
    "Unique opens of yesterday's mail, growing",
    "The figure of a finished day still grows with late opens: read recent windows with that in mind. Flat: the API "
    "counts by day of the event.",
    "short",
    [Query(counts("unique_opens", SENDER, "account_name", "yesterday"), "{{account_name}}")],
    decimals=0,
    step="10m",
)
API_RATE = lines(
    "API rate over computed ratio ($window)",
    "Unique open rate as the API reports it / unique opens per mail. 1: the API speaks of parts; 100: of percent. "
    "Anything else, or a line that moves: the rate means something else. Needs `reported_rates: true`.",
    "none",
    [
        Query(
            f'avg by (account_name) (directmail_track_reported_unique_open_rate{{{SENDER}, window="$window"}})'
            f" / ({ratio('unique_opens', 'emails', SENDER, 'account_name')})",
            "{{account_name}}",
        )
    ],
    low=None,
    decimals=2,
)

TRUST = Row(
    "How far to trust the numbers",
    [
        Line(8, [READING, OPENS_PER_OPENER]),
        Line(8, [CLICKERS_PER_OPENER, WITH_AND_WITHOUT_ICLOUD]),
        Line(8, [YESTERDAY_GROWING, API_RATE]),
    ],
    collapsed=True,
)
