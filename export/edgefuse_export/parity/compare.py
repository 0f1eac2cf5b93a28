"""Two sets of vectors of the same samples, compared: pure functions over arrays, figures as plain JSON types.

Vectors are (n, d), row k of both the same sample. "Centred" vectors have the mean of the source's vectors subtracted:
an encoder with random weights gives nearly equal vectors for any input, which hides every error from the plain figures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefuse.percentiles import percentiles
from edgefuse_runtimes.pooling import l2_normalize

Floats = NDArray[np.float64]
Vectors = NDArray[np.float32] | Floats

WORST = 10
"""Samples that are named as the worst."""

NEIGHBOURS = (1, 10)


def compare(ids: Sequence[str], source: Vectors, exported: Vectors) -> dict[str, Any]:
    """All figures of one encoder.

    Args:
        ids: of the n samples, for the worst ones.
        source: vectors (n, d) of the source.
        exported: vectors (n, d) of the exported file.

    Returns:
        "count" of samples; "plain" and "centred" `distribution` of 1 - cosine, and their "histogram"; "neighbours":
        `neighbour_agreement` of the centred vectors by "top_1" and "top_10", None with too few samples; "mean_length":
        `mean_length` of the source; "worst": ids with both 1 - cosine, the worst centred ones first.
    """
    a, b = source.astype(np.float64), exported.astype(np.float64)  # (n, d) each
    centre = a.mean(axis=0)  # (d,)
    plain, centred = one_minus_cosine(a, b), one_minus_cosine(a - centre, b - centre)  # (n,) each
    edges = bin_edges(np.concatenate([plain, centred]))
    worst = np.argsort(-centred, kind="stable")[:WORST]
    return {
        "count": len(ids),
        "plain": distribution(plain),
        "centred": distribution(centred),
        "neighbours": {f"top_{k}": neighbour_agreement(a - centre, b - centre, k) for k in NEIGHBOURS},
        "mean_length": mean_length(a),
        "worst": [{"id": ids[k], "plain": float(plain[k]), "centred": float(centred[k])} for k in worst],
        "histogram": {
            "edges": edges.tolist(),
            "plain": histogram(plain, edges),
            "centred": histogram(centred, edges),
        },
    }


def one_minus_cosine(a: Floats, b: Floats) -> Floats:
    """1 - a.b / (|a||b|) (n,) of the rows of a and b (n, d); 0 where both are zero, 1 where one is."""
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)  # (n,)
    cosines = np.einsum("nd,nd->n", a, b) / np.where(lengths, lengths, 1)  # (n,)
    both_zero = ~a.any(axis=1) & ~b.any(axis=1)  # (n,)
    distances: Floats = np.where(both_zero, 0, np.maximum(1 - cosines, 0))  # (n,): rounding gives -1e-16
    return distances


def distribution(values: Floats) -> dict[str, float]:
    """Mean with its standard error, median, worst, and the percentiles that n values are enough for."""
    return {
        "mean": float(values.mean()),
        "standard_error": standard_error(values),
        "median": float(np.median(values)),
        **percentiles(values.tolist()),
        "worst": float(values.max()),
    }


def standard_error(values: Floats) -> float:
    """Of the mean of n values: their standard deviation / sqrt(n); 0 of a single one."""
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else 0.0


def mean_length(vectors: Floats) -> float:
    """Length of the mean of the vectors (n, d), each brought to length 1: 1 where all point the same way, 0 where they
    cancel out.
    """
    return float(np.linalg.norm(l2_normalize(vectors.astype(np.float32)).mean(axis=0, dtype=np.float64)))


def neighbour_agreement(a: Floats, b: Floats, k: int) -> dict[str, float] | None:
    """Mean share of a sample's k nearest others, by cosine, that a (n, d) and b (n, d) have in common.

    None where n <= 2k: nearly every other sample would be among them.
    """
    if len(a) <= 2 * k:
        return None
    shared = [len(set(near_a) & set(near_b)) / k for near_a, near_b in zip(nearest(a, k), nearest(b, k), strict=True)]
    return {"mean": float(np.mean(shared)), "standard_error": standard_error(np.array(shared))}


def nearest(rows: Floats, k: int) -> list[list[int]]:
    """For each of the rows (n, d) the numbers of the k others of the greatest cosine, the nearest first."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)  # (n, 1)
    unit = rows / np.where(lengths, lengths, 1)  # (n, d)
    cosines = unit @ unit.T  # (n, n)
    np.fill_diagonal(cosines, -np.inf)
    order: list[list[int]] = np.argsort(-cosines, axis=1, kind="stable")[:, :k].tolist()
    return order


FLOOR = 1e-9
"""Smaller values go into the first bin: float32 vectors say no more."""


def bin_edges(values: Floats) -> Floats:
    """Edges of four bins per power of ten that hold all values, those below `FLOOR` in the first."""
    low = math.floor(math.log10(max(values.min(), FLOOR)) * 4)
    high = math.floor(math.log10(max(values.max(), FLOOR)) * 4) + 1
    edges: Floats = 10 ** (np.arange(low, high + 1) / 4)
    return edges


def histogram(values: Floats, edges: Floats) -> list[int]:
    """How many values lie in each bin; what is below the first edge is counted in the first bin."""
    counts: list[int] = np.histogram(np.clip(values, edges[0], np.nextafter(edges[-1], 0)), edges)[0].tolist()
    return counts
