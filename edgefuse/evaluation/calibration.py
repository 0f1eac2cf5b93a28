"""The calibration of every method, before and after temperature scaling, as plain JSON types."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgefuse.embeddings.table import Strings
from edgefuse.evaluation.numbers import number
from edgefuse.evaluation.predictions import METHODS, Predictions
from edgefuse.metrics import bootstrap, calibration
from edgefuse.metrics.bootstrap import Draws
from edgefuse.metrics.classification import Doubles, holds, ratio


def calibration_of(predictions: Predictions, draws: Draws, seed: int) -> dict[str, Any]:
    """Calibration error beside that of a perfectly calibrated model, Brier score and log loss of every method."""
    return {
        "claims": "every class" if predictions.multilabel else "the likeliest class",
        "bins": calibration.BINS,
        "simulations": calibration.SIMULATIONS,
        "methods": {
            method: {
                "before": calibration_figures(predictions, predictions.unscaled[method], draws, seed),
                "after": calibration_figures(predictions, predictions.probabilities[method], draws, seed),
            }
            for method in METHODS
        },
    }


def calibration_figures(predictions: Predictions, probabilities: Doubles, draws: Draws, seed: int) -> dict[str, Any]:
    """The calibration of these probabilities (n, K), of one method."""
    multilabel = predictions.multilabel
    truth = holds(predictions.labels, len(predictions.classes))  # (n, K)
    made = calibration.claims(probabilities, predictions.labels)
    bins = calibration.reliability(made)
    units = label_units(predictions)  # (n,)
    worlds = calibration.worlds(probabilities, units, multilabel=multilabel, seed=seed)  # (s, bins)
    chance = calibration.chance_errors(bins, worlds)  # (s,)
    ranges = ratio(np.quantile(worlds, [0.025, 0.975], axis=0), bins.rows).T  # (bins, 2)
    losses = [
        calibration.brier_scores(probabilities, truth, multilabel=multilabel),
        calibration.log_losses(probabilities, truth, multilabel=multilabel),
    ]
    brier, log_loss = (draws.totals(np.column_stack(losses)) / draws.totals(np.ones((len(truth), 1)))).T  # (1 + B,)
    return {
        "n": len(made.chance),
        "ece": calibration.calibration_error(bins),
        "ece_if_calibrated": {"mean": float(chance.mean()), "range": np.quantile(chance, [0.025, 0.975]).tolist()},
        "brier": float(brier[0]),
        "brier_interval": bootstrap.interval(brier),
        "log_loss": float(log_loss[0]),
        "log_loss_interval": bootstrap.interval(log_loss),
        "reliability": [
            {
                "from": place / calibration.BINS,
                "to": (place + 1) / calibration.BINS,
                "rows": int(rows),
                "chance": number(mean),
                "accuracy": number(right),
                "accuracy_if_calibrated": None if rows == 0 else expected.tolist(),
            }
            for place, (rows, mean, right, expected) in enumerate(zip(*bins, ranges, strict=True))
        ],
    }


def label_units(predictions: Predictions) -> Strings:
    """The group of each row (n,) where no group has two labels, so that its rows have one label; else the sample."""
    labels = predictions.labels.reshape(len(predictions.ids), -1)  # (n, 1) or (n, K)
    _, first, group = np.unique(predictions.groups, return_index=True, return_inverse=True)
    return predictions.groups if (labels == labels[first][group]).all() else predictions.ids
