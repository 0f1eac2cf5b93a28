"""Figures against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest

from edgefuse.metrics import classification as metrics


@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("n", [1, 5, 200])
def test_figures_are_scikit_learns(classes: int, n: int) -> None:
    reference = pytest.importorskip("sklearn.metrics", reason="compares with scikit-learn, not installed")
    rng = np.random.default_rng(n)
    labels, predicted = rng.integers(0, classes, n), rng.integers(0, classes, n)
    found = metrics.figures(labels, predicted)
    assert found.accuracy == pytest.approx(reference.accuracy_score(labels, predicted))
    wanted = reference.f1_score(labels, predicted, average="macro", zero_division=0)
    assert found.macro_f1 == pytest.approx(wanted)


def test_the_majority_is_that_of_the_training_rows() -> None:
    training, labels = np.array([2, 2, 0]), np.array([0, 0, 0, 2])
    found = metrics.majority(training, labels)
    assert found.accuracy == 0.25
    assert found.macro_f1 == pytest.approx((0 + 2 / 5) / 2)
