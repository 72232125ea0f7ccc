"""What the status page shows of an account itself: quota, reputation, state and domains, and when that was read."""

from collections.abc import Collection
from typing import Any

from exporter.clock import Clock
from exporter.directmail import account
from exporter.directmail.listing import OPERATIONS
from exporter.store.account_facts import Fact, Facts

MOST_DOMAINS = 5
"""Domains with failing checks that are listed by name."""


def reads(facts: Facts, actions: Collection[str], clock: Clock) -> list[dict[str, Any]]:
    """Return the account's reads, one for each planned operation."""
    found = []
    if account.SUMMARY in actions:
        found.append(_read("Account", [facts.summary], _summary(facts), clock))
    if {account.DOMAIN, OPERATIONS["domain"].action} <= set(actions):
        its: list[Fact[Any]] = [facts.domains, *facts.described.values()]
        found.append(_read("Domains", its, _domains(facts), clock))
    return found


def _read(name: str, facts: list[Fact[Any]], texts: list[str], clock: Clock) -> dict[str, Any]:
    known = [fact.age(clock) for fact in facts if fact.read_at is not None]
    return {
        "name": name,
        "age": max(known, default=None),
        "failure": next((fact.failure for fact in facts if fact.failure is not None), None),
        "texts": texts,
    }


def _summary(facts: Facts) -> list[str]:
    """Return the account's values, in words; missing ones are left out."""
    its = facts.summary.value
    if its is None:
        return []
    values = (
        ("daily quota", its.daily_quota, "mails"),
        ("monthly quota", its.monthly_quota, "mails"),
        ("free mails left", its.free_emails, ""),
        ("reputation level", its.reputation, "" if its.highest_reputation is None else f"of {its.highest_reputation}"),
    )
    texts = [
        f"{name} {value:,} {unit}".replace(",", "\u202f").strip() for name, value, unit in values if value is not None
    ]
    states = [] if its.states is None else [", ".join(sorted(its.states)) or "in good standing"]
    return [*states, *texts]


def _domains(facts: Facts) -> list[str]:
    """Return how many domains there are, and which checks of them are not verified."""
    listed = facts.domains.value
    if listed is None:
        return []
    described = {name: fact.value or {} for name, fact in facts.described.items()}
    checks = {name: {**its, **described.get(name, {})} for name, its in listed.items()}
    wanting = {name: open_ for name, its in checks.items() if (open_ := [each for each, ok in its.items() if not ok])}
    if not wanting:
        return [f"{len(listed)} listed, all checks pass"]
    named = [f"{name}: {', '.join(open_)} not verified" for name, open_ in list(wanting.items())[:MOST_DOMAINS]]
    more = [f"{len(wanting) - MOST_DOMAINS} more with failing checks"] if len(wanting) > MOST_DOMAINS else []
    return [f"{len(listed)} listed", *named, *more]
