"""The metrics of opens and clicks."""

from exporter.directmail.statistics.engagement import ENGAGEMENT
from exporter.metrics.table import table

TABLE = table(
    ENGAGEMENT,
    "directmail_track_",
    "",
    counts={
        "emails": "Mails delivered with tracking enabled",
        "opens": "Opens, repeated ones included",
        "unique_opens": "Recipients who opened at least once",
        "clicks": "Clicks, repeated ones included",
        "unique_clicks": "Recipients who clicked at least once",
    },
    ratios={
        "open_ratio": "Opens per mail, which may be more than 1",
        "unique_open_ratio": "Share of mails that were opened, 0-1",
        "click_ratio": "Clicks per mail, which may be more than 1",
        "unique_click_ratio": "Share of mails with at least one click, 0-1",
        "click_to_open_ratio": "Recipients who clicked per recipient who opened",
    },
)
