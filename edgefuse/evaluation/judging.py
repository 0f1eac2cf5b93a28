"""All figures of predictions, as plain JSON types: what evaluation.json holds but for what names the head."""

from __future__ import annotations

from typing import Any

from edgefuse.evaluation.calibration import calibration_of
from edgefuse.evaluation.predictions import METHODS, Predictions
from edgefuse.evaluation.referral import referral_of
from edgefuse.evaluation.scores import scores_of
from edgefuse.evaluation.subgroups import subgroups_of
from edgefuse.metrics import bootstrap as resampling
from edgefuse.metrics import classification

DRAWS = 2000


def judge(predictions: Predictions, *, bootstrap: int = DRAWS, seed: int = 0) -> dict[str, Any]:
    """Every figure of every method, with its bootstrap interval by group and the paired differences.

    Args:
        predictions: of the rows to judge on, maybe pooled over folds and seeds.
        bootstrap: how often the groups are drawn.
        seed: of the draws.
    """
    draws = resampling.draw(predictions.groups, bootstrap, seed)
    return {
        "task": predictions.task,
        "classes": list(predictions.classes),
        "bootstrap": {"draws": bootstrap, "seed": seed, "level": resampling.LEVEL, "unit": "group"},
        **scores_of(predictions, draws),
        "confusion": {method: _confusion(predictions, method) for method in METHODS},
        "calibration": calibration_of(predictions, draws, seed),
        "referral": referral_of(predictions, draws),
        "subgroups": subgroups_of(predictions, bootstrap, seed),
    }


def _confusion(predictions: Predictions, method: str) -> Any:
    predicted = classification.decide(predictions.probabilities[method], multilabel=predictions.multilabel)
    return classification.confusion(predictions.labels, predicted, len(predictions.classes)).tolist()
