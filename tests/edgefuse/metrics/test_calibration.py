"""Reliability, calibration error, Brier score and log loss, against scikit-learn's and against what chance gives."""

from __future__ import annotations

import numpy as np
import pytest

from edgefuse.metrics import calibration
from edgefuse.metrics.calibration import Claims
from edgefuse.metrics.classification import Doubles, Labels, holds

REASON = "compares with scikit-learn, not installed"


def drawn(n: int, classes: int = 3, sharpness: float = 1.0) -> tuple[Doubles, Labels]:
    """Probabilities, and labels that come true as often as they say; a sharpness above 1 makes them too sure."""
    rng = np.random.default_rng(n)
    logits = rng.normal(size=(n, classes)) * 2
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (rng.random(n)[:, None] > chances.cumsum(axis=1)).sum(axis=1)
    powers = np.exp(logits * sharpness)
    return powers / powers.sum(axis=1, keepdims=True), labels


def test_the_bins_are_those_of_scikit_learns_calibration_curve() -> None:
    reference = pytest.importorskip("sklearn.calibration", reason=REASON)
    made = calibration.claims(*drawn(500))
    found = calibration.reliability(made)
    right, chance = reference.calibration_curve(made.right, made.chance, n_bins=calibration.BINS)
    known = found.rows > 0
    np.testing.assert_allclose(found.accuracy[known], right)
    np.testing.assert_allclose(found.chance[known], chance)
    assert found.rows.sum() == 500
    assert np.isnan(found.chance[~known]).all()


def test_the_calibration_error_is_the_distance_weighted_by_rows() -> None:
    made = calibration.claims(*drawn(500))
    bins = calibration.reliability(made)
    distance = np.nan_to_num(np.abs(bins.chance - bins.accuracy))
    assert calibration.calibration_error(bins) == pytest.approx((bins.rows * distance).sum() / 500)
    by_hand = Claims(np.array([0.95, 0.95, 0.55, 1.0]), np.array([True, False, True, True]))
    assert calibration.calibration_error(calibration.reliability(by_hand)) == pytest.approx((abs(2.9 - 2) + 0.45) / 4)


def test_a_calibrated_model_lies_within_what_chance_gives_and_a_too_sure_one_outside() -> None:
    ids = np.arange(800).astype(str)
    for sharpness, is_calibrated in ((1.0, True), (2.0, False)):
        probabilities, labels = drawn(800, sharpness=sharpness)
        bins = calibration.reliability(calibration.claims(probabilities, labels))
        right = calibration.worlds(probabilities, ids, multilabel=False, seed=0, count=300)
        low, high = np.quantile(calibration.chance_errors(bins, right), [0.005, 0.995])
        found = calibration.calibration_error(bins)
        assert bool(low < found < high) == is_calibrated


def test_in_every_world_a_bin_is_right_as_often_as_a_coin_of_its_chance() -> None:
    probabilities = np.tile([0.75, 0.25], (400, 1))
    right = calibration.worlds(probabilities, np.arange(400).astype(str), multilabel=False, seed=0, count=2000)
    assert right[:, 7].mean() == pytest.approx(300, abs=1)
    assert right[:, 7].std() == pytest.approx(np.sqrt(400 * 0.75 * 0.25), rel=0.05)
    assert right.sum() == right[:, 7].sum()


def test_chance_gives_more_with_fewer_rows_and_when_rows_are_of_the_same_samples() -> None:
    probabilities, _ = drawn(400)

    def mean(chances: Doubles, ids: Labels) -> float:
        bins = calibration.reliability(calibration.claims(chances, np.zeros(len(chances), np.int64)))
        right = calibration.worlds(chances, ids.astype(str), multilabel=False, seed=0, count=200)
        return float(calibration.chance_errors(bins, right).mean())

    fewer, all_rows = mean(probabilities[:100], np.arange(100)), mean(probabilities, np.arange(400))
    repeated = mean(np.tile(probabilities[:100], (4, 1)), np.tile(np.arange(100), 4))
    assert fewer == pytest.approx(2 * all_rows, rel=0.25)
    assert repeated == pytest.approx(fewer, rel=0.1)


def test_multilabel_rows_claim_every_class() -> None:
    rng = np.random.default_rng(0)
    probabilities = rng.random((300, 4))
    labels = (rng.random((300, 4)) < probabilities).astype(np.int64)
    made = calibration.claims(probabilities, labels)
    assert made.chance.shape == (1200,)
    bins = calibration.reliability(made)
    right = calibration.worlds(probabilities, np.arange(300).astype(str), multilabel=True, seed=0, count=300)
    low, high = np.quantile(calibration.chance_errors(bins, right), [0.005, 0.995])
    assert low < calibration.calibration_error(bins) < high


@pytest.mark.parametrize("classes", [2, 5])
def test_brier_and_log_loss_are_scikit_learns(classes: int) -> None:
    reference = pytest.importorskip("sklearn.metrics", reason=REASON)
    probabilities, labels = drawn(200, classes)
    truth = holds(labels, classes)
    brier = calibration.brier_scores(probabilities, truth)
    each = [reference.brier_score_loss(truth[:, k], probabilities[:, k]) for k in range(classes)]
    assert brier.mean() == pytest.approx(sum(each))
    assert calibration.log_losses(probabilities, truth).mean() == pytest.approx(
        reference.log_loss(labels, probabilities)
    )


def test_multilabel_brier_and_log_loss_are_means_over_classes_of_scikit_learns() -> None:
    reference = pytest.importorskip("sklearn.metrics", reason=REASON)
    rng = np.random.default_rng(1)
    truth, probabilities = rng.integers(0, 2, (100, 3)), rng.random((100, 3))
    for ours, theirs in (
        (calibration.brier_scores, reference.brier_score_loss),
        (calibration.log_losses, reference.log_loss),
    ):
        each = [theirs(truth[:, k], probabilities[:, k]) for k in range(3)]
        assert ours(probabilities, truth, multilabel=True).mean() == pytest.approx(np.mean(each))


def test_a_certain_error_costs_much_but_not_without_end() -> None:
    loss = calibration.log_losses(np.array([[1.0, 0.0]]), np.array([[0, 1]]))
    assert loss[0] == pytest.approx(36.04, abs=0.01)
