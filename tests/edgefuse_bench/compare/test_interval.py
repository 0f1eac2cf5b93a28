"""Ratios of medians and their intervals: against scipy, and on noise whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgefuse_bench.compare.interval import LEAST, Ratio, in_turn, processes, ratio, ratio_of_values
from edgefuse_bench.result import Query
from edgefuse_bench.spread import of_neighbours


def runs(make_result, *values: list[float], scenario: str = "SingleStream"):
    """Results whose queries took these times, one a minute from noon on: those of two sides are measured in turn."""
    made = make_result()
    return [
        replace(
            made,
            scenario=scenario,
            started=f"2026-01-01T12:{minute:02}:00+00:00",
            queries=tuple(Query(0, value, {}, process=0) for value in each),
        )
        for minute, each in enumerate(values)
    ]


def median(queries) -> float:
    return float(np.median([query.total_ns for query in queries]))


def test_the_ratio_is_of_the_figures(make_result) -> None:
    sides = [runs(make_result, [100] * 20 + [900] * 15), runs(make_result, [150] * 20 + [5] * 15)]
    assert ratio(*sides, median).value == pytest.approx(1.5)


def test_several_processes_in_turn_give_scipys_interval_of_two_means(make_result) -> None:
    stats = pytest.importorskip("scipy.stats", reason="the reference for the interval")
    baseline, candidate = [100.0, 103.0, 98.0], [110.0, 117.0, 112.0, 108.0]
    sides = [runs(make_result, *([value] * 3 for value in side)) for side in (baseline, candidate)]
    expected = stats.ttest_ind(np.log(candidate), np.log(baseline)).confidence_interval(0.95)
    assert ratio(*sides, median).interval == pytest.approx((np.exp(expected.low), np.exp(expected.high)), rel=1e-9)
    assert ratio_of_values(baseline, candidate, turns=True) == ratio(*sides, median)


def test_one_side_after_the_other_is_as_far_apart_as_neighbours_are(make_result) -> None:
    baseline, candidate = [100.0, 103.0, 98.0], [110.0, 117.0, 112.0]
    made = runs(make_result, *([value] * 3 for value in (*baseline, *candidate)))
    before, after = made[:3], made[3:]
    assert not in_turn(before, after)
    assert in_turn(made[::2], made[1::2])
    found = ratio(before, after, median)
    assert found == ratio_of_values(baseline, candidate, turns=False)
    wide, narrow = (np.log(each.interval) for each in (found, ratio_of_values(baseline, candidate, turns=True)))
    assert np.ptp(wide) / np.ptp(narrow) == pytest.approx(np.sqrt(of_neighbours(3) / (2 / 3)))


def test_processes_of_one_result_count_as_those_of_several(make_result) -> None:
    one = make_result(processes=4)
    parts = [replace(one, queries=one.queries[k : k + 16]) for k in range(0, 64, 16)]
    assert [len(queries) for queries in processes([one])] == [16] * 4
    other = [make_result(seed=1, median_ms=110)]
    assert ratio([one], other, median) == ratio(parts, other, median)


def test_every_cold_start_is_a_witness(make_result) -> None:
    one, other = (make_result(scenario="Cold", queries=8, processes=8, seed=seed) for seed in (1, 2))
    values = [[query.total_ns for query in result.queries] for result in (one, other)]
    assert ratio([one], [other], median) == ratio_of_values(*values, turns=False)
    assert ratio([one], [other], median).interval is not None


def test_one_run_borrows_the_spread_of_the_others_runs(make_result) -> None:
    sides = [runs(make_result, [100] * 64), runs(make_result, [110] * 64, [130] * 64, [120] * 64)]
    low, high = ratio(*sides, median).interval
    assert low < 1 < high  # constant within each run, 9 % from run to run


def test_too_few_queries_have_no_interval(make_result) -> None:
    few, many, doubled = (runs(make_result, [ns] * n) for ns, n in ((1, LEAST - 1), (1, LEAST), (2, LEAST)))
    assert ratio(few, doubled, median) == Ratio(1, 2, None)
    assert ratio(many, doubled, median).interval == (pytest.approx(2), pytest.approx(2))
    assert ratio_of_values([1.0], [2.0], turns=True) == Ratio(1, 2, None)


def _autoregressive(rng: np.random.Generator, queries: int, phi: float) -> list[float]:
    """Times whose logarithm remembers the one before."""
    steps, value, out = rng.normal(0, 0.05, queries), 0.0, []
    for step in steps:
        value = phi * value + step
        out.append(100 * np.exp(value + rng.exponential(0.02)))
    return out


@pytest.mark.parametrize(("phi", "least"), [(0.0, 0.92), (0.5, 0.88), (0.8, 0.8)])
def test_two_equal_runs_are_told_apart_seldom_even_where_noise_is_correlated(make_result, phi, least) -> None:
    """Drawn with a fixed seed. An interval that took each query by itself would hold the truth far less often."""
    rng = np.random.default_rng(0)
    held = naive = 0
    for _ in range(200):
        one, other = _autoregressive(rng, 130, phi), _autoregressive(rng, 130, phi)
        low, high = ratio(runs(make_result, one), runs(make_result, other), median).interval
        held += low <= 1 <= high
        logs = np.log(one), np.log(other)
        error = 1.253 * np.sqrt(sum(log.var(ddof=1) / len(log) for log in logs))  # of a median, of normal noise
        naive += abs(np.median(logs[0]) - np.median(logs[1])) <= 1.96 * error
    assert held / 200 >= least
    assert phi == 0 or held > naive + 15


def test_a_true_difference_is_found(make_result) -> None:
    rng = np.random.default_rng(1)
    one, other = _autoregressive(rng, 130, 0.5), [1.2 * each for each in _autoregressive(rng, 130, 0.5)]
    low, high = ratio(runs(make_result, one), runs(make_result, other), median).interval
    assert 1 < low < 1.2 < high
