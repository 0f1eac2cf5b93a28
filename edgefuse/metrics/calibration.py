"""Whether probabilities are as sure as they are right."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgefuse.metrics.classification import Doubles, Labels, ratio

BINS = 10
SIMULATIONS = 1000
SMALLEST = float(np.finfo(np.float64).eps)
"""No probability counts as less in the log loss, as in scikit-learn: one surprise must not be infinite."""


class Claims(NamedTuple):
    """What probabilities claim, in the form that reliability is judged in.

    A row claims that its likeliest class is right; a multilabel row claims of each class that it holds (m = n K).
    """

    chance: Doubles
    """(m,): how likely the claim is said to be"""
    right: NDArray[np.bool_]
    """(m,): whether it is true"""


class Reliability(NamedTuple):
    """Claims in bins of equal width: bin b holds chances from b / bins up to (b + 1) / bins."""

    rows: Labels
    """(bins,)"""
    chance: Doubles
    """(bins,): the mean claimed; NaN in an empty bin"""
    accuracy: Doubles
    """(bins,): the share that is right; NaN in an empty bin"""


def claims(probabilities: Doubles, labels: Labels) -> Claims:
    """The claims of probabilities (n, K) about labels (n,), or (n, K) of multilabel rows."""
    if labels.ndim == 2:
        return Claims(probabilities.ravel(), labels.ravel() == 1)
    best = probabilities.argmax(axis=1)  # (n,)
    return Claims(np.take_along_axis(probabilities, best[:, None], axis=1)[:, 0], best == labels)


def reliability(given: Claims, bins: int = BINS) -> Reliability:
    """How right the claims of each bin are (DeGroot and Fienberg 1983)."""
    place = _bins(given.chance, bins)
    rows = np.bincount(place, minlength=bins)
    chance, right = (np.bincount(place, values, bins).astype(np.float64) for values in given)  # (bins,): sums
    return Reliability(rows, ratio(chance, rows), ratio(right, rows))


def calibration_error(bins: Reliability) -> float:
    """ECE: mean over claims of the distance in their bin between mean chance and share right (Guo et al. 2017)."""
    distance = np.nan_to_num(np.abs(bins.chance - bins.accuracy))  # (bins,)
    return float((bins.rows * distance).sum() / bins.rows.sum())


def worlds(
    probabilities: Doubles, units: NDArray[np.str_], *, multilabel: bool, seed: int, count: int = SIMULATIONS
) -> Doubles:
    """How many claims of each bin are right (count, bins) in worlds in which the probabilities (n, K) are exact.

    In each world labels are drawn from the probabilities (consistency resampling, Bröcker and Smith 2007), by one
    number for each of the `units` (n,): rows that have one label, as pictures of one lesion do, share their luck.
    """
    names, unit = np.unique(units, return_inverse=True)  # (n,)
    rng = np.random.default_rng(seed)
    if multilabel:
        low, high, chance = np.zeros_like(probabilities), probabilities, probabilities  # (n, K)
    else:  # each class has a stretch of [0, 1] as long as its probability; the likeliest is what is claimed
        best = probabilities.argmax(axis=1)[:, None]  # (n, 1)
        ends = np.cumsum(probabilities, axis=1)  # (n, K)
        high = np.take_along_axis(ends, best, axis=1)  # (n, 1)
        chance = np.take_along_axis(probabilities, best, axis=1)  # (n, 1)
        low = high - chance
    place = _bins(chance.ravel(), BINS)  # (m,): of the very chance that is claimed, not of high - low, which is rounded
    right = np.empty((count, BINS))
    for world in range(count):
        luck = rng.random((len(names), chance.shape[1]))[unit]  # (n, 1) or (n, K)
        right[world] = np.bincount(place[((low <= luck) & (luck < high)).ravel()], minlength=BINS)
    return right


def chance_errors(bins: Reliability, right: Doubles) -> Doubles:
    """The calibration errors (count,) of worlds with so many right claims in each bin (count, bins).

    ECE is above 0 by chance alone, and the more so the fewer the rows.
    """
    claimed = np.nan_to_num(bins.chance) * bins.rows  # (bins,)
    return np.asarray(np.abs(right - claimed).sum(axis=1) / bins.rows.sum())


def brier_scores(probabilities: Doubles, truth: Labels, *, multilabel: bool = False) -> Doubles:
    """Of each row (n,) the sum over classes of (probability - truth)^2, between 0 and 2 (Brier 1950).

    Truth (n, K) is 1 where the row has the class. Of multilabel rows it is the mean over classes, between 0 and 1.
    """
    squares = (probabilities - truth) ** 2  # (n, K)
    return np.asarray(squares.mean(axis=1) if multilabel else squares.sum(axis=1))


def log_losses(probabilities: Doubles, truth: Labels, *, multilabel: bool = False) -> Doubles:
    """Of each row (n,) minus the logarithm of the probability of what is true; multilabel: the mean over classes."""
    told = np.where(truth == 1, probabilities, 1 - probabilities)  # (n, K)
    surprise = -np.log(np.clip(told, SMALLEST, 1))  # (n, K)
    return np.asarray(surprise.mean(axis=1) if multilabel else (surprise * truth).sum(axis=1))


def _bins(chance: Doubles, bins: int) -> Labels:
    return np.minimum((chance * bins).astype(np.int64), bins - 1)  # (m,)
