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
    assert calibration.calibration_error(made) == pytest.approx((bins.rows * distance).sum() / 500)
    by_hand = Claims(np.array([0.95, 0.95, 0.55, 1.0]), np.array([True, False, True, True]))
    assert calibration.calibration_error(by_hand) == pytest.approx((abs(2.9 - 2) + 0.45) / 4)


def test_a_calibrated_model_lies_within_what_chance_gives_and_a_too_sure_one_outside() -> None:
    ids = np.arange(800).astype(str)
    for sharpness, is_calibrated in ((1.0, True), (2.0, False)):
        probabilities, labels = drawn(800, sharpness=sharpness)
        errors = calibration.chance_errors(probabilities, ids, multilabel=False, seed=0, count=300)
        low, high = np.quantile(errors, [0.005, 0.995])
        found = calibration.calibration_error(calibration.claims(probabilities, labels))
        assert bool(low < found < high) == is_calibrated


def test_chance_gives_more_with_fewer_rows_and_when_rows_are_of_the_same_samples() -> None:
    probabilities, _ = drawn(400)

    def mean(chances: Doubles, ids: Labels) -> float:
        errors = calibration.chance_errors(chances, ids.astype(str), multilabel=False, seed=0, count=200)
        return float(errors.mean())

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
    errors = calibration.chance_errors(probabilities, np.arange(300).astype(str), multilabel=True, seed=0, count=300)
    assert np.quantile(errors, 0.005) < calibration.calibration_error(made) < np.quantile(errors, 0.995)


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
