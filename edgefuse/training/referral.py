"""The choice of referral thresholds on validation rows."""

from __future__ import annotations

from edgefuse.answering.referral import FUSED, Kept, Referral, Threshold
from edgefuse.embeddings.table import Table
from edgefuse.evaluation.predictions import METHODS, Predictions, predict
from edgefuse.heads import Head
from edgefuse.metrics.calibration import claims
from edgefuse.metrics.referral import choose_threshold
from edgefuse_runtimes.errors import BadInput


def fit(head: Head, table: Table, wanted: float) -> Referral | None:
    """The smallest thresholds at which the head's answers to validation rows are right as often as `wanted`.

    None where the fused head is so often wrong that no threshold does.

    Raises:
        BadInput: the table is multilabel, or has no validation rows.
    """
    check(table)
    validation = predict(head, table, "validation")
    thresholds = {method: _threshold(validation, method, wanted) for method in reversed(METHODS[1:])}
    return None if thresholds[FUSED].threshold is None else Referral(wanted, thresholds)


def check(table: Table) -> None:
    """Accept a table whose head can refer.

    Raises:
        BadInput: it is multilabel.
    """
    if table.multilabel:
        raise BadInput(
            "A multilabel head says of each class whether it holds, so no single answer can be referred; "
            "leave out --refer-accuracy."
        )


def _threshold(validation: Predictions, method: str, wanted: float) -> Threshold:
    made = claims(validation.probabilities[method], validation.labels)
    threshold = choose_threshold(made, wanted)
    kept = made.chance >= (2.0 if threshold is None else threshold)  # (n,): none, where there is no threshold
    accuracy = float(made.right[kept].mean()) if kept.any() else 1.0
    return Threshold(threshold, Kept(float(kept.mean()), accuracy, len(kept)))
