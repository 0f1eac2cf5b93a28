"""What is made of a sweep's numbers: expected maxima, spread, the choice of a shift."""

from __future__ import annotations

import numpy as np
import pytest

from edgefuse.sweep import choice
from edgefuse.sweep.cells import Cell, Result
from edgefuse.sweep.choice import Curve, Noise, by_chance, choose, curve, expected_maximum, judge


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


def test_curves_of_pure_noise_peak_about_where_noise_is_said_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a seed does to all shifts alike lifts no shift above the others, but every single run."""
    monkeypatch.setattr(choice, "by_chance", lambda values: 1.0)  # has a test of its own, and would take half a minute
    rng = np.random.default_rng(1)
    values = 0.6 + 0.01 * rng.normal(size=(2000, 1, 5)) + 0.007 * rng.normal(size=(2000, 21, 5))
    curves = [curve(each) for each in values]
    assert np.mean([c.noise.residual for c in curves if c.noise]) == pytest.approx(0.007, rel=0.02)
    assert np.mean([c.noise.deviation for c in curves if c.noise]) == pytest.approx(np.hypot(0.01, 0.007), rel=0.05)
    peaks = [c.mean.max() - c.mean.mean() - c.noise.lead for c in curves if c.noise]
    assert np.mean(peaks) == pytest.approx(0, abs=0.0002)
    single = 0.6 + np.hypot(0.01, 0.007) * rng.normal(size=(2000, 21))
    wanted = np.mean([c.noise.of_single_runs for c in curves if c.noise])
    assert single.max(axis=1).mean() == pytest.approx(wanted, abs=0.001)


def test_deviations_are_those_of_an_analysis_of_variance() -> None:
    values = np.array([[1.0, 3.0, 8.0], [2.0, 6.0, 7.0]])
    found = curve(values)
    np.testing.assert_allclose(found.mean, [4, 5])
    np.testing.assert_allclose(found.deviation, [np.sqrt(13), np.sqrt(7)])
    assert found.noise is not None
    assert found.noise.deviation == pytest.approx(np.sqrt(10))
    difference = values[1] - values[0]  # with two shifts, the residual is that of the paired difference
    assert found.noise.residual == pytest.approx(difference.std(ddof=1) / np.sqrt(2))
    assert found.noise.of_single_runs == pytest.approx(4.5 + np.sqrt(10 / np.pi))
    assert found.noise.lead == pytest.approx(found.noise.residual / np.sqrt(3 * np.pi))
    assert found.noise.of_means == pytest.approx(4.5 + found.noise.lead)


def test_chance_is_even_where_nothing_matters_and_small_where_a_shift_does() -> None:
    rng = np.random.default_rng(2)
    values = 0.01 * rng.normal(size=(150, 1, 4)) + 0.007 * rng.normal(size=(150, 7, 4))
    found = np.array([by_chance(each, 100) for each in values])
    assert [np.mean(found <= level) for level in (0.1, 0.5, 0.9)] == pytest.approx([0.1, 0.5, 0.9], abs=0.1)
    values[:, 3] += 0.02
    assert np.mean([by_chance(each, 100) <= 0.05 for each in values]) > 0.8


def _choose(means: list[float], lead: float, chance: float = 0.01) -> tuple[int, int]:
    noise = Noise(0, 0, lead, 0, 0, chance)
    return choose(np.array([-1, -0.5, 0, 0.5, 1.0]), Curve(np.array(means), np.zeros(5), noise))


def test_of_shifts_that_the_best_leads_by_chance_the_nearest_to_0_is_taken() -> None:
    assert _choose([0.5, 0.5, 0.56, 0.58, 0.6], 0.045) == (4, 2)
    assert _choose([0.5, 0.5, 0.56, 0.58, 0.6], 0.025) == (4, 3)
    assert _choose([0.5, 0.5, 0.56, 0.58, 0.6], 0.005) == (4, 4)


def test_where_chance_gives_as_much_no_shift_is_taken() -> None:
    assert _choose([0.5, 0.5, 0.56, 0.58, 0.6], 0.005, chance=0.06) == (4, 2)


def test_of_two_equally_near_the_better_is_taken() -> None:
    assert _choose([0.6, 0.59, 0.5, 0.595, 0.5], 0.05) == (0, 3)


def test_one_seed_tells_nothing_about_noise() -> None:
    found = curve(np.array([[0.5], [0.6]]))
    assert found.noise is None
    assert choose(np.array([0.0, 1.0]), found) == (1, 1)


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
