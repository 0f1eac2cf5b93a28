"""The same figures for each value of each subgroup, such as women and men, as plain JSON types."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgefuse.evaluation.calibration import calibration_figures
from edgefuse.evaluation.predictions import Predictions, subset
from edgefuse.evaluation.referral import threshold_of
from edgefuse.evaluation.scores import scores_of
from edgefuse.metrics import bootstrap as resampling
from edgefuse.metrics.classification import holds

FEWEST_ROWS, FEWEST_OF_A_CLASS = 30, 5
"""With fewer samples the figures of a subgroup say next to nothing, and it is marked."""


def subgroups_of(predictions: Predictions, bootstrap: int, seed: int) -> dict[str, Any]:
    """By name and value of the subgroup: counts, whether they are small, and the figures on its rows alone."""
    return {
        name: {
            value: _part(subset(predictions, np.flatnonzero(values == value)), bootstrap, seed)
            for value in np.unique(values).tolist()
        }
        for name, values in predictions.subgroups.items()
    }


def _part(part: Predictions, bootstrap: int, seed: int) -> dict[str, Any]:
    draws = resampling.draw(part.groups, bootstrap, seed)
    few = too_few(part)
    return {
        "small": bool(few),
        "too_few": few,
        **scores_of(part, draws),
        "calibration": calibration_figures(part, part.probabilities["fused"], draws, seed),
        "referral": None if part.multilabel else threshold_of(part, "fused", draws),
    }


def too_few(part: Predictions) -> list[str]:
    """What there is too little of: "rows" for samples in all, and every class that has too few of them."""
    _, first = np.unique(part.ids, return_index=True)  # a sample counts once, however many seeds were pooled
    counts = holds(part.labels[first], len(part.classes)).sum(axis=0)  # (K,)
    classes = [name for name, count in zip(part.classes, counts, strict=True) if count < FEWEST_OF_A_CLASS]
    return [*(["rows"] if len(first) < FEWEST_ROWS else []), *classes]
