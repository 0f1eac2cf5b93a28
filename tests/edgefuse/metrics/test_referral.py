"""Accuracy against coverage, checked by counting rows one by one."""

from __future__ import annotations

import numpy as np
import pytest

from edgefuse.metrics import referral
from edgefuse.metrics.calibration import Claims

BY_HAND = Claims(np.array([0.6, 0.9, 0.5, 0.8, 0.9]), np.array([False, True, True, True, False]))
"""By chance: .9 right and wrong, .8 right, .6 wrong, .5 right."""


def drawn(n: int, decimals: int = 8) -> Claims:
    rng = np.random.default_rng(n)
    chance = np.round(rng.random(n), decimals)
    return Claims(chance, rng.random(n) < chance)


def test_rows_of_equal_chance_are_kept_together() -> None:
    found = referral.kept(BY_HAND)
    np.testing.assert_array_equal(found.chance, [0.9, 0.8, 0.6, 0.5])
    np.testing.assert_array_equal(found.rows, [2, 3, 4, 5])
    np.testing.assert_array_equal(found.right, [1, 2, 2, 3])


def test_accuracy_at_a_coverage_is_that_of_the_surest_rows() -> None:
    made = drawn(200)
    surest = made.right[np.argsort(-made.chance)]
    wanted = [surest[: round(200 * share)].mean() for share in (0.05, 0.5, 0.8, 1.0)]
    np.testing.assert_allclose(referral.accuracy_at(referral.kept(made), np.array([0.05, 0.5, 0.8, 1.0])), wanted)
    # 20 % of five rows is one of the two rows of chance .9, of which half are right
    assert referral.accuracy_at(referral.kept(BY_HAND), np.array([0.2]))[0] == pytest.approx(0.5)


@pytest.mark.parametrize("decimals", [1, 8])
def test_the_area_is_the_mean_risk_of_the_rows_at_least_as_sure(decimals: int) -> None:
    made = drawn(60, decimals)
    risks = [1 - made.right[made.chance >= chance].mean() for chance in made.chance]
    assert float(referral.area(referral.kept(made))) == pytest.approx(np.mean(risks))


def test_no_order_has_less_than_the_least_area() -> None:
    right = np.arange(50) >= 12
    best = Claims(np.linspace(0, 1, 50), right)
    assert referral.least_area(50, 38) == pytest.approx(float(referral.area(referral.kept(best))))
    assert referral.least_area(50, 50) == 0


def test_weights_count_a_row_as_often_as_they_say() -> None:
    made = drawn(40, 1)
    weights = np.random.default_rng(0).integers(0, 3, (6, 40))
    together = referral.kept(made, weights)
    for line, weight in enumerate(weights):
        rows = np.repeat(np.arange(40), weight)
        alone = referral.kept(Claims(made.chance[rows], made.right[rows]))
        assert referral.area(together)[line] == pytest.approx(float(referral.area(alone)))
        shares = np.array([0.3, 0.8])
        np.testing.assert_allclose(
            referral.accuracy_at(together, shares)[line], referral.accuracy_at(alone, shares), rtol=1e-12
        )


@pytest.mark.parametrize(
    ("wanted", "threshold"),
    [
        (0.6, 0.0),  # all five rows: 3 of 5
        (0.65, 0.7),  # the first three: 2 of 3
        (0.9, None),  # the two surest are right and wrong
    ],
)
def test_the_smallest_threshold_that_reaches_the_wanted_accuracy(wanted: float, threshold: float | None) -> None:
    assert referral.choose_threshold(BY_HAND, wanted) == pytest.approx(threshold)


def test_a_share_that_is_reached_exactly_is_enough() -> None:
    made = Claims(np.linspace(1, 0.5, 101), np.append(np.arange(100) < 55, False))  # (101,): 55 of the first 100
    assert referral.choose_threshold(made, 0.55) == pytest.approx((made.chance[99] + made.chance[100]) / 2)


def test_no_smaller_threshold_would_do() -> None:
    made = drawn(300)
    threshold = referral.choose_threshold(made, 0.9)
    assert threshold is not None
    assert made.right[made.chance >= threshold].mean() >= 0.9
    lower = np.unique(made.chance[made.chance < threshold])
    assert all(made.right[made.chance >= chance].mean() < 0.9 for chance in lower)
