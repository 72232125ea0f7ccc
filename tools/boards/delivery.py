"""The row of the engagement board on delivery: what became of the mails that were requested."""

from tools.boards.panels import PROVIDERS, Json, Line, Query, Row, fixed, lines, override
from tools.boards.selectors import PROVIDER, SENDER, counts, grown_ratio, ratio
from tools.boards.tables import bars, first_column, is_supported, supported, table

NEEDS = "statistics: [engagement, delivery]"
NOTHING = f"no data yet: needs {NEEDS}"
BY_PROVIDER = "no data yet: needs queries by esp with delivery"
REQUESTED, DELIVERED = "delivery_requested_emails", "delivery_delivered_emails"
FAILED, INVALID = "delivery_failed_emails", "delivery_invalid_emails"
BOTH = (
    f'and on (job, instance, target, account_name) directmail_delivery_requested_emails{{{SENDER}, window="$window"}}'
)
"""Only senders of whom both statistics are known: otherwise opens of one would be set against mails of another."""
OUTCOMES = {"delivered": "#5794F2", "failed": "#FF9830", "invalid": "#F2495C"}
LOWEST = 0.8
"""Where the axis of a delivery rate begins, unless it is lower: the usual rates differ in the last percents."""


def _event(metric: str) -> str:
    return f'sum(directmail_{metric}{{{SENDER}, window="$window"}} {BOTH})'


FUNNEL = bars(
    "From request to click ($window)",
    "Mails requested and delivered, recipients who opened and who clicked, of the chosen senders in the chosen window. "
    "Opens and clicks are of mails with tracking on.",
    [
        Query(counts(REQUESTED, SENDER), "requested"),
        Query(counts(DELIVERED, SENDER), "delivered"),
        Query(_event("track_unique_opens"), "opened"),
        Query(_event("track_unique_clicks"), "clicked"),
    ],
    NOTHING,
)
PER_DAY = lines(
    "Mails per day",
    "Mails of the chosen senders that were requested on each closed day of the account's time zone, by result. "
    "Yesterday appears at noon.",
    "short",
    [
        Query(f'sum(directmail_{metric}{{{SENDER}, window="yesterday"}} offset -36h)', name)
        for name, metric in zip(OUTCOMES, (DELIVERED, FAILED, INVALID), strict=True)
    ],
    bars=True,
    step="1d",
    overrides=fixed(OUTCOMES),
    nothing=NOTHING,
)
HIGH: Json = {"low": None, "high": 1, "soft_low": LOWEST}
LOW: Json = {"soft_high": 0.1}


def _of_requested(title: str, description: str, *, over: str, axis: Json, esp: bool) -> Json:
    """Return the lines of a part of the requested mails in 24 h, by sender or by provider."""
    if esp:
        query, colours = Query(grown_ratio(over, REQUESTED, PROVIDER, "esp"), "{{esp}}"), fixed(PROVIDERS)
    else:
        query, colours = Query(grown_ratio(over, REQUESTED, SENDER, "account_name"), "{{account_name}}"), []
    nothing = BY_PROVIDER if esp else NOTHING
    return lines(title, description, "percentunit", [query], step="10m", overrides=colours, nothing=nothing, **axis)


SENDER_DELIVERY = _of_requested(
    "Delivery rate by sender (24h)",
    "Delivered / requested mails.",
    over=DELIVERED,
    axis=HIGH,
    esp=False,
)
SENDER_INVALID = _of_requested(
    "Invalid rate by sender (24h)",
    "Mails to invalid addresses / requested mails. The alert fires above 5 %.",
    over=INVALID,
    axis=LOW,
    esp=False,
)
PROVIDER_DELIVERY = _of_requested(
    "Delivery rate by provider (24h)",
    "Delivered / requested mails. If one provider falls, it rejects mail. If all fall, check list, account and domain.",
    over=DELIVERED,
    axis=HIGH,
    esp=True,
)
PROVIDER_INVALID = _of_requested(
    "Invalid rate by provider (24h)",
    "Mails to invalid addresses / requested mails.",
    over=INVALID,
    axis=LOW,
    esp=True,
)
PROVIDER_TABLE = table(
    "Delivery by provider ($window)",
    "One row per mailbox provider, for the chosen senders; no data if the account does not support the filter. "
    "The small line is the delivery rate of 24 h over the chosen time.",
    {
        "Requested": counts(REQUESTED, PROVIDER, "esp"),
        "Delivery rate": ratio(DELIVERED, REQUESTED, PROVIDER, "esp"),
        "Failure rate": ratio(FAILED, REQUESTED, PROVIDER, "esp"),
        "Invalid rate": ratio(INVALID, REQUESTED, PROVIDER, "esp"),
        **supported(PROVIDER, "esp", "delivery"),
    },
    [
        first_column("esp", "Provider"),
        *(override(name, unit="percentunit", decimals=1) for name in ("Delivery rate", "Failure rate", "Invalid rate")),
        is_supported(),
    ],
    trend=("Delivery rate, 24h", Query(grown_ratio(DELIVERED, REQUESTED, PROVIDER, "esp"), "{{esp}}")),
    nothing=BY_PROVIDER,
)

DELIVERY = Row(
    "Delivery ($window)",
    [
        Line(8, [FUNNEL, PER_DAY]),
        Line(8, [SENDER_DELIVERY, SENDER_INVALID]),
        Line(8, [PROVIDER_DELIVERY, PROVIDER_INVALID]),
        Line(7, [PROVIDER_TABLE]),
    ],
    needs=NEEDS,
)
