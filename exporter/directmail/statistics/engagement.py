"""GetTrackList: how much of the mail was opened and clicked.

Source: GetTrackList's documentation; `Domain` is in the official SDK only (1.11.1).
"""

from typing import NamedTuple

from exporter.directmail.statistics.statistic import Rate, Ratio, Statistic


class Engagement(NamedTuple):
    """Mails delivered with tracking, and what their recipients did."""

    emails: int
    opens: int
    unique_opens: int
    clicks: int
    unique_clicks: int


ENGAGEMENT = Statistic(
    name="engagement",
    action="GetTrackList",
    parameters={
        "account_name": "AccountName",
        "tag_name": "TagName",
        "domain": "Domain",
        "esp": "Esp",
        "dedicated_ip": "DedicatedIp",
        "dedicated_ip_pool_id": "DedicatedIpPoolId",
        "config_set_id": "ConfigSetId",
    },
    counts=Engagement,
    fields=("TotalNumber", "RcptOpenCount", "RcptUniqueOpenCount", "RcptClickCount", "RcptUniqueClickCount"),
    ratios={
        "open_ratio": Ratio("opens", "emails"),
        "unique_open_ratio": Ratio("unique_opens", "emails"),
        "click_ratio": Ratio("clicks", "emails"),
        "unique_click_ratio": Ratio("unique_clicks", "emails"),
        "click_to_open_ratio": Ratio("unique_clicks", "unique_opens"),
    },
    drawn=("opens", "clicks"),
    shares={"open rate": "unique_open_ratio", "click rate": "unique_click_ratio"},
    rates={
        "open": Rate("RcptOpenRate", "opens"),
        "unique_open": Rate("RcptUniqueOpenRate", "unique_opens"),
        "click": Rate("RcptClickRate", "clicks"),
        "unique_click": Rate("RcptUniqueClickRate", "unique_clicks"),
    },
    at_most=(Ratio("unique_opens", "opens"), Ratio("unique_clicks", "clicks")),
    distinct=("unique_opens", "unique_clicks"),
    is_paged=True,
    total="Total",
)
