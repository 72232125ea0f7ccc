"""The metrics of delivery."""

from exporter.directmail.statistics.delivery import DELIVERY
from exporter.metrics.table import table

TABLE = table(
    DELIVERY,
    "directmail_delivery_",
    "_emails",
    counts={
        "requested": "Mails requested to be sent",
        "delivered": "Mails that were delivered",
        "failed": "Mails whose delivery failed",
        "invalid": "Mails to addresses that do not exist",
    },
    ratios={
        "success_ratio": "Share of requested mails that were delivered, 0-1",
        "failure_ratio": "Share of requested mails whose delivery failed, 0-1",
        "invalid_ratio": "Share of requested mails to addresses that do not exist, 0-1",
    },
)
