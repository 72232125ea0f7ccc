"""Queries by a label whose values nobody knows beforehand: their series have a rank, and so a colour.

Grafana's palettes have orange and red among their first five colours, and an override knows a series by its name only.
So the query names the series by rank. Ranks are the same over the whole range and in every panel.
"""

from tools.boards.panels import PALETTE, RANK, Query
from tools.boards.selectors import JI, SCOPE, SENDER, TAG

LATELY = "[1d] @ end()"


def of_senders(expr: str) -> Query:
    """Return a query by `account_name`; those with the most mail come first."""
    return _query(expr, "account_name", f"sum by (account_name) (last_over_time({_emails(SENDER)}{LATELY}))")


def of_tags(expr: str) -> Query:
    """Return a query by `tag_name`; those with the most mail come first."""
    return _query(expr, "tag_name", f"sum by (tag_name) (last_over_time({_emails(TAG)}{LATELY}))")


def of_targets(expr: str, what: str = "") -> Query:
    """Return a query by `target`, of which it draws `what`; those with the most combinations come first."""
    order = f"count by (target) (last_over_time(directmail_query_success{{{SCOPE}}}{LATELY}))"
    return _query(expr, "target", order, what)


def of_instances(expr: str, what: str = "") -> Query:
    """Return a query by `instance`, of which it draws `what`; those with the most memory come first."""
    order = f"max by (instance) (last_over_time(process_resident_memory_bytes{{{JI}}}{LATELY}))"
    return _query(expr, "instance", order, what)


def ranked(expr: str, label: str, order: str) -> str:
    """Return an expression whose series have the label `rank`: 1 for the highest value of `order`, and so on.

    There is one rank for each colour, and `-` for all others. `order` has one series for each value of `label`.
    """
    ranks = f" or on ({label}) ".join(
        f'label_replace(topk({rank}, {order}), "rank", "{rank}", "", "")' for rank in range(1, len(PALETTE) + 1)
    )
    return (
        f"({expr}) * on ({label}) group_left (rank) group by ({label}, rank) ({ranks}) "
        f'or on ({label}) label_replace({expr}, "rank", "-", "", "")'
    )


def _emails(level: str) -> str:
    return f'directmail_track_emails{{{level}, window="$window"}}'


def _query(expr: str, label: str, order: str, what: str = "") -> Query:
    return Query(ranked(expr, label, order), f"{RANK}{{{{{label}}}}} {what}".rstrip())
