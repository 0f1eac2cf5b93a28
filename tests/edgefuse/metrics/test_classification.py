"""Figures against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest

from edgefuse.metrics import classification as metrics

REASON = "compares with scikit-learn, not installed"


def drawn(n: int, classes: int, *, multilabel: bool = False) -> tuple[metrics.Labels, metrics.Labels]:
    rng = np.random.default_rng(n)
    shape = (n, classes) if multilabel else (n,)
    return tuple(rng.integers(0, 2 if multilabel else classes, shape) for _ in range(2))  # type: ignore[return-value]


@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("n", [1, 5, 200])
def test_figures_are_scikit_learns(classes: int, n: int) -> None:
    reference = pytest.importorskip("sklearn.metrics", reason=REASON)
    labels, predicted = drawn(n, classes)
    found = metrics.figures(labels, predicted)
    assert found.accuracy == pytest.approx(reference.accuracy_score(labels, predicted))
    wanted = reference.f1_score(labels, predicted, average="macro", zero_division=0)
    assert found.macro_f1 == pytest.approx(wanted)


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
@pytest.mark.parametrize("classes", [2, 3, 7])
@pytest.mark.parametrize("n", [5, 200])
def test_balanced_accuracy_class_f1_and_confusion_are_scikit_learns(classes: int, n: int) -> None:
    reference = pytest.importorskip("sklearn.metrics", reason=REASON)
    labels, predicted = drawn(n, classes)
    found = metrics.counted(labels, predicted, classes)
    assert metrics.balanced_accuracy(found) == pytest.approx(reference.balanced_accuracy_score(labels, predicted))
    each = list(range(classes))
    f1 = reference.f1_score(labels, predicted, average=None, labels=each, zero_division=np.nan)
    np.testing.assert_allclose(metrics.class_f1(found), f1)
    matrix = reference.confusion_matrix(labels, predicted, labels=each)
    np.testing.assert_array_equal(metrics.confusion(labels, predicted, classes), matrix)


@pytest.mark.parametrize("n", [20, 200])
def test_multilabel_figures_are_scikit_learns(n: int) -> None:
    reference = pytest.importorskip("sklearn.metrics", reason=REASON)
    labels, predicted = drawn(n, 3, multilabel=True)
    found = metrics.figures(labels, predicted)
    assert found.accuracy == pytest.approx(reference.accuracy_score(labels, predicted))
    assert found.macro_f1 == pytest.approx(reference.f1_score(labels, predicted, average="macro", zero_division=0))
    classes = [reference.balanced_accuracy_score(labels[:, k], predicted[:, k]) for k in range(3)]
    balanced = metrics.balanced_accuracy(metrics.counted(labels, predicted, 3), multilabel=True)
    assert balanced == pytest.approx(np.mean(classes))
    matrices = reference.multilabel_confusion_matrix(labels, predicted)
    np.testing.assert_array_equal(metrics.confusion(labels, predicted, 3), matrices)


def test_counts_of_many_sets_give_the_figures_of_each() -> None:
    labels, predicted = drawn(60, 3)
    columns = metrics.outcomes(labels, predicted, 3)
    together = metrics.macro_f1(metrics.count(np.stack([columns[:20].sum(axis=0), columns[20:].sum(axis=0)])))
    apart = [metrics.figures(labels[rows], predicted[rows]).macro_f1 for rows in (slice(20), slice(20, None))]
    np.testing.assert_allclose(together, apart)


def test_a_class_that_nobody_has_or_says_has_no_f1() -> None:
    found = metrics.class_f1(metrics.counted(np.array([0, 0, 2]), np.array([0, 2, 2]), 4))
    np.testing.assert_array_equal(np.isnan(found), [False, True, False, True])


def test_the_majority_is_that_of_the_training_rows() -> None:
    training, labels = np.array([2, 2, 0]), np.array([0, 0, 0, 2])
    found = metrics.majority(training, labels)
    assert found.accuracy == 0.25
    assert found.macro_f1 == pytest.approx((0 + 2 / 5) / 2)


def test_the_multilabel_majority_is_every_class_that_half_of_the_training_rows_have() -> None:
    training = np.array([[1, 0, 0], [1, 1, 0], [1, 1, 1], [0, 0, 0]])
    labels = np.array([[1, 1, 0], [0, 1, 0]])
    found = metrics.majority(training, labels)
    assert found.accuracy == 0.5
    assert found.macro_f1 == pytest.approx((2 / 3 + 1) / 2)
