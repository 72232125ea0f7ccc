"""Durations: Prometheus' own, and what is meant by others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.config import loader
from exporter.config.durations import LONGEST, format_duration, guessed, parse_duration

CONFIG = "targets: [{name: shop, region: us-east-1, queries: [{name: account}]}]\n"


@pytest.mark.parametrize(
    ("written", "write"),
    [
        ("5min", "5m"),
        ("5 m", "5m"),
        ("5M", "5m"),
        ("90", "1m30s"),
        ("1.5h", "1h30m"),
        ("1 hour", "1h"),
        ("2 hours 30 minutes", "2h30m"),
        ("1m1h", "1h1m"),
        ("2wks", "one such as"),
        ("2 weeks", "14d"),
        ("0.5s", "one such as"),
        ("soon", "one such as"),
        ("5 parsecs", "one such as"),
        ("-5m", "one such as"),
    ],
)
def test_what_is_meant_is_proposed(written: str, write: str) -> None:
    _, (problem,) = loader.parse(f"poll_interval: '{written}'\n{CONFIG}")
    assert problem.text.startswith(f"'{written}' is not a duration; write {write}")
    assert not write[0].isdigit() or parse_duration(write) == guessed(written)


@pytest.mark.parametrize("key", ["poll_interval", "stale_after", "discovery_interval"])
@pytest.mark.parametrize("digits", [30, 400, 5000])
def test_a_duration_without_end_is_rejected_in_few_words(key: str, digits: int) -> None:
    _, (problem,) = loader.parse(f"{key}: {'9' * digits}s\n{CONFIG}")
    assert problem.place == key
    assert "is too long; write at most 10y" in problem.text
    assert len(problem.text) < 200


def test_leading_zeros_make_no_duration_long() -> None:
    assert parse_duration("0000000000000000005m") == 300


@given(st.integers(1, int(LONGEST)))
def test_what_is_written_is_read_as_the_same(seconds: int) -> None:
    assert parse_duration(format_duration(seconds)) == seconds
    assert guessed(format_duration(seconds)) == seconds


@given(st.text() | st.from_regex(r"\A([0-9.]{0,5} ?[a-zA-Z]{0,6} ?){1,4}\Z"))
def test_no_text_means_more_than_ten_years_or_less_than_nothing(text: str) -> None:
    assert 0 <= guessed(text) <= LONGEST


@pytest.mark.parametrize(
    ("written", "write"), [("1w", "7d"), ("7 days", "7d"), ("48h", "2d"), ("31d", "today, yesterday"), ("w", "today,")]
)
def test_a_window_that_is_meant_is_proposed(written: str, write: str) -> None:
    _, (problem,) = loader.parse(f"windows: [today, {written}]\n{CONFIG}")
    assert problem.place == "windows[1]"
    assert f"write {write}" in problem.text
