"""The metrics of delivery."""

from exporter.directmail.statistics.delivery import DELIVERY
from exporter.metrics.table import table

TABLE = table(
    DELIVERY,
    "directmail_delivery_",
    "_emails",
    counts={
        "requested": "Mails requested for sending",
        "delivered": "Mails delivered",
        "failed": "Mails whose delivery failed",
        "invalid": "Mails to invalid addresses",
    },
    ratios={
        "success_ratio": "Share of requested mails delivered, 0-1",
        "failure_ratio": "Share of requested mails whose delivery failed, 0-1",
        "invalid_ratio": "Share of requested mails to invalid addresses, 0-1",
    },
)
