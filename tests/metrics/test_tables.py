"""One combination's sample lines, and the table they come from."""

import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporter.directmail.errors import ServerError
from exporter.directmail.model import Filters
from exporter.directmail.statistics.delivery import Delivery
from exporter.directmail.statistics.engagement import Engagement
from exporter.directmail.statistics.registry import STATISTICS
from exporter.directmail.statistics.statistic import RateSums, Totals
from exporter.metrics import tables
from exporter.plan.combinations import Combination
from exporter.store.memory import Cell, Record

DELIVERED = ("requested", "delivered", "failed", "invalid")
DESIGN_NAMES = {
    *(f"directmail_track_{name}" for name in ("emails", "opens", "unique_opens", "clicks", "unique_clicks")),
    *(f"directmail_track_{name}_ratio" for name in ("open", "unique_open", "click", "unique_click", "click_to_open")),
    *(f"directmail_track_reported_{name}_rate" for name in ("open", "unique_open", "click", "unique_click")),
    *(
        f"directmail_track_observed_{name}_total"
        for name in ("emails", "opens", "unique_opens", "clicks", "unique_clicks")
    ),
    *(f"directmail_delivery_{name}_emails" for name in DELIVERED),
    *(f"directmail_delivery_{name}_ratio" for name in ("success", "failure", "invalid")),
    *(f"directmail_delivery_observed_{name}_emails_total" for name in DELIVERED),
    "directmail_track_window_start_timestamp_seconds",
    "directmail_track_window_end_timestamp_seconds",
    "directmail_query_success",
    "directmail_query_last_success_timestamp_seconds",
    "directmail_query_stale",
    "directmail_query_supported",
}
LABELS = [
    "target",
    "query",
    "account_name",
    "tag_name",
    "domain",
    "esp",
    "dedicated_ip",
    "dedicated_ip_pool_id",
    "config_set_id",
    "window",
]
"""Of the data."""
WHO = Combination("shop", "engagement", "by_esp", Filters(account_name="a@x.com", esp="gmail.com"))
MAILS = replace(WHO, statistic="delivery")
ONE, TWO = date(2026, 4, 21), date(2026, 4, 22)
GROWN = Engagement(9, 8, 7, 6, 5)
WINDOWS = {"today": (TWO,), "2d": (ONE, TWO)}


def record(*cells: tuple[date, Totals], rates: RateSums | None = None, observed: Totals = GROWN) -> Record:
    return Record(
        cells={day: Cell(totals, rates, 1000.0) for day, totals in cells},
        observed=observed,
        first_read_at=900.0,
        last_success_at=1000.0,
        last_attempt_ok=True,
    )


def lines(
    known: Record, who: Combination = WHO, *, stale: bool = False, reported_rates: bool = False
) -> dict[tuple[str, str], float]:
    """Return the samples by (metric, window)."""
    rendered = tables.block(who, known, WINDOWS, {"team": "growth"}, stale=stale, reported_rates=reported_rates)
    families = text_string_to_metric_families(b"".join(rendered).decode())
    return {(each.name, each.labels.get("window", "")): each.value for family in families for each in family.samples}


def test_the_names_are_those_of_the_contract() -> None:
    assert {family.name for family in tables.families()} == DESIGN_NAMES


def test_counters_end_in_total_and_nothing_else_does() -> None:
    assert all((family.type == "counter") == family.name.endswith("_total") for family in tables.families())


def test_every_data_metric_mentions_in_four_words_at_most_that_it_is_polled() -> None:
    rows = [row for each in tables.TABLES.values() for row in (*each.rows, *each.counters)]
    assert all("Polled from the API." in row.help or "from polled counts;" in row.help for row in rows)


def test_every_statistic_has_its_metrics() -> None:
    assert list(tables.TABLES) == list(STATISTICS)
    assert all(table.statistic is STATISTICS[name] for name, table in tables.TABLES.items())


def test_an_entry_of_a_block_is_of_the_family_at_its_place() -> None:
    known = {
        WHO: record((TWO, Engagement(100, 60, 50, 12, 10)), rates=(1.0, 1.0, 1.0, 1.0)),
        MAILS: record((TWO, Delivery(200, 180, 15, 5)), observed=Delivery(9, 7, 2, 1)),
    }
    for who, its in known.items():
        rendered = tables.block(who, its, {"today": (TWO,)}, {}, stale=False, reported_rates=True)
        names = [entry.decode().split("{")[0] for entry in rendered]
        assert names == [family.name for family in tables.families_of(who.statistic)]


@pytest.mark.parametrize(
    ("golden", "who", "known"),
    [
        pytest.param("golden_block.txt", WHO, record((TWO, Engagement(100, 60, 50, 12, 10))), id="engagement"),
        pytest.param(
            "golden_delivery_block.txt",
            MAILS,
            record((TWO, Delivery(200, 180, 15, 5)), observed=Delivery(9, 7, 2, 1)),
            id="delivery",
        ),
    ],
)
def test_a_golden_block(golden: str, who: Combination, known: Record) -> None:
    """Rewritten only by hand, when the contract changes."""
    rendered = tables.block(who, known, {"today": (TWO,)}, {"team": "growth"}, stale=False, reported_rates=False)
    expected = (Path(__file__).parent / golden).read_text()
    assert sorted(b"".join(rendered).decode().splitlines()) == sorted(expected.splitlines())


