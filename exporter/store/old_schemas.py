"""Reads state files of the schemas 1 to 4, which had a table for each kind of thing and no checksums.

Their names are fixed here, independent of today's filters and counts.
"""

import sqlite3
from collections import defaultdict
from typing import Any

from exporter.store.encoding import ACCOUNT, DECREASES, DISCOVERED, RECORD, Contents, decode_row

NEWEST = 4
"""The newest of them."""
TABLES = ("combination", "cell", "decreases", "discovered", "account")
"""Made by schema 1 (the first three), 3 and 4."""
_STATISTIC = "engagement"
_FILTERS = ("account_name", "tag_name", "esp", "dedicated_ip", "dedicated_ip_pool_id", "config_set_id")
_COUNTS = "emails, opens, unique_opens, clicks, unique_clicks"
_RATES = "open_rate, unique_open_rate, click_rate, unique_click_rate"
_COMBINATIONS = f"SELECT id, first_read_at, last_success_at, target, {', '.join(_FILTERS)}, {_COUNTS} FROM combination"
_CELLS = f"SELECT combination, day, read_at, has_rates, {_COUNTS}, {_RATES} FROM cell"


def read(database: sqlite3.Connection, tables: set[str]) -> Contents:
    """Return what the file says; `tables` are those that it has.

    Raise ValueError where a value is not what it should be, and sqlite3.Error.
    """
    contents = Contents()
    cells: defaultdict[Any, list[Any]] = defaultdict(list)
    for number, day, read_at, has_rates, *counts in database.execute(_CELLS):
        totals, rates = counts[:5], counts[5:]
        cells[number].append([day, read_at, totals, None, rates if has_rates else None])
    for number, first_read_at, last_success_at, target, *rest in database.execute(_COMBINATIONS):
        filters = {name: value for name, value in zip(_FILTERS, rest[:6], strict=True) if value != ""}
        body = {
            "first_read_at": first_read_at,
            "last_success_at": last_success_at,
            "counted": rest[6:],
            "cells": cells.pop(number, []),
        }
        decode_row(contents, RECORD, [target, _STATISTIC, filters], body)
    if cells:
        raise ValueError("days of unknown combinations")
    for target, count in database.execute("SELECT target, count FROM decreases"):
        decode_row(contents, DECREASES, [target], count)
    if "discovered" in tables:
        for target, name, *each in database.execute(
            "SELECT target, filter, value, first_seen FROM discovered ORDER BY target, filter, place"
        ):
            decode_row(contents, DISCOVERED, [target, name], [each])
    if "account" in tables:
        for target, account in database.execute("SELECT target, account FROM account"):
            decode_row(contents, ACCOUNT, [target], account)
    return contents
