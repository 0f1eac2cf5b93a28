"""How well probabilities order rows: the area under the ROC curve."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgefuse.metrics.classification import Doubles, Labels, ratio


def class_auroc(truth: Labels, probabilities: Doubles, weights: NDArray[np.floating] | None = None) -> Doubles:
    """AUROC (..., K) of each class against all others, for weights (..., n) of the rows (n, K); none: all 1.

    NaN for a class that all rows have, or none.
    """
    weights = np.ones(len(truth)) if weights is None else weights  # (..., n)
    pairs = zip(truth.T, probabilities.T, strict=True)
    return np.stack([auroc(have == 1, scores, weights) for have, scores in pairs], axis=-1)  # (..., K)


def auroc(positive: NDArray[np.bool_], scores: Doubles, weights: NDArray[np.floating]) -> Doubles:
    """Chance (...,) that a positive row has a higher score (n,) than a negative one; equal scores count half.

    The Mann-Whitney form of the area under the curve (Hanley and McNeil 1982), with weights (..., n) of the rows.
    """
    order = np.argsort(scores, kind="stable")
    positives, negatives = order[positive[order]], order[~positive[order]]  # row numbers, lowest score first
    lower = np.searchsorted(scores[negatives], scores[positives], "left")  # (p,): negatives below each positive
    not_higher = np.searchsorted(scores[negatives], scores[positives], "right")  # (p,): and those equal to it
    passed = np.zeros((*weights.shape[:-1], len(negatives) + 1))  # (..., q + 1): weight of the lowest negatives
    np.cumsum(weights[..., negatives], axis=-1, out=passed[..., 1:])
    won = (passed[..., lower] + passed[..., not_higher]) / 2  # (..., p)
    heavy = weights[..., positives]  # (..., p)
    wins = (heavy * won).sum(axis=-1)  # (...,)
    return ratio(wins, heavy.sum(axis=-1) * passed[..., -1])
