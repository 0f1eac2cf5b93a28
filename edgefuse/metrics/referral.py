"""What is gained by leaving the least sure answers to a clinician: accuracy against coverage."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgefuse.metrics.calibration import Claims
from edgefuse.metrics.classification import Doubles, ratio


class Kept(NamedTuple):
    """What is kept at every possible threshold, the highest first: rows of equal chance are kept together."""

    chance: Doubles
    """(m,): the lowest that is kept"""
    rows: Doubles
    """(..., m): weight of the kept rows"""
    right: Doubles
    """(..., m): and of those among them that are right"""


def kept(given: Claims, weights: NDArray[np.integer] | None = None) -> Kept:
    """The claims (n,) that every threshold keeps, for whole weights (..., n) of the rows; none: all 1."""
    weights = np.ones(len(given.chance), np.int32) if weights is None else weights  # (..., n)
    order = np.argsort(-given.chance, kind="stable")
    chance = given.chance[order]  # (n,), the surest first
    last = np.append(np.flatnonzero(np.diff(chance)), len(chance) - 1)  # (m,): the last row of each chance
    heavy = weights[..., order]  # (..., n)
    both = (heavy, heavy * given.right[order])
    rows, right = (np.cumsum(each, axis=-1, dtype=np.int32)[..., last].astype(np.float64) for each in both)  # (..., m)
    return Kept(chance[last], rows, right)


def accuracy_at(found: Kept, coverages: Doubles) -> Doubles:
    """Accuracy (..., c) of the surest share of the rows, for each share (c,) above 0.

    Where a share ends inside rows of equal chance, these count with the accuracy that they have together.
    """
    rows, right = (np.atleast_2d(each) for each in (found.rows, found.right))  # (b, m)
    accuracies = np.empty((len(rows), len(coverages)))  # (b, c)
    for line, (weight, hits) in enumerate(zip(rows, right, strict=True)):
        wanted = coverages * weight[-1]  # (c,)
        accuracies[line] = np.interp(wanted, np.append(0, weight), np.append(0, hits)) / wanted
    return accuracies.reshape(*found.rows.shape[:-1], len(coverages))


def area(found: Kept) -> Doubles:
    """Area (...,) under the risk-coverage curve (Geifman, Uziel and El-Yaniv 2019, "AURC").

    The mean over rows of the share of errors among all rows that are at least as sure.
    """
    risk = 1 - ratio(found.right, found.rows)  # (..., m)
    own = np.diff(found.rows, axis=-1, prepend=0)  # (..., m): weight of the rows of each chance
    return ratio((own * np.nan_to_num(risk)).sum(axis=-1), found.rows[..., -1])


def least_area(rows: int, right: int) -> float:
    """The area that is left where all right answers are surer than all wrong ones."""
    errors = np.arange(1, rows - right + 1)
    return float((errors / (right + errors)).sum() / rows)


def choose_threshold(given: Claims, wanted: float) -> float | None:
    """The smallest threshold whose kept claims are right as often as wanted; None where there is none.

    It lies half-way to the next chance, so that a last digit decides nothing, and is 0 where all may be kept.
    """
    found = kept(given)
    enough = np.flatnonzero(found.right >= wanted * found.rows - 1e-9)  # .55 x 100 is 55.00000000000001
    if not len(enough):
        return None
    end = enough[-1]
    if end == len(found.chance) - 1:
        return 0.0
    return float(found.chance[end] + found.chance[end + 1]) / 2
