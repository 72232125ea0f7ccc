"""The metrics of opens and clicks."""

from exporter.directmail.statistics.engagement import ENGAGEMENT
from exporter.metrics.table import table

TABLE = table(
    ENGAGEMENT,
    "directmail_track_",
    "",
    counts={
        "emails": "Mails delivered with tracking enabled",
        "opens": "Opens, including repeated ones",
        "unique_opens": "Recipients with at least one open",
        "clicks": "Clicks, including repeated ones",
        "unique_clicks": "Recipients with at least one click",
    },
    ratios={
        "open_ratio": "Opens per mail, can exceed 1",
        "unique_open_ratio": "Share of mails with at least one open, 0-1",
        "click_ratio": "Clicks per mail, can exceed 1",
        "unique_click_ratio": "Share of mails with at least one click, 0-1",
        "click_to_open_ratio": "Unique clicks per unique open",
    },
)
