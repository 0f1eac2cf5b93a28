"""What every method takes, its encoders' time and memory beside its head's, as plain JSON types.

Seconds are those of the paper's Table 3, megabytes those of its Table 2.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from edgefuse.card import machine_words
from edgefuse.embeddings.table import Table
from edgefuse.evaluation.megabytes import head_megabytes, read_megabytes
from edgefuse.evaluation.predictions import METHODS
from edgefuse.heads import Head
from edgefuse_runtimes import fusion
from edgefuse_runtimes.spec import Modality

REPEATS = 5
READS: dict[str, tuple[Modality, ...]] = {
    "text_only": ("text",),
    "image_only": ("image",),
    "fused": ("text", "image"),
}


def cost_of(head: Head, table: Table) -> dict[str, Any]:
    """Time and memory of each head and of the encoders whose vectors it reads."""
    members = dict.fromkeys(METHODS, head.training.get("members", 1))  # an older edgefuse knew of one alone
    if head.training.get("average_image"):
        members["fused"] *= 2
    rows = {part: np.flatnonzero(table.splits == part) for part in ("train", "test")}
    return {
        "machine": machine_words(),
        "rows": {part: len(found) for part, found in rows.items()},
        "encoders": table.cost,
        "methods": {
            method: {
                "parameters": parameters(getattr(head, method), members[method]),
                "head_mb": head_megabytes(parameters(getattr(head, method), members[method])),
                "embeddings_mb_per_epoch": read_megabytes(
                    len(rows["train"]) * (1 + table.view_count),
                    sum(head.encoders[modality]["width"] for modality in READS[method]),
                    len(head.fused.bias),
                ),
                "training_seconds_per_epoch": head.seconds_per_epoch.get(method),
                "inference_seconds_per_epoch": _inference_seconds(head, method, table, rows["test"]),
                "encoder_seconds_per_sample": _of_encoders(table.cost, method, "seconds_per_sample", sum),
                "encoder_peak_rss_bytes": _of_encoders(table.cost, method, "peak_rss_bytes", max),
            }
            for method in METHODS[1:]
        },
    }


def parameters(head: fusion.Head, members: int = 1) -> int:
    """How many numbers training changes: those of the head, and scale and offset of each BatchNorm folded into it.

    Of several members, which share the head's last bias, each had its own in training.
    """
    layers = [layer for branch in head.branches for layer in branch.layers]
    linears = sum(layer.weight.size + layer.bias.size for layer in layers) + head.weight.size + head.bias.size * members
    return linears + sum(2 * len(layer.bias) for layer in layers)


def _inference_seconds(head: Head, method: str, table: Table, rows: np.ndarray[Any, np.dtype[np.int64]]) -> float:
    """The median of some passes over the rows with alignment and head, vectors in memory."""
    text = table.text[rows] if "text" in READS[method] else None
    image = table.image[rows] if "image" in READS[method] else None
    taken = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        head.probabilities(text, image)
        taken.append(time.perf_counter() - started)
    return float(np.median(taken))


def _of_encoders(cost: dict[str, Any], method: str, name: str, together: Any) -> float | None:
    found = [cost.get(modality, {}).get(name) for modality in READS[method]]
    return None if None in found else together(found)
