"""SenderStatisticsByTagNameAndBatchID: the outcome of the requested mail.

Source: the operation's documentation and the official SDK's models (1.11.1). It has no pages and no ConfigSetId. Its
percents are never used: ratios are computed from the counts.
"""

from typing import NamedTuple

from exporter.directmail.statistics.statistic import Ratio, Statistic


class Delivery(NamedTuple):
    """Mails that were requested, and how their delivery ended."""

    requested: int
    delivered: int
    failed: int
    invalid: int


DELIVERY = Statistic(
    name="delivery",
    action="SenderStatisticsByTagNameAndBatchID",
    parameters={
        "account_name": "AccountName",
        "tag_name": "TagName",
        "domain": "Domain",
        "esp": "Esp",
        "dedicated_ip": "DedicatedIp",
        "dedicated_ip_pool_id": "DedicatedIpPoolId",
    },
    counts=Delivery,
    fields=("requestCount", "successCount", "faildCount", "unavailableCount"),
    ratios={
        "success_ratio": Ratio("delivered", "requested"),
        "failure_ratio": Ratio("failed", "requested"),
        "invalid_ratio": Ratio("invalid", "requested"),
    },
    drawn=("requested", "delivered"),
    shares={"delivery rate": "success_ratio"},
    at_most=(Ratio("delivered", "requested"),),
)
