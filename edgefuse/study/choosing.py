"""What choosing among fused heads is worth where no test row has a part in it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgefuse.evaluation.predictions import join
from edgefuse.metrics import classification
from edgefuse.study.cells import Done
from edgefuse.study.pooling import Pooled


def chosen_anew(pooled: Sequence[Pooled]) -> tuple[float, float | None] | None:
    """Macro-F1 of heads each of which was chosen by its own fold's validation rows: mean and deviation over the seeds.

    The validation rows of a fold are test rows of others, so that the mean over folds, by which one head is chosen for
    all, has seen every row. Of one fold they are not (nested cross-validation). None: the heads answer for different
    rows, or not all record how they did on validation rows.
    """
    if not all(one.validation for one in pooled):
        return None
    kept: dict[int, list[Done]] = {}
    for rivals in zip(*(one.cells for one in pooled), strict=True):  # of one seed and fold
        if len({tuple(each.predictions.ids.tolist()) for each in rivals}) > 1:
            return None
        best = max(rivals, key=lambda each: each.validation["fused"]["macro_f1"])
        kept.setdefault(best.cell.seed, []).append(best)
    seeds = [join([each.predictions for each in done]) for done in kept.values()]
    values = [
        classification.figures(
            each.labels, classification.decide(each.probabilities["fused"], multilabel=each.multilabel)
        ).macro_f1
        for each in seeds
    ]
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None
