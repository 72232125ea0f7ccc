"""CreateTime: which texts are moments, and how the clock of the others is measured."""

from datetime import date
from zoneinfo import ZoneInfo

import pytest

from exporter.doctor.created import clocks, day_of, moment

SECONDS = 1_569_734_892
"""05:28:12 UTC on 2019-09-29: UtcCreateTime of the documentation's example, whose CreateTime is below."""
TEXT = "2019-09-29T13:28Z"
CHINA = 8 * 3600.0
SHANGHAI = ZoneInfo("Asia/Shanghai")


def test_the_documentations_example_of_a_domain_is_china_time_with_a_z() -> None:
    assert clocks([{"CreateTime": TEXT, "UtcCreateTime": SECONDS}]) == {CHINA}


@pytest.mark.parametrize(
    ("domains", "found"),
    [
        pytest.param([], set(), id="no-domain"),
        pytest.param([{"CreateTime": TEXT, "UtcCreateTime": str(SECONDS)}], {CHINA}, id="seconds-as-text"),
        pytest.param([{"CreateTime": TEXT, "UtcCreateTime": SECONDS * 1000}], {CHINA}, id="milliseconds"),
        pytest.param([{"CreateTime": "2019-09-29T05:28:12Z", "UtcCreateTime": SECONDS}], {0.0}, id="utc"),
        pytest.param([{"CreateTime": "2019-09-29T10:58Z", "UtcCreateTime": SECONDS}], {5.5 * 3600}, id="half-hours"),
        pytest.param([{"CreateTime": TEXT, "UtcCreateTime": SECONDS + 300}], set(), id="another-moment"),
        pytest.param([{"CreateTime": TEXT}, {"UtcCreateTime": SECONDS}], set(), id="only-one-of-them"),
        pytest.param([{"CreateTime": TEXT, "UtcCreateTime": 0}], set(), id="zero-is-no-moment"),
        pytest.param([{"CreateTime": "soon", "UtcCreateTime": SECONDS}], set(), id="no-time"),
        pytest.param([{"CreateTime": "2019-09-29T13:28+08:00", "UtcCreateTime": SECONDS}], set(), id="an-offset"),
        pytest.param([{"CreateTime": TEXT, "UtcCreateTime": 2**53}], set(), id="ages-apart"),
        pytest.param([{"CreateTime": "9999-12-31T23:59Z", "UtcCreateTime": SECONDS}], set(), id="the-last-year"),
        pytest.param([{"CreateTime": "2019-09-29T13:28Z", "UtcCreateTime": 1}], set(), id="years-apart"),
        pytest.param([{"CreateTime": None, "UtcCreateTime": SECONDS}], set(), id="null"),
    ],
)
def test_what_a_list_of_domains_shows_of_the_clock(domains: list[dict[str, object]], found: set[float]) -> None:
    assert clocks(domains) == found


@pytest.mark.parametrize(
    ("created", "ahead", "at"),
    [
        pytest.param(TEXT, CHINA, SECONDS - 12, id="measured"),
        pytest.param(TEXT, None, None, id="not-measured"),
        pytest.param("2019-09-29T13:28+08:00", None, SECONDS - 12, id="an-offset"),
        pytest.param("2019-09-29 13:28", CHINA, None, id="no-zone"),
        pytest.param(str(SECONDS), None, SECONDS, id="seconds"),
        pytest.param(f"{SECONDS}500", None, SECONDS + 0.5, id="milliseconds"),
        pytest.param("2019-09-29", CHINA, None, id="a-date"),
        pytest.param("0001-01-01T00:00:00+14:00", None, None, id="before-the-first-year"),
        pytest.param("0001-01-01T00:00Z", CHINA, None, id="before-the-first-year-once-measured"),
        pytest.param("9999-12-31T23:59-12:00", None, None, id="after-the-last-year"),
        pytest.param("9999999999999", None, None, id="long-after-all-mail"),
        pytest.param(None, CHINA, None, id="none"),
    ],
)
def test_a_text_is_a_moment_where_its_clock_is_known(
    created: str | None, ahead: float | None, at: float | None
) -> None:
    assert moment(created, ahead) == at


@pytest.mark.parametrize(
    ("created", "ahead", "day"),
    [
        pytest.param("2019-09-29T23:30Z", CHINA, date(2019, 9, 29), id="measured"),
        pytest.param("2019-09-29T23:30Z", 0.0, date(2019, 9, 30), id="utc"),
        pytest.param("2019-09-29T23:30Z", None, None, id="not-measured"),
        pytest.param("2019-09-29", None, date(2019, 9, 29), id="a-date"),
        pytest.param("soon", 0.0, None, id="no-time"),
        pytest.param("9999-12-31T23:59Z", 0.0, None, id="the-last-minute-of-all-years"),
        pytest.param("0001-01-01T00:00Z", CHINA, None, id="before-the-first-year"),
        pytest.param(None, 0.0, None, id="none"),
    ],
)
def test_the_day_of_a_text(created: str | None, ahead: float | None, day: date | None) -> None:
    assert day_of(created, SHANGHAI, ahead) == day
