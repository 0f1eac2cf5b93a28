"""Accuracy, macro-F1, AUROC and their like of every method, with intervals and differences, as plain JSON types."""

from __future__ import annotations

from typing import Any

from edgefuse.evaluation.numbers import number
from edgefuse.evaluation.predictions import METHODS, Predictions
from edgefuse.metrics import bootstrap, classification
from edgefuse.metrics.bootstrap import Draws
from edgefuse.metrics.classification import Doubles
from edgefuse.metrics.ranking import class_auroc

FIGURES = ("accuracy", "balanced_accuracy", "macro_f1", "auroc")
"""Those that are one number, in the order of every table."""

Values = dict[str, Doubles]
"""By name of the figure: (1 + B,) or by class (1 + B, K), of the rows as they are and of every draw."""


def scores_of(predictions: Predictions, draws: Draws) -> dict[str, Any]:
    """How many rows there are, and every figure of every method on them."""
    values = {method: figure_values(predictions, method, draws) for method in METHODS}
    counts = classification.holds(predictions.labels, len(predictions.classes)).sum(axis=0)  # (K,)
    return {
        "n": len(predictions.ids),
        "samples": len(set(predictions.ids.tolist())),
        "groups": draws.weights.shape[1],
        "rows_per_class": dict(zip(predictions.classes, counts.tolist(), strict=True)),
        "metrics": {method: _estimates(found, predictions.classes) for method, found in values.items()},
        "intervals": {method: _intervals(found, predictions.classes) for method, found in values.items()},
        "differences": {
            method: {name: _difference(values["fused"][name], values[method][name]) for name in FIGURES}
            for method in METHODS
            if method != "fused"
        },
    }


def figure_values(predictions: Predictions, method: str, draws: Draws) -> Values:
    """The figures of one method, of the rows as they are and of every draw: paired where the draws are the same."""
    classes, multilabel = len(predictions.classes), predictions.multilabel
    probabilities = predictions.probabilities[method]  # (n, K)
    predicted = classification.decide(probabilities, multilabel=multilabel)
    totals = draws.totals(classification.outcomes(predictions.labels, predicted, classes))  # (1 + B, 2 + 3 K)
    counts = classification.count(totals)
    truth = classification.holds(predictions.labels, classes)  # (n, K)
    areas = class_auroc(truth, probabilities, draws.row_weights())  # (1 + B, K)
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
        name: bootstrap.interval(found)
        if found.ndim == 1
        else {label: bootstrap.interval(each) for label, each in zip(classes, found.T, strict=True)}
        for name, found in values.items()
    }


def _difference(fused: Doubles, other: Doubles) -> dict[str, Any]:
    return {"value": number(fused[0] - other[0]), "interval": bootstrap.interval(fused - other)}
