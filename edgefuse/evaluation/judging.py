"""All figures of predictions, as plain JSON types: what evaluation.json holds but for what names the head."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgefuse.evaluation.calibration import calibration_of
from edgefuse.evaluation.numbers import number
from edgefuse.evaluation.predictions import METHODS, Predictions
from edgefuse.evaluation.referral import referral_of
from edgefuse.metrics import bootstrap as resampling
from edgefuse.metrics import classification
from edgefuse.metrics.classification import Doubles
from edgefuse.metrics.ranking import class_auroc

DRAWS = 2000
FIGURES = ("accuracy", "balanced_accuracy", "macro_f1", "auroc")
"""Those that are one number, in the order of every table."""

Values = dict[str, Doubles]
"""By name of the figure: (1 + B,) or by class (1 + B, K), of the rows as they are and of every draw."""


def judge(predictions: Predictions, *, bootstrap: int = DRAWS, seed: int = 0) -> dict[str, Any]:
    """Every figure of every method, with its bootstrap interval by group and the paired differences.

    Args:
        predictions: of the rows to judge on, maybe pooled over folds and seeds.
        bootstrap: how often the groups are drawn.
        seed: of the draws.
    """
    draws = resampling.draw(predictions.groups, bootstrap, seed)
    values = {method: figure_values(predictions, method, draws) for method in METHODS}
    counts = classification.holds(predictions.labels, len(predictions.classes)).sum(axis=0)  # (K,)
    return {
        "task": predictions.task,
        "classes": list(predictions.classes),
        "n": len(predictions.ids),
        "samples": len(set(predictions.ids.tolist())),
        "groups": draws.weights.shape[1],
        "rows_per_class": dict(zip(predictions.classes, counts.tolist(), strict=True)),
        "bootstrap": {"draws": bootstrap, "seed": seed, "level": resampling.LEVEL, "unit": "group"},
        "metrics": {method: _estimates(found, predictions.classes) for method, found in values.items()},
        "intervals": {method: _intervals(found, predictions.classes) for method, found in values.items()},
        "differences": {
            method: {name: _difference(values["fused"][name], values[method][name]) for name in FIGURES}
            for method in METHODS
            if method != "fused"
        },
        "confusion": {method: _confusion(predictions, method) for method in METHODS},
        "calibration": calibration_of(predictions, draws, seed),
        "referral": referral_of(predictions, draws),
    }


def figure_values(predictions: Predictions, method: str, draws: resampling.Draws) -> Values:
    """The figures of one method, of the rows as they are and of every draw: paired where the draws are the same."""
    classes, multilabel = len(predictions.classes), predictions.multilabel
    probabilities = predictions.probabilities[method]  # (n, K)
    predicted = classification.decide(probabilities, multilabel=multilabel)
    totals = draws.totals(classification.outcomes(predictions.labels, predicted, classes))  # (1 + B, 2 + 3 K)
    counts = classification.count(totals)
    truth = classification.holds(predictions.labels, classes)  # (n, K)
    areas = np.concatenate([class_auroc(truth, probabilities, weights) for weights in draws.row_weights()])
    return {
        "accuracy": classification.accuracy(counts),
        "balanced_accuracy": classification.balanced_accuracy(counts, multilabel=multilabel),
        "macro_f1": classification.macro_f1(counts),
        "auroc": classification.mean_of_known(areas),
        "class_f1": classification.class_f1(counts),
        "class_auroc": areas,
    }


def _estimates(values: Values, classes: tuple[str, ...]) -> dict[str, Any]:
    return {
        name: number(found[0])
        if found.ndim == 1
        else {label: number(value) for label, value in zip(classes, found[0], strict=True)}
        for name, found in values.items()
    }


def _intervals(values: Values, classes: tuple[str, ...]) -> dict[str, Any]:
    return {
        name: resampling.interval(found)
        if found.ndim == 1
        else {label: resampling.interval(each) for label, each in zip(classes, found.T, strict=True)}
        for name, found in values.items()
    }


def _difference(fused: Doubles, other: Doubles) -> dict[str, Any]:
    return {"value": number(fused[0] - other[0]), "interval": resampling.interval(fused - other)}


def _confusion(predictions: Predictions, method: str) -> Any:
    predicted = classification.decide(predictions.probabilities[method], multilabel=predictions.multilabel)
    return classification.confusion(predictions.labels, predicted, len(predictions.classes)).tolist()
