"""What is made of a sweep's numbers: expected maxima, spread, the choice of a shift."""

from __future__ import annotations

import numpy as np
import pytest

from edgefuse.sweep.cells import Cell, Result
from edgefuse.sweep.choice import choose, curve, expected_maximum, judge


@pytest.mark.parametrize(
    ("count", "wanted"),
    [(1, 0), (2, 1 / np.sqrt(np.pi)), (3, 1.5 / np.sqrt(np.pi)), (10, 1.53875), (20, 1.86748), (100, 2.50759)],
)
def test_expected_maxima_are_the_tabulated_ones(count: int, wanted: float) -> None:
    """Closed forms of two and three draws, and Harter (1961), table I."""
    assert expected_maximum(count) == pytest.approx(wanted, abs=1e-5)


def test_the_expected_maximum_of_21_draws_is_what_drawing_gives() -> None:
    drawn = np.random.default_rng(0).normal(size=(200_000, 21)).max(axis=1)
    assert expected_maximum(21) == pytest.approx(drawn.mean(), abs=4 * drawn.std() / np.sqrt(len(drawn)))


def test_a_curve_of_pure_noise_peaks_about_where_noise_is_said_to() -> None:
    rng = np.random.default_rng(1)
    values = 0.6 + 0.012 * rng.normal(size=(2000, 21, 5))
    curves = [curve(each) for each in values]
    peaks = np.array([each.mean.max() - each.noise.of_means for each in curves if each.noise])
    assert peaks.mean() == pytest.approx(0, abs=0.0005)
    singles = np.array([run[:, 0].max() - each.noise.of_single_runs for run, each in zip(values, curves, strict=True)])
    assert singles.mean() == pytest.approx(0, abs=0.001)


def test_mean_deviation_and_pooled_deviation() -> None:
    values = np.array([[1.0, 3.0], [2.0, 6.0]])
    found = curve(values)
    np.testing.assert_allclose(found.mean, [2, 4])
    np.testing.assert_allclose(found.deviation, [np.sqrt(2), np.sqrt(8)])
    assert found.noise is not None
    assert found.noise.deviation == pytest.approx(np.sqrt(5))
    assert found.noise.of_single_runs == pytest.approx(3 + np.sqrt(5) / np.sqrt(np.pi))
    assert found.noise.of_means == pytest.approx(3 + np.sqrt(5) / np.sqrt(np.pi) / np.sqrt(2))


def _choose(means: list[float], deviation: float) -> tuple[int, int]:
    """With four seeds: one standard error is half the deviation."""
    spread = deviation * np.array([-1, -1, 1, 1]) * np.sqrt(3 / 4)
    return choose(np.array([-1, -0.5, 0, 0.5, 1.0]), curve(np.array(means)[:, None] + spread), 4)


def test_of_shifts_within_one_standard_error_the_nearest_to_0_is_taken() -> None:
    assert _choose([0.5, 0.5, 0.56, 0.58, 0.6], 0.09) == (4, 2)
    assert _choose([0.5, 0.5, 0.56, 0.58, 0.6], 0.05) == (4, 3)
    assert _choose([0.5, 0.5, 0.56, 0.58, 0.6], 0.01) == (4, 4)


def test_of_two_equally_near_the_better_is_taken() -> None:
    assert _choose([0.6, 0.59, 0.5, 0.595, 0.5], 0.1) == (0, 3)


def test_one_seed_tells_nothing_about_noise() -> None:
    found = curve(np.array([[0.5], [0.6]]))
    assert found.noise is None
    assert choose(np.array([0.0, 1.0]), found, 1) == (1, 1)


def test_results_in_any_order_become_curves_in_theirs() -> None:
    results = [
        Result(Cell(fusion, shift, seed), 0.5 + shift / 10, 0.4 + shift / 10 + seed / 100, 3, 1.0)
        for seed in (1, 0)
        for shift in (1.0, -1.0, 0.0)
        for fusion in ("late", "early")
    ]
    early, late = judge(results)
    assert (early.fusion, late.fusion) == ("early", "late")
    assert early.shifts == (-1.0, 0.0, 1.0)
    assert early.seeds == 2
    np.testing.assert_allclose(early.macro_f1.mean, [0.305, 0.405, 0.505])
    np.testing.assert_allclose(early.accuracy.deviation, 0)
    assert early.best == 2
