"""Class weights and losses; their gradients are compared with torch's in test_trainer."""

from __future__ import annotations

import numpy as np
import pytest

from edgefuse.training import losses


def test_weights_are_inverse_to_counts() -> None:
    labels = np.array([0, 0, 0, 1, 2, 2])
    np.testing.assert_allclose(losses.class_weights(labels, 3), [6 / 9, 6 / 3, 6 / 6])


def test_multilabel_weights_let_a_class_and_its_absence_pull_alike() -> None:
    labels = np.array([[1, 0], [0, 1], [0, 1], [0, 1]])
    np.testing.assert_allclose(losses.class_weights(labels, 2), [[4 / 6, 4 / 2], [4 / 2, 4 / 6]])
    _, slope = losses.loss(np.zeros((4, 2), np.float32), labels, losses.class_weights(labels, 2))
    assert np.abs(slope).min() > 0.01
    np.testing.assert_allclose(slope.sum(axis=0), [0, 0], atol=1e-7)


@pytest.mark.parametrize("outputs", [1, 2])
def test_weights_act_on_two_classes_too(outputs: int) -> None:
    logits = np.zeros((4, outputs), np.float32)
    labels = np.array([0, 0, 0, 1])
    _, plain = losses.loss(logits, labels, np.ones(2, np.float32))
    _, weighted = losses.loss(logits, labels, losses.class_weights(labels, 2))
    assert abs(plain[:, -1].sum()) > 0.1
    assert weighted[:, -1].sum() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("outputs", [1, 2, 5])
def test_the_slope_is_the_derivative(outputs: int) -> None:
    rng = np.random.default_rng(0)
    classes = max(outputs, 2)
    logits, labels = rng.normal(size=(6, outputs)), rng.integers(0, classes, 6)
    weights = rng.uniform(0.5, 2, classes)
    _, slope = losses.loss(logits, labels, weights)
    for place in np.ndindex(*logits.shape):
        moved = np.zeros_like(logits)
        moved[place] = 1e-5
        up, down = (losses.loss(logits + sign * moved, labels, weights)[0] for sign in (1, -1))
        assert slope[place] == pytest.approx((up - down) / 2e-5, abs=1e-6)


def test_the_multilabel_slope_is_the_derivative() -> None:
    rng = np.random.default_rng(0)
    logits, labels, weights = rng.normal(size=(6, 3)), rng.integers(0, 2, (6, 3)), rng.uniform(0.5, 2, (2, 3))
    _, slope = losses.loss(logits, labels, weights)
    for place in np.ndindex(*logits.shape):
        moved = np.zeros_like(logits)
        moved[place] = 1e-5
        up, down = (losses.loss(logits + sign * moved, labels, weights)[0] for sign in (1, -1))
        assert slope[place] == pytest.approx((up - down) / 2e-5, abs=1e-6)


def test_extreme_logits_stay_finite() -> None:
    value, slope = losses.loss(np.array([[-500.0]], np.float32), np.array([1]), np.ones(2, np.float32))
    assert value == pytest.approx(500)
    assert np.isfinite(slope).all()
    value, slope = losses.loss(np.array([[-500.0]], np.float32), np.array([[1]]), np.ones((2, 1), np.float32))
    assert value == pytest.approx(500)
    assert np.isfinite(slope).all()
