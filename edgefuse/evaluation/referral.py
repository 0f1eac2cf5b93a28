"""What referring the least sure answers would gain, and what the head's own threshold does, as plain JSON types."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgefuse.evaluation.numbers import number
from edgefuse.evaluation.predictions import METHODS, Predictions
from edgefuse.metrics import bootstrap, referral
from edgefuse.metrics.bootstrap import Draws
from edgefuse.metrics.calibration import Claims, claims
from edgefuse.metrics.classification import Doubles, ratio

COVERAGES = np.arange(1, 21) / 20
"""Of the curve's points."""
COVERAGE = 0.8
"""Where the gain is told."""


def referral_of(predictions: Predictions, draws: Draws) -> dict[str, Any] | None:
    """The risk-coverage curve of every head; None of multilabel rows, which have no single answer to refer."""
    if predictions.multilabel:
        return None
    heads = {}
    for method in METHODS[1:]:
        made = claims(predictions.probabilities[method], predictions.labels)
        heads[method] = _curve(made, draws) | {"threshold": threshold_of(predictions, method, draws)}
    return {"coverage": COVERAGE, "methods": heads}


def _curve(made: Claims, draws: Draws) -> dict[str, Any]:
    blocks = [referral.kept(made, weights) for weights in draws.row_weights()]
    accuracy = np.concatenate([referral.accuracy_at(block, COVERAGES) for block in blocks])  # (1 + B, c)
    area = np.concatenate([referral.area(block) for block in blocks])  # (1 + B,)
    chosen = int(np.argmin(np.abs(COVERAGES - COVERAGE)))
    return {
        "area": _with_interval(area),
        "least_area": referral.least_area(len(made.right), int(made.right.sum())),
        "accuracy_at_coverage": _with_interval(accuracy[:, chosen]),
        "gain": _with_interval(accuracy[:, chosen] - accuracy[:, -1]),
        "curve": [
            {
                "coverage": round(float(coverage), 2),
                "accuracy": float(values[0]),
                "interval": bootstrap.interval(values),
            }
            for coverage, values in zip(COVERAGES, accuracy.T, strict=True)
        ],
    }


def threshold_of(predictions: Predictions, method: str, draws: Draws) -> dict[str, Any] | None:
    """How many of the rows the head's own threshold keeps, and how right these answers are; None: it has none."""
    thresholds = predictions.thresholds[method]  # (n,)
    if np.isnan(thresholds).any():
        return None
    made = claims(predictions.probabilities[method], predictions.labels)
    keeps = made.chance >= thresholds  # (n,)
    totals = draws.totals(np.column_stack([np.ones(len(keeps)), keeps, keeps & made.right]))  # (1 + B, 3)
    rows, kept, right = totals.T  # (1 + B,)
    values = np.unique(thresholds)
    return {
        "threshold": number(values[0]) if len(values) == 1 and np.isfinite(values[0]) else None,
        "rows_kept": int(keeps.sum()),
        "coverage": _with_interval(ratio(kept, rows)),
        "accuracy": _with_interval(ratio(right, kept)),
    }


def _with_interval(values: Doubles) -> dict[str, Any]:
    return {"value": number(values[0]), "interval": bootstrap.interval(values)}
