"""The metrics of accounts, their senders' usage and their domains: one row each, and how they become sample lines."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from exporter.directmail import account
from exporter.directmail.account import STATES, Summary, Usage
from exporter.directmail.listing import OPERATIONS
from exporter.metrics.text_format import Block, Family, label_text, sample
from exporter.store.account_facts import Checks, Facts

Samples = Iterable[tuple[tuple[str, ...], float | None]]
"""Values of the row's labels, and the value; None makes no sample."""


class Shown(NamedTuple):
    """What is known of an account and is fresh enough to be shown."""

    summary: Summary | None
    senders: Mapping[str, Usage]
    """What is of a day or month that has ended is None."""
    checks: Mapping[str, Checks]
    """By domain."""
    reads: Mapping[str, "Read"]
    """By operation."""


class Read(NamedTuple):
    """How an operation was read last."""

    last_attempt_ok: bool | None
    last_success_at: float | None


@dataclass(frozen=True, slots=True)
class AccountRow:
    """A gauge of an account."""

    name: str
    help: str
    labels: tuple[str, ...]
    """Beside `target`."""
    samples: Callable[[Shown], Samples]
    source: str = ""
    """The fields of the API that it comes from, as documentation shows them."""


def _of_summary(name: str, text: str, value: Callable[[Summary], int | None], field: str) -> AccountRow:
    def samples(shown: Shown) -> Samples:
        return [((), value(shown.summary))] if shown.summary else []

    return AccountRow(name, f"{text} ({field}). Polled every account_interval.", (), samples, f"`{field}`")


def _states(shown: Shown) -> Samples:
    held = shown.summary.states if shown.summary else None
    return [((state,), state in held) for state in STATES] if held is not None else []


def _usage(shown: Shown) -> Samples:
    for name, usage in shown.senders.items():
        yield (name, "today"), usage.today
        yield (name, "month"), usage.month


def _checks(shown: Shown) -> Samples:
    return (((domain, check), ok) for domain, checks in shown.checks.items() for check, ok in checks.items())


ROWS: tuple[AccountRow, ...] = (
    _of_summary(
        "directmail_account_daily_quota_emails",
        "Daily limit of mails, not the remainder",
        lambda summary: summary.daily_quota,
        "DailyQuota",
    ),
    _of_summary(
        "directmail_account_monthly_quota_emails",
        "Monthly limit of mails, not the remainder",
        lambda summary: summary.monthly_quota,
        "MonthQuota",
    ),
    _of_summary(
        "directmail_account_free_emails_remaining",
        "Free mails remaining",
        lambda summary: summary.free_emails,
        "RemainFreeQuota",
    ),
    _of_summary(
        "directmail_account_reputation_level",
        "Reputation level of the account, higher is better",
        lambda summary: summary.reputation,
        "QuotaLevel",
    ),
    _of_summary(
        "directmail_account_reputation_level_max",
        "Highest possible reputation level",
        lambda summary: summary.highest_reputation,
        "MaxQuotaLevel",
    ),
    AccountRow(
        "directmail_account_state",
        "Whether the account is in this state, 1 or 0; all 0 is normal (UserStatus). Polled every account_interval.",
        ("state",),
        _states,
        "`UserStatus`",
    ),
    AccountRow(
        "directmail_sender_emails",
        "Mails requested by the sender today or this month, in the account's time zone (DailyReqCount, MonthReqCount). "
        "Polled every account_interval. Absent from midnight until the next read.",
        ("account_name", "window"),
        _usage,
        "`DailyReqCount`, `MonthReqCount`",
    ),
    AccountRow(
        "directmail_domain_verified",
        "Whether the sender domain passes the check, 1 or 0. Polled every domains_interval.",
        ("domain", "check"),
        _checks,
        ", ".join(f"`{field}`" for field in (*account.LISTED_CHECKS.values(), *account.DESCRIBED_CHECKS.values())),
    ),
    AccountRow(
        "directmail_account_read_success",
        "Whether the operation's last read succeeded, 1 or 0. Absent before the first.",
        ("action",),
        lambda shown: (((action,), read.last_attempt_ok) for action, read in shown.reads.items()),
    ),
    AccountRow(
        "directmail_account_read_last_success_timestamp_seconds",
        "The operation's last successful read, in Unix seconds. Absent before the first.",
        ("action",),
        lambda shown: (((action,), read.last_success_at) for action, read in shown.reads.items()),
    ),
)
FAMILIES = tuple(Family(row.name, row.help, "gauge") for row in ROWS)


def reads(facts: Facts, *, account_interval: bool, domains_interval: bool) -> dict[str, Read]:
    """Return how each operation that is read was read last; of many domains the worst."""
    found: dict[str, Read] = {}
    if account_interval:
        found[account.SUMMARY] = Read(facts.summary.last_attempt_ok, facts.summary.read_at)
        found[OPERATIONS["account_name"].action] = Read(facts.senders.last_attempt_ok, facts.senders.read_at)
    if domains_interval:
        found[OPERATIONS["domain"].action] = Read(facts.domains.last_attempt_ok, facts.domains.read_at)
        each = facts.described.values()
        tried = [fact.last_attempt_ok for fact in each if fact.last_attempt_ok is not None]
        times = [fact.read_at for fact in each]
        known = [at for at in times if at is not None]
        oldest = min(known) if known and len(known) == len(times) else None
        found[account.DOMAIN] = Read(all(tried) if tried else None, oldest)
    return found


def block(target: str, shown: Shown, labels: Mapping[str, str]) -> Block:
    """Return an account's sample lines by family; `labels` are the target's constant ones."""
    return tuple(
        "".join(
            sample(
                row.name, label_text({**labels, "target": target, **dict(zip(row.labels, values, strict=True))}), value
            )
            for values, value in row.samples(shown)
            if value is not None
        ).encode()
        for row in ROWS
    )