def test_a_window_is_the_sum_of_its_days() -> None:
    shown = lines(record((ONE, Engagement(100, 10, 8, 4, 2)), (TWO, Engagement(50, 5, 2, 1, 1))))
    assert shown["directmail_track_emails", "2d"] == 150
    assert shown["directmail_track_unique_open_ratio", "2d"] == 10 / 150
    assert shown["directmail_track_click_to_open_ratio", "2d"] == 3 / 10
    assert shown["directmail_track_emails", "today"] == 50


def test_a_window_with_a_day_missing_is_not_there() -> None:
    shown = lines(record((TWO, Engagement(50, 5, 2, 1, 1))))
    assert {window for _, window in shown} == {"", "today"}


def test_ratios_over_nothing_are_absent_and_counts_of_nothing_are_0() -> None:
    for who, nothing in ((WHO, Engagement(0, 0, 0, 0, 0)), (MAILS, Delivery(0, 0, 0, 0))):
        shown = lines(record((TWO, nothing), observed=nothing), who)
        assert shown["directmail_track_emails" if who is WHO else "directmail_delivery_requested_emails", "today"] == 0
        assert not any(name.endswith("_ratio") for name, _ in shown)


def test_a_stale_combination_has_its_health_only() -> None:
    shown = lines(record((TWO, Engagement(50, 5, 2, 1, 1))), stale=True)
    assert shown == {
        ("directmail_query_success", ""): 1,
        ("directmail_query_last_success_timestamp_seconds", ""): 1000,
        ("directmail_query_stale", ""): 1,
        ("directmail_query_supported", ""): 1,
    }


def test_what_was_never_read_has_no_data_even_if_older_days_are_known() -> None:
    known = record((ONE, Engagement(1, 1, 1, 1, 1)))
    known.last_success_at, known.last_attempt_ok, known.failure = None, False, ServerError("the API failed")
    assert lines(known) == {
        ("directmail_query_success", ""): 0,
        ("directmail_query_stale", ""): 1,
        ("directmail_query_supported", ""): 1,
    }


def test_before_the_first_attempt_success_is_absent() -> None:
    assert lines(Record()) == {("directmail_query_stale", ""): 0, ("directmail_query_supported", ""): 1}


def test_filters_that_the_account_cannot_use_have_a_state_of_their_own_and_no_data() -> None:
    """Whether nothing came, or numbers that may be those of all the mail."""
    never, withheld = record(), record((TWO, Engagement(50, 5, 2, 1, 1)))
    never.last_success_at = None
    for known in (never, withheld):
        known.is_supported, known.is_withheld = False, True
        for stale in (False, True):
            shown = lines(known, stale=stale)
            assert {name for name, _ in shown} <= {row.name for row in tables.HEALTH}
            assert shown["directmail_query_supported", ""] == 0
            assert shown["directmail_query_stale", ""] == 0, "it is no failure"


def test_while_the_scope_of_the_numbers_is_unknown_none_is_shown() -> None:
    known = record((TWO, Engagement(50, 5, 2, 1, 1)))
    known.is_withheld = True
    shown = lines(known)
    assert {name for name, _ in shown} == {row.name for row in tables.HEALTH}
    assert (shown["directmail_query_supported", ""], shown["directmail_query_stale", ""]) == (1, 0)


def test_counters_are_shown_with_their_growth() -> None:
    assert lines(record((TWO, Engagement(1, 1, 1, 1, 1))))["directmail_track_observed_opens_total", ""] == 8


class TestReportedRates:
    def test_they_are_weighed_by_mails_in_the_apis_unit(self) -> None:
        sums = (50.0 * 100, 40.0 * 100, 10.0 * 100, 5.0 * 100)
        known = record((ONE, Engagement(100, 1, 1, 1, 1)), (TWO, Engagement(100, 1, 1, 1, 1)), rates=sums)
        assert lines(known, reported_rates=True)["directmail_track_reported_open_rate", "2d"] == 50

    def test_they_are_there_only_when_enabled(self) -> None:
        known = record((TWO, Engagement(100, 1, 1, 1, 1)), rates=(1.0, 1.0, 1.0, 1.0))
        assert not any("reported" in name for name, _ in lines(known))

    def test_one_that_could_not_be_read_is_absent(self) -> None:
        known = record((TWO, Engagement(100, 1, 1, 1, 1)), rates=(None, 100.0, 1.0, 1.0))
        shown = lines(known, reported_rates=True)
        assert ("directmail_track_reported_open_rate", "today") not in shown
        assert shown["directmail_track_reported_unique_open_rate", "today"] == 1


@pytest.mark.parametrize(
    ("who", "nothing"),
    [
        pytest.param(WHO, Engagement(0, 0, 0, 0, 0), id="engagement"),
        pytest.param(MAILS, Delivery(0, 0, 0, 0), id="delivery"),
    ],
)
def test_every_line_has_every_label(who: Combination, nothing: Totals) -> None:
    """Health has the statistic instead of a window, counters have neither."""
    known = record((TWO, nothing), observed=nothing)
    rendered = b"".join(tables.block(who, known, WINDOWS, {}, stale=False, reported_rates=False)).decode()
    for line in rendered.splitlines():
        also = ["statistic"] if line.startswith("directmail_query_") else []
        labels = re.findall(r'(\w+)="', line)
        assert labels == sorted({*LABELS, *also} - ({"window"} if also or "_total{" in line else set()))


def test_a_constant_label_of_a_target_is_on_every_line() -> None:
    rendered = tables.block(
        MAILS, record((TWO, Delivery(1, 1, 0, 0))), WINDOWS, {"team": "a"}, stale=False, reported_rates=False
    )
    assert all('team="a"' in line for line in b"".join(rendered).decode().splitlines())
