"""How good predictions are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Figures:
    """What is reported of every head."""

    accuracy: float
    macro_f1: float


def figures(labels: Labels, predicted: Labels) -> Figures:
    """Accuracy and macro-F1 of predicted class numbers (n,) against the true ones (n,)."""
    return Figures(accuracy(labels, predicted), macro_f1(labels, predicted))


def accuracy(labels: Labels, predicted: Labels) -> float:
    """Share of rows whose class was found."""
    return float(np.mean(labels == predicted))


def macro_f1(labels: Labels, predicted: Labels) -> float:
    """Mean over classes of F1; classes neither labelled nor predicted are out."""
    return float(np.nanmean(class_f1(labels, predicted, int(max(labels.max(), predicted.max())) + 1)))


def class_f1(labels: Labels, predicted: Labels, classes: int) -> NDArray[np.float64]:
    """F1 = 2 tp / (2 tp + fp + fn) of each class (K,); NaN for a class neither labelled nor predicted."""
    hits = np.bincount(labels[labels == predicted], minlength=classes)  # (K,)
    both = np.bincount(labels, minlength=classes) + np.bincount(predicted, minlength=classes)  # (K,): 2 tp + fp + fn
    f1: NDArray[np.float64] = np.divide(2 * hits, both, out=np.full(classes, np.nan), where=both > 0)  # (K,)
    return f1


def majority(training_labels: Labels, labels: Labels) -> Figures:
    """The baseline that always answers the class most frequent in training (the first of equals)."""
    return figures(labels, np.full_like(labels, np.bincount(training_labels).argmax()))
