"""One combination's sample lines, and the table they come from."""

import re
from datetime import date
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from exporter.directmail.errors import ServerError
from exporter.directmail.model import Filters, RateSums, Totals
from exporter.metrics import tables
from exporter.plan.combinations import Combination
from exporter.store.memory import Cell, Record

DESIGN_NAMES = {
    *(f"directmail_track_{name}" for name in ("emails", "opens", "unique_opens", "clicks", "unique_clicks")),
    *(f"directmail_track_{name}_ratio" for name in ("open", "unique_open", "click", "unique_click", "click_to_open")),
    *(f"directmail_track_reported_{name}_rate" for name in ("open", "unique_open", "click", "unique_click")),
    *(
        f"directmail_track_observed_{name}_total"
        for name in ("emails", "opens", "unique_opens", "clicks", "unique_clicks")
    ),
    "directmail_track_window_start_timestamp_seconds",
    "directmail_track_window_end_timestamp_seconds",
    "directmail_query_success",
    "directmail_query_last_success_timestamp_seconds",
    "directmail_query_stale",
}
WHO = Combination("shop", "by_esp", Filters(account_name="a@x.com", esp="gmail.com"))
ONE, TWO = date(2026, 4, 21), date(2026, 4, 22)
WINDOWS = {"today": (TWO,), "2d": (ONE, TWO)}


def record(*cells: tuple[date, Totals], rates: RateSums | None = None) -> Record:
    return Record(
        cells={day: Cell(totals, rates, 1000.0) for day, totals in cells},
        observed=Totals(9, 8, 7, 6, 5),
        first_read_at=900.0,
        last_success_at=1000.0,
        last_attempt_ok=True,
    )


def lines(known: Record, *, stale: bool = False, reported_rates: bool = False) -> dict[tuple[str, str], float]:
    """Return the samples by (metric, window)."""
    rendered = tables.block(WHO, known, WINDOWS, {"team": "growth"}, stale=stale, reported_rates=reported_rates)
    families = text_string_to_metric_families(b"".join(rendered).decode())
    return {(each.name, each.labels.get("window", "")): each.value for family in families for each in family.samples}


def test_the_names_are_those_of_the_contract() -> None:
    assert {family.name for family in tables.FAMILIES} == DESIGN_NAMES


def test_counters_end_in_total_and_nothing_else_does() -> None:
    assert all((family.type == "counter") == family.name.endswith("_total") for family in tables.FAMILIES)


def test_every_data_metric_tells_that_it_is_polled() -> None:
    rows = [*tables.ROWS, *tables.COUNTERS]
    assert all("Polled" in row.help and "directmail_exporter_poll_interval_seconds" in row.help for row in rows)


def test_a_golden_block() -> None:
    """Rewritten only by hand, when the contract changes."""
    rendered = tables.block(
        WHO,
        record((TWO, Totals(100, 60, 50, 12, 10))),
        {"today": (TWO,)},
        {"team": "growth"},
        stale=False,
        reported_rates=False,
    )
    golden = (Path(__file__).parent / "golden_block.txt").read_text()
    assert sorted(b"".join(rendered).decode().splitlines()) == sorted(golden.splitlines())


def test_a_window_is_the_sum_of_its_days() -> None:
    shown = lines(record((ONE, Totals(100, 10, 8, 4, 2)), (TWO, Totals(50, 5, 2, 1, 1))))
    assert shown["directmail_track_emails", "2d"] == 150
    assert shown["directmail_track_unique_open_ratio", "2d"] == 10 / 150
    assert shown["directmail_track_click_to_open_ratio", "2d"] == 3 / 10
    assert shown["directmail_track_emails", "today"] == 50


def test_a_window_with_a_day_missing_is_not_there() -> None:
    shown = lines(record((TWO, Totals(50, 5, 2, 1, 1))))
    assert {window for _, window in shown} == {"", "today"}


def test_ratios_over_nothing_are_absent_and_counts_of_nothing_are_0() -> None:
    shown = lines(record((TWO, Totals(0, 0, 0, 0, 0))))
    assert shown["directmail_track_emails", "today"] == 0
    assert not any(name.endswith("_ratio") for name, _ in shown)


def test_a_stale_combination_has_its_health_only() -> None:
    shown = lines(record((TWO, Totals(50, 5, 2, 1, 1))), stale=True)
    assert shown == {
        ("directmail_query_success", ""): 1,
        ("directmail_query_last_success_timestamp_seconds", ""): 1000,
        ("directmail_query_stale", ""): 1,
    }


def test_what_was_never_read_has_no_data_even_if_older_days_are_known() -> None:
    known = record((ONE, Totals(1, 1, 1, 1, 1)))
    known.last_success_at, known.last_attempt_ok, known.failure = None, False, ServerError("the API failed")
    assert lines(known) == {("directmail_query_success", ""): 0, ("directmail_query_stale", ""): 0}


def test_before_the_first_attempt_there_is_nothing_to_say_of_success() -> None:
    assert lines(Record()) == {("directmail_query_stale", ""): 0}


def test_counters_are_shown_with_their_growth() -> None:
    assert lines(record((TWO, Totals(1, 1, 1, 1, 1))))["directmail_track_observed_opens_total", ""] == 8


class TestReportedRates:
    def test_they_are_weighed_by_mails_in_the_apis_unit(self) -> None:
        sums = RateSums(50.0 * 100, 40.0 * 100, 10.0 * 100, 5.0 * 100)
        known = record((ONE, Totals(100, 1, 1, 1, 1)), (TWO, Totals(100, 1, 1, 1, 1)), rates=sums)
        assert lines(known, reported_rates=True)["directmail_track_reported_open_rate", "2d"] == 50

    def test_they_are_there_only_when_asked_for(self) -> None:
        known = record((TWO, Totals(100, 1, 1, 1, 1)), rates=RateSums(1.0, 1.0, 1.0, 1.0))
        assert not any("reported" in name for name, _ in lines(known))

    def test_one_that_could_not_be_read_is_absent(self) -> None:
        known = record((TWO, Totals(100, 1, 1, 1, 1)), rates=RateSums(None, 100.0, 1.0, 1.0))
        shown = lines(known, reported_rates=True)
        assert ("directmail_track_reported_open_rate", "today") not in shown
        assert shown["directmail_track_reported_unique_open_rate", "today"] == 1


def test_every_line_has_every_label() -> None:
    rendered = b"".join(
        tables.block(WHO, record((TWO, Totals(1, 1, 1, 1, 1))), WINDOWS, {}, stale=False, reported_rates=False)
    ).decode()
    for line in rendered.splitlines():
        labels = re.findall(r'(\w+)="', line)
        expected = sorted(["target", "query", *Filters._fields])
        assert [label for label in labels if label != "window"] == expected
