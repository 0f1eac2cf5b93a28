"""How right the answers were that a run took time of: against the kit's golden vectors, and against labels."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefuse.kits.golden import golden_vectors
from edgefuse.kits.kit import Kit
from edgefuse.labels import to_numbers
from edgefuse.metrics import bootstrap, classification
from edgefuse_runtimes.spec import EncoderSpec

Floats = NDArray[np.floating[Any]]

DRAWS = 2000
"""Of the bootstrap over samples."""


def on_golden(kit: Kit, specs: Sequence[EncoderSpec], found: Mapping[str, Floats]) -> dict[str, Any]:
    """What this machine's engines change of the golden samples' vectors, probabilities and labels.

    Args:
        kit: whose golden samples they are.
        specs: the image and the text encoder that ran.
        found: "image" (k, d_i), "text" (k, d_t) and "probabilities" (k, K) here.
    """
    expected: dict[str, NDArray[np.float32]] = {
        spec.modality: golden_vectors(kit.file, spec) for spec in specs
    }  # (k, d) each
    probabilities = _expected_probabilities(kit, specs, expected)  # (k, K)
    decide = _decider(kit)
    before, now = decide(probabilities), decide(found["probabilities"])  # (k,) or (k, K)
    return {
        "n": len(probabilities),
        "labels_changed": int((before != now).reshape(len(before), -1).any(axis=1).sum()),
        "worst_probability_shift": float(np.abs(found["probabilities"] - probabilities).max()),
        "vector_error": {modality: _error(vectors, found[modality]) for modality, vectors in expected.items()},
    }


def on_labels(
    kit: Kit, labels: Sequence[str | None], probabilities: Floats, referred: Sequence[int]
) -> dict[str, Any] | None:
    """Accuracy and macro-F1 of the samples (n,) that have a label and an answer (n, K); None where there are none.

    Referred answers count with the label they name, as in the kit's own figures.
    """
    rows = [
        index for index, label in enumerate(labels) if label is not None and not np.isnan(probabilities[index]).any()
    ]
    if not rows:
        return None
    classes, multilabel = kit.classes, kit.head.multilabel
    truth = to_numbers([str(labels[index]) for index in rows], classes, multilabel=multilabel)  # (r,) or (r, K)
    said = _decider(kit)(probabilities[rows])
    draws = bootstrap.draw(np.array([str(index) for index in rows]), DRAWS, seed=0)
    totals = draws.totals(classification.outcomes(truth, said, len(classes)))  # (1 + B, 2 + 3 K)
    counts = classification.count(totals)
    accuracy, macro_f1 = classification.accuracy(counts), classification.macro_f1(counts)  # (1 + B,) each
    return {
        "n": len(rows),
        "accuracy": float(accuracy[0]),
        "accuracy_interval": share_interval(round(accuracy[0] * len(rows)), len(rows)),
        "macro_f1": float(macro_f1[0]),
        "macro_f1_interval": bootstrap.interval(macro_f1),
        "referred": len(set(referred) & set(rows)),
    }


def share_interval(right: int, count: int) -> tuple[float, float]:
    """Where the share of right answers lies, of which `count` gave so many: Wilson's score interval (Wilson 1927).

    Of a few answers that are all right the bootstrap's would be the point 1, as if no other could ever be wrong.
    """
    z = NormalDist().inv_cdf((1 + bootstrap.LEVEL) / 2)
    share, shrink = right / count, 1 + z**2 / count
    middle = (share + z**2 / (2 * count)) / shrink
    reach = z / shrink * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    return max(0.0, middle - reach), min(1.0, middle + reach)


def of_kit(kit: Kit) -> dict[str, Any] | None:
    """The fused head's figures that `evaluate` recorded in the kit; None where there are none."""
    evaluation: Any = kit.manifest.get("evaluation")
    try:
        fused = evaluation["metrics"]["fused"]
        return {
            "dataset": str(evaluation["dataset"]["name"]),
            "drawn": bool(evaluation["drawn"]),
            "part": str(evaluation["split"]["part"]),
            "n": int(evaluation["n"]),
            "accuracy": float(fused["accuracy"]),
            "macro_f1": float(fused["macro_f1"]),
        }
    except (KeyError, TypeError, ValueError):
        return None


def _expected_probabilities(
    kit: Kit, specs: Sequence[EncoderSpec], vectors: Mapping[str, NDArray[np.float32]]
) -> Floats:
    """Those that were packed (k, K); of files in another precision, what the head makes of their packed vectors."""
    golden = kit.manifest.get("golden")
    if golden and tuple(specs) == (kit.image, kit.text):
        return np.array([sample["probabilities"] for sample in golden])
    return kit.head.probabilities(vectors["text"], vectors["image"])


def _decider(kit: Kit) -> Callable[[Floats], classification.Labels]:
    return partial(classification.decide, multilabel=kit.head.multilabel)


def _error(expected: Floats, found: Floats) -> dict[str, float]:
    """1 - cosine of rows (k, d), mean and worst."""
    one, other = expected.astype(np.float64), found.astype(np.float64)
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)  # (k,)
    error = np.maximum(0, 1 - (one * other).sum(axis=1) / lengths)  # (k,)
    return {"mean": float(error.mean()), "worst": float(error.max())}
