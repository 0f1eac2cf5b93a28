"""Ratios, their intervals, and distances between vectors."""

from __future__ import annotations

import numpy as np
import pytest

from edgefuse_bench.peers.figures import (
    closeness,
    distances,
    median_interval,
    round_ratios,
    same_share,
    spread,
)


def test_ratios_are_taken_round_by_round() -> None:
    """A machine that is twice as slow in a round is so for both."""
    assert round_ratios([[10, 20], [20, 40]], [[5, 5], [10, 10]]) == [3.0, 3.0]


@pytest.mark.parametrize(
    ("count", "ranks"),
    [(6, (1, 6)), (10, (2, 9)), (15, (4, 12)), (20, (6, 15)), (30, (10, 21)), (50, (18, 33))],
)
def test_interval_has_the_ranks_of_printed_tables(count: int, ranks: tuple[int, int]) -> None:
    """As in tables of the sign test's 95 % interval for a median."""
    values = [float(rank) for rank in range(1, count + 1)]
    assert median_interval(values[::-1]) == ranks


def test_five_values_give_no_interval() -> None:
    assert median_interval([1, 2, 3, 4, 5]) is None
    assert spread([1, 2, 4]) == {"median": 2, "interval": None}


def test_interval_holds_the_median_in_19_of_20_draws() -> None:
    draws = np.random.default_rng(0).lognormal(size=(2000, 16))  # median 1
    held = [low <= 1 <= high for low, high in map(median_interval, draws.tolist())]
    assert 0.94 < np.mean(held) < 0.99


def test_distance_is_one_minus_the_cosine_after_the_mean_is_subtracted() -> None:
    rng = np.random.default_rng(1)
    reference = rng.normal(size=(9, 5)).astype(np.float32) + 100  # a large common part, which a plain cosine is about
    near = reference + rng.normal(scale=0.1, size=reference.shape).astype(np.float32)
    a, b = (rows.astype(np.float64) - reference.astype(np.float64).mean(axis=0) for rows in (near, reference))
    cosines = [x @ y / np.linalg.norm(x) / np.linalg.norm(y) for x, y in zip(a, b, strict=True)]

    found = closeness(near, reference)

    assert distances(near, reference) == pytest.approx(1 - np.array(cosines))
    assert found["mean"] == pytest.approx(1 - np.mean(cosines))
    assert found["standard_error"] == pytest.approx(np.std(cosines, ddof=1) / 3)
    assert found["samples"] == 9
    assert closeness(reference, reference)["mean"] == 0


def test_answers_are_compared_one_by_one() -> None:
    assert same_share([("nv",), ("mel",), ()], [("nv",), ("bcc",), ()]) == {"share": 2 / 3, "samples": 3}
