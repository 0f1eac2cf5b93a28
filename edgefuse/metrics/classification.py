"""How good predicted classes are: figures out of a few counts that add up over rows.

A row may have one class, as a class number, or any number of classes (multilabel), as 0 and 1 (K,). The counts
of sets of rows add up, so one function gives the figures of one set (...) = () or of thousands of them at once, as
the bootstrap asks for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int64]
"""Class numbers (n,), or 0 and 1 (n, K) of multilabel rows."""
Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Figures:
    """What is reported of every head on validation rows."""

    accuracy: float
    macro_f1: float


class Counts(NamedTuple):
    """How often predictions were right, over one set of rows or over many."""

    rows: Doubles
    """(...,)"""
    right: Doubles
    """(...,): rows whose class was found; multilabel: whose every class was"""
    labelled: Doubles
    """(..., K): rows of the class"""
    predicted: Doubles
    """(..., K): rows that were predicted to be"""
    hits: Doubles
    """(..., K): rows that were both"""


def figures(labels: Labels, predicted: Labels) -> Figures:
    """Accuracy and macro-F1 of predictions (n,) or (n, K) against labels of the same shape."""
    classes = labels.shape[1] if labels.ndim == 2 else int(max(labels.max(), predicted.max())) + 1
    found = counted(labels, predicted, classes)
    return Figures(float(accuracy(found)), float(macro_f1(found)))


def majority(training_labels: Labels, labels: Labels) -> Figures:
    """The baseline that always answers the class most frequent in training (the first of equals).

    Of multilabel rows it answers every class that at least half of the training rows have.
    """
    answer = decide(frequencies(training_labels, 0), multilabel=labels.ndim == 2)
    return figures(labels, np.broadcast_to(answer, labels.shape))


def frequencies(labels: Labels, classes: int) -> Doubles:
    """The share (K,) of the rows that have each of at least so many classes."""
    if labels.ndim == 2:
        return np.asarray(labels.mean(axis=0))
    return np.bincount(labels, minlength=classes) / len(labels)


def decide(probabilities: NDArray[np.floating], *, multilabel: bool = False) -> Labels:
    """The classes (n,) of highest probability (n, K); multilabel: 1 (n, K) where it is .5 or more."""
    if multilabel:
        return (probabilities >= 0.5).astype(np.int64)
    return np.asarray(probabilities.argmax(axis=-1), np.int64)


def holds(labels: Labels, classes: int) -> Labels:
    """1 (n, K) where the row has the class."""
    return labels if labels.ndim == 2 else (labels[:, None] == np.arange(classes)).astype(np.int64)


def outcomes(labels: Labels, predicted: Labels, classes: int) -> Doubles:
    """What each row adds to the counts (n, 2 + 3 K): their sum over any rows is what `count` takes apart."""
    truth, said = holds(labels, classes), holds(predicted, classes)  # (n, K)
    right = (truth == said).all(axis=1)  # (n,)
    return np.column_stack([np.ones(len(truth)), right, truth, said, truth & said]).astype(np.float64)


def counted(labels: Labels, predicted: Labels, classes: int) -> Counts:
    """The counts of one set of rows."""
    return count(outcomes(labels, predicted, classes).sum(axis=0))


def count(totals: Doubles) -> Counts:
    """The counts in sums (..., 2 + 3 K) of `outcomes`."""
    rows, right = totals[..., 0], totals[..., 1]  # (...,)
    labelled, predicted, hits = np.split(totals[..., 2:], 3, axis=-1)  # each (..., K)
    return Counts(rows, right, labelled, predicted, hits)


def accuracy(counts: Counts) -> Doubles:
    """Share (...,) of rows answered rightly; of multilabel ones, those without any wrong class."""
    return ratio(counts.right, counts.rows)


def recall(counts: Counts) -> Doubles:
    """Share (..., K) of the rows of a class that were found; NaN where there are none."""
    return ratio(counts.hits, counts.labelled)


def balanced_accuracy(counts: Counts, *, multilabel: bool = False) -> Doubles:
    """Mean (...,) of the recalls of all classes that there are rows of.

    Of a multilabel class it is the mean of its recall and of the recall of its absence.
    """
    found = recall(counts)  # (..., K)
    if multilabel:
        others = counts.rows[..., None] - counts.labelled  # (..., K): rows without the class
        wrong = counts.predicted - counts.hits
        found = (found + ratio(others - wrong, others)) / 2
    return mean_of_known(found)


def class_f1(counts: Counts) -> Doubles:
    """F1 = 2 tp / (2 tp + fp + fn) of each class (..., K); NaN for a class neither labelled nor predicted."""
    return ratio(2 * counts.hits, counts.labelled + counts.predicted)


def macro_f1(counts: Counts) -> Doubles:
    """Mean (...,) over classes of F1; classes neither labelled nor predicted are out."""
    return mean_of_known(class_f1(counts))


def confusion(labels: Labels, predicted: Labels, classes: int) -> Labels:
    """How many rows of class i were predicted as class j (K, K).

    Of multilabel rows a matrix for each class (K, 2, 2): row and column 1 stand for the class, 0 for its absence.
    """
    if labels.ndim == 1:
        return np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)
    return np.stack([confusion(labels[:, k], predicted[:, k], 2) for k in range(classes)])


def mean_of_known(values: Doubles) -> Doubles:
    """Mean (...,) over the last axis of what is not NaN; NaN where all is."""
    known = ~np.isnan(values)  # (..., K)
    return ratio(np.where(known, values, 0).sum(axis=-1), known.sum(axis=-1))


def ratio(part: NDArray[np.floating], whole: NDArray[np.floating] | Labels) -> Doubles:
    """part / whole, NaN where whole is 0."""
    part, whole = np.broadcast_arrays(np.asarray(part, np.float64), whole)
    result: Doubles = np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
    return result
