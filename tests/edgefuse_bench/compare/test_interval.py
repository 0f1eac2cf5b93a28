"""Ratios of medians and their intervals: against scipy, and on noise whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from edgefuse_bench.compare.interval import BATCHES, LEAST, Ratio, ratio, ratio_of_estimates, student


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 7, 8, 14, 31, 100, 399])
@pytest.mark.parametrize("level", [0.5, 0.95, 0.99])
def test_students_quantile_is_scipys(freedom: int, level: float) -> None:
    stats = pytest.importorskip("scipy.stats", reason="the reference for Student's t")
    assert student(freedom, level) == pytest.approx(stats.t.ppf((1 + level) / 2, freedom), rel=1e-9)


def test_the_ratio_is_of_the_medians() -> None:
    found = ratio([[100.0] * 20 + [900.0] * 15], [[150.0] * 20 + [5.0] * 15])
    assert found.value == pytest.approx(1.5)


def test_several_runs_of_a_side_give_scipys_interval_of_two_means() -> None:
    stats = pytest.importorskip("scipy.stats", reason="the reference for the interval")
    baseline, candidate = [100.0, 103.0, 98.0], [110.0, 117.0, 112.0, 108.0]
    found = ratio([[value] * 3 for value in baseline], [[value] for value in candidate])
    expected = stats.ttest_ind(np.log(candidate), np.log(baseline)).confidence_interval(0.95)
    assert found.interval == pytest.approx((np.exp(expected.low), np.exp(expected.high)), rel=1e-9)


def test_one_run_borrows_the_spread_of_the_others_runs() -> None:
    found = ratio([[100.0] * 64], [[110.0] * 64, [130.0] * 64, [120.0] * 64])
    assert found.interval is not None
    assert found.interval[0] < 1 < found.interval[1]  # constant within each run, 9 % from run to run


def test_too_few_queries_have_no_interval() -> None:
    assert ratio([[1.0] * (LEAST - 1)], [[2.0] * 500]) == Ratio(pytest.approx(2), None)
    assert ratio([[1.0] * LEAST], [[2.0] * LEAST]).interval == (pytest.approx(2), pytest.approx(2))


def _autoregressive(rng: np.random.Generator, queries: int, phi: float) -> list[float]:
    """Times whose logarithm remembers the one before."""
    steps, value, out = rng.normal(0, 0.05, queries), 0.0, []
    for step in steps:
        value = phi * value + step
        out.append(100 * np.exp(value + rng.exponential(0.02)))
    return out


@pytest.mark.parametrize(("phi", "least"), [(0.0, 0.92), (0.5, 0.88), (0.8, 0.8)])
def test_two_equal_runs_are_told_apart_seldom_even_where_noise_is_correlated(phi: float, least: float) -> None:
    """Drawn with a fixed seed. An interval that took each query by itself would hold the truth far less often."""
    rng = np.random.default_rng(0)
    held = naive = 0
    for _ in range(200):
        one, other = _autoregressive(rng, 130, phi), _autoregressive(rng, 130, phi)
        low, high = ratio([one], [other]).interval or (0, 0)
        held += low <= 1 <= high
        logs = np.log(one), np.log(other)
        error = 1.253 * np.sqrt(sum(log.var(ddof=1) / len(log) for log in logs))  # of a median, of normal noise
        naive += abs(np.median(logs[0]) - np.median(logs[1])) <= 1.96 * error
    assert held / 200 >= least
    assert phi == 0 or held > naive + 15


def test_a_true_difference_is_found() -> None:
    rng = np.random.default_rng(1)
    one, other = _autoregressive(rng, 130, 0.5), [1.2 * each for each in _autoregressive(rng, 130, 0.5)]
    low, high = ratio([one], [other]).interval or (0, 0)
    assert 1 < low < 1.2 < high
    assert BATCHES * 2 == LEAST


def test_two_intervals_make_one_as_errors_add_in_squares() -> None:
    found = ratio_of_estimates((10.0, (10 / 1.03, 10 * 1.03)), (12.0, (12 / 1.04, 12 * 1.04)))
    reach = np.hypot(np.log(1.03), np.log(1.04))
    assert found == Ratio(pytest.approx(1.2), (pytest.approx(1.2 * np.exp(-reach)), pytest.approx(1.2 * np.exp(reach))))
