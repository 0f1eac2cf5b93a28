"""How well probabilities order rows: the area under the ROC curve."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgefuse.metrics.classification import Doubles, Labels, ratio


class Ranking(NamedTuple):
    """Positive and negative rows by score, lowest first."""

    positives: Labels
    """(p,): row numbers"""
    negatives: Labels
    """(q,): row numbers"""
    lower: Labels
    """(p,): how many negatives have a lower score than each positive"""
    not_higher: Labels
    """(p,): and how many a lower or an equal one"""


def class_auroc(truth: Labels, probabilities: Doubles, weights: Iterable[NDArray[np.integer]]) -> Doubles:
    """AUROC (b, K) of each class against all others, for whole weights of the rows (n, K), some lines at a time.

    NaN for a class that all rows have, or none.
    """
    rankings = [rank(have == 1, scores) for have, scores in zip(truth.T, probabilities.T, strict=True)]
    return np.concatenate([np.column_stack([auroc(each, block) for each in rankings]) for block in weights])


def rank(positive: NDArray[np.bool_], scores: Doubles) -> Ranking:
    """The ranking of rows by their scores (n,)."""
    order = np.argsort(scores, kind="stable")
    positives, negatives = order[positive[order]], order[~positive[order]]
    lower, not_higher = (np.searchsorted(scores[negatives], scores[positives], side) for side in ("left", "right"))
    return Ranking(positives, negatives, lower, not_higher)


def auroc(ranking: Ranking, weights: NDArray[np.integer]) -> Doubles:
    """Chance (b,) that a positive row has a higher score than a negative one; equal scores count half.

    The Mann-Whitney form of the area under the curve (Hanley and McNeil 1982), with whole weights (b, n) of the rows:
    whole numbers are summed some ten times faster than others.
    """
    passed = np.zeros((len(weights), len(ranking.negatives) + 1), np.int32)  # (b, q + 1): weight of the lowest ones
    np.cumsum(np.take(weights, ranking.negatives, axis=1), axis=1, dtype=np.int32, out=passed[:, 1:])
    won = np.take(passed, ranking.lower, axis=1) + np.take(passed, ranking.not_higher, axis=1)  # (b, p): twice
    heavy = np.take(weights, ranking.positives, axis=1)  # (b, p)
    wins = (heavy * won).sum(axis=1, dtype=np.float64) / 2  # (b,)
    return ratio(wins, heavy.sum(axis=1, dtype=np.float64) * passed[:, -1])
