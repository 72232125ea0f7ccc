"""Chance as a pure function: the right distributions, the same everywhere."""

import subprocess
import sys
from pathlib import Path
from statistics import fmean, pvariance

import pytest

from exporter.simulator.random_numbers import binomial, lognormal_cdf, poisson, uniforms

GRID = [(step + 0.5) / 4000 for step in range(4000)]
"""Evenly spread chances: whatever is drawn from them has the moments of its distribution."""


@pytest.mark.parametrize(
    ("n", "p"),
    [
        pytest.param(40, 0.02, id="exact"),
        pytest.param(40, 0.98, id="exact-from-the-other-end"),
        pytest.param(1000, 0.3, id="normal"),
        pytest.param(100_000, 0.00005, id="rare"),
        pytest.param(25, 1.0, id="certain"),
        pytest.param(25, 0.0, id="never"),
        pytest.param(0, 0.5, id="of-none"),
    ],
)
def test_binomial_draws_have_their_mean_and_variance(n: int, p: float) -> None:
    drawn = [binomial(n, p, u) for u in GRID]
    assert all(0 <= each <= n for each in drawn)
    assert drawn == sorted(drawn)
    assert fmean(drawn) == pytest.approx(n * p, rel=0.01)
    assert pvariance(drawn) == pytest.approx(n * p * (1 - p), rel=0.03)


@pytest.mark.parametrize("mean", [0.0, 0.3, 5.0, 11.9, 12.0, 5000.0])
def test_poisson_draws_have_their_mean_and_variance(mean: float) -> None:
    drawn = [poisson(mean, u) for u in GRID]
    assert drawn == sorted(drawn)
    assert fmean(drawn) == pytest.approx(mean, rel=0.01)
    assert pvariance(drawn) == pytest.approx(mean, rel=0.03)


def test_half_of_all_events_come_before_the_median() -> None:
    assert lognormal_cdf(9, 9, 2.0) == pytest.approx(0.5)
    assert lognormal_cdf(0, 9, 2.0) == 0


def test_numbers_depend_on_every_part_of_their_key_and_on_nothing_else() -> None:
    assert uniforms(3, 7, "a", 1) == uniforms(4, 7, "a", 1)[:3]
    assert len({uniforms(1, *key)[0] for key in ((7, "a", 1), (8, "a", 1), (7, "b", 1), (7, "a", 2))}) == 4


def test_two_processes_agree() -> None:
    code = (
        "from datetime import date; from exporter.simulator.traffic import Traffic; "
        "print(Traffic().counts(date(2026, 4, 21), 1_777_000_000.0, tag='receipt'))"
    )
    reported = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "TZ": zone},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed, zone in (("1", "UTC"), ("2", "America/New_York"))
    }
    assert len(reported) == 1
