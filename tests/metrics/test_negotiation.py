"""Which format and coding a scraper is sent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.metrics.negotiation import OPENMETRICS, TEXT, accepts_gzip, choose_format
from tests.support.scrapers import PROMETHEUS_2, PROMETHEUS_3

TEXT_004 = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS_100 = "application/openmetrics-text; version=1.0.0; charset=utf-8"


@pytest.mark.parametrize(
    ("accept", "style"),
    [
        pytest.param(PROMETHEUS_2, OPENMETRICS, id="prometheus-2"),
        pytest.param(PROMETHEUS_3, OPENMETRICS, id="prometheus-3"),
        pytest.param("", TEXT, id="nothing"),
        pytest.param("*/*", TEXT, id="curl"),
        pytest.param("text/html,application/xhtml+xml,*/*;q=0.8", TEXT, id="browser"),
        pytest.param("text/plain;q=0.9,application/openmetrics-text;q=0.5", TEXT, id="weighed"),
        pytest.param("text/plain;q=0.5,application/openmetrics-text;q=.9", OPENMETRICS, id="weight-without-its-zero"),
        pytest.param("text/plain,application/openmetrics-text", TEXT, id="the-first-of-equals"),
        pytest.param("application/*", OPENMETRICS, id="part-of-a-range"),
        pytest.param("application/openmetrics-text;version=0.0.1", TEXT, id="a-version-that-is-not-spoken"),
        pytest.param("application/openmetrics-text;version=2.0.0,*/*;q=0.1", TEXT, id="a-version-to-come"),
        pytest.param('application/openmetrics-text;version="1.0.0"', OPENMETRICS, id="quoted-version"),
        pytest.param('x/y;a="1,text/plain;q=1",application/openmetrics-text', OPENMETRICS, id="comma-in-quotes"),
        pytest.param("Application/OpenMetrics-Text; Version=1.0.0", OPENMETRICS, id="capital-letters"),
        pytest.param("application/openmetrics-text;q=often,text/plain;q=0.1", TEXT, id="a-weight-that-is-none"),
        pytest.param("application/openmetrics-text;q=0", TEXT, id="not-accepted"),
        pytest.param("text/plain;q=0,*/*", OPENMETRICS, id="not-accepted-in-spite-of-a-star"),
        pytest.param("*/*,text/*;q=0.000", OPENMETRICS, id="not-accepted-after-a-star"),
        pytest.param("text/plain;q=0,application/openmetrics-text;q=0", TEXT, id="nothing-is-accepted"),
        pytest.param("application/json", TEXT, id="nothing-that-is-offered"),
        pytest.param("application/openmetrics-text;q=nan, text/plain;q=0.1", TEXT, id="no-number"),
        pytest.param("application/openmetrics-text;q=7, text/plain;q=1", OPENMETRICS, id="above-one-is-one"),
        pytest.param(",;,", TEXT, id="punctuation"),
    ],
)
def test_the_format_is_the_one_that_weighs_most(accept: str, style: str) -> None:
    assert choose_format(accept).style == style


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        pytest.param("", TEXT_004, id="nothing"),
        pytest.param(PROMETHEUS_2, OPENMETRICS_100, id="prometheus-2-requests-none"),
        pytest.param(PROMETHEUS_3, f"{OPENMETRICS_100}; escaping=allow-utf-8", id="prometheus-3"),
        pytest.param(
            PROMETHEUS_3.replace("openmetrics-text", "other"),
            "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8",
            id="prometheus-3-without-openmetrics",
        ),
        pytest.param("text/plain;version=0.0.4;escaping=values", f"{TEXT_004}; escaping=values", id="text"),
        pytest.param("text/plain;escaping=mangled", TEXT_004, id="unknown-scheme"),
        pytest.param("text/plain;q=0;escaping=dots", TEXT_004, id="escaping-of-what-is-not-accepted"),
        pytest.param(
            "application/openmetrics-text;version=1.0.0,text/plain;q=0.1;escaping=dots",
            OPENMETRICS_100,
            id="escaping-of-another-format",
        ),
    ],
)
def test_escaping_is_answered_where_it_was_requested(accept: str, content_type: str) -> None:
    assert choose_format(accept).content_type == content_type


@pytest.mark.parametrize(
    ("accepts", "packed"),
    [
        ("gzip", True),
        ("GZIP", True),
        ("x-gzip", True),
        ("gzip, deflate, br", True),
        ("deflate;q=1.0, gzip;q=0.5", True),
        ("*", True),
        ("identity;q=0.5, gzip", True),
        ("*, identity;q=0", True),
        ("", False),
        ("identity", False),
        ("br", False),
        ("gzip;q=0", False),
        ("gzip; Q=0.000", False),
        ("*, gzip;q=0", False),
        ("gzip;q=0, *", False),
        ("*;q=0", False),
        ("gzip;q=0.5, identity", False),
    ],
)
def test_gzip_is_used_when_accepted(accepts: str, *, packed: bool) -> None:
    assert accepts_gzip(accepts) == packed


@given(st.text('abz*/,;=\\"q01. \t\x00é'))
def test_every_header_has_a_result(header: str) -> None:
    assert choose_format(header).style in (TEXT, OPENMETRICS)
    accepts_gzip(header)
