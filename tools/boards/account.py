"""The row of the engagement board on the account: quota, reputation, state, and the checks of its domains."""

from tools.boards.panels import (
    BLUE,
    GREEN,
    RED,
    YELLOW,
    Json,
    Line,
    Query,
    Row,
    Steps,
    dashed,
    lines,
    override,
    stat,
    states,
    timeline,
)
from tools.boards.selectors import RECORDED_TARGET, SCOPE
from tools.boards.tables import COLOURED, first_column, table

NEEDS = "account_interval and domains_interval"
NOTHING = "no data yet: needs account_interval"
CHECKS = ("ownership", "spf", "mx", "cname", "dkim", "dmarc")
PLAIN: Steps = ((None, BLUE),)
USED: Steps = ((None, GREEN), (0.7, YELLOW), (0.95, RED))
"""Where the alert DirectMailQuotaNearlyUsed looks."""
DAILY = f"target:directmail_account_daily_quota_used:ratio{{{RECORDED_TARGET}}}"
PREDICTED = f"target:directmail_account_daily_quota_used:predicted_ratio{{{RECORDED_TARGET}}}"
MONTHLY = f"target:directmail_account_monthly_quota_used:ratio{{{RECORDED_TARGET}}}"
LEVEL = f"max by (target) (directmail_account_reputation_level{{{SCOPE}}})"
HIGHEST = f"max by (target) (directmail_account_reputation_level_max{{{SCOPE}}})"

FREE_EMAILS = f"max by (target) (directmail_account_free_emails_remaining{{{SCOPE}}})"


def _figure(title: str, description: str, unit: str, expr: str, steps: Steps = PLAIN) -> Json:
    """Return a number of each target."""
    return stat(title, description, unit, [Query(expr, "{{target}}")], steps, nothing=NOTHING)


def _curves(title: str, description: str, unit: str, solid: Query, dash: Query, soft_high: float | None = None) -> Json:
    """Return a line of each target, and a dashed one beside it."""
    look: Json = {"soft_high": soft_high, "step": "10m", "overrides": [dashed("B")], "nothing": NOTHING}
    return lines(title, description, unit, [solid, dash], **look)


TODAY_USED = _figure(
    "Quota used today",
    "Mails requested today / daily quota, of each target. From the recording rules.",
    unit="percentunit",
    expr=DAILY,
    steps=USED,
)
BY_MIDNIGHT = _figure(
    "By midnight",
    "Predicted share of the daily quota used at midnight in the account's time zone, at the mean rate so "
    "far. From the recording rules.",
    unit="percentunit",
    expr=PREDICTED,
    steps=((None, GREEN), (0.95, YELLOW), (1, RED)),
)
MONTH_USED = _figure(
    "Used this month",
    "Mails requested this month / monthly quota, of each target. From the recording rules.",
    unit="percentunit",
    expr=MONTHLY,
    steps=USED,
)
FREE = _figure("Free mails left", "Free mails remaining.", "short", FREE_EMAILS)
REPUTATION = _figure("Reputation level", "Reputation level of the account, higher is better.", "none", LEVEL)
LAST_READ = stat(
    "Account read",
    "Time since the last successful read of the account and its domains, for the operation with the oldest.",
    "s",
    [Query(f"time() - min(directmail_account_read_last_success_timestamp_seconds{{{SCOPE}}})", "age")],
    ((None, GREEN), (7200, YELLOW), (21_600, RED)),
    nothing=NOTHING,
)
QUOTA = _curves(
    "Daily quota",
    "Share of the daily quota used, by target. Dashed: predicted for midnight.",
    unit="percentunit",
    solid=Query(DAILY, "{{target}} used"),
    dash=Query(PREDICTED, "{{target}} by midnight"),
    soft_high=1,
)
LEVELS = _curves(
    "Reputation",
    "Reputation level by target. Dashed: the highest possible.",
    unit="none",
    solid=Query(LEVEL, "{{target}}"),
    dash=Query(HIGHEST, "{{target}} highest"),
)
STATE = timeline(
    "Account state",
    "States in which the account may send no mail, or less than usual.",
    [Query(f"max by (target, state) (directmail_account_state{{{SCOPE}}})", "{{target}} {{state}}")],
    states({"0": ("no", GREEN), "1": ("yes", RED)}),
    nothing=NOTHING,
)
SENDERS = table(
    "Mails by sender address",
    "Mails requested by each sender today and this month, in the account's time zone.",
    {
        name: "sum by (account_name) (directmail_sender_emails"
        f'{{{SCOPE}, account_name=~"$account_name", window="{window}"}})'
        for name, window in (("This month", "month"), ("Today", "today"))
    },
    [first_column("account_name", "Sender")],
    nothing=NOTHING,
)
DOMAINS = table(
    "Domains by check",
    "Checks of each sender domain. Without SPF providers may reject mail; without CNAME tracked links do not work.",
    {
        check: f'min by (domain) (directmail_domain_verified{{{SCOPE}, domain=~"$domain", check="{check}"}})'
        for check in CHECKS
    },
    [
        first_column("domain", "Domain", links=False),
        *(override(check, mappings=states({"0": ("lost", RED), "1": ("ok", GREEN)}), **COLOURED) for check in CHECKS),
    ],
    nothing="no data yet: needs domains_interval",
)

ACCOUNT = Row(
    "Account and domains",
    [
        Line(4, [TODAY_USED, BY_MIDNIGHT, MONTH_USED, FREE, REPUTATION, LAST_READ]),
        Line(8, [QUOTA, LEVELS, STATE]),
        Line(7, [SENDERS, DOMAINS], [9, 15]),
    ],
    needs=NEEDS,
)
