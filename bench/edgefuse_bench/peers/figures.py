"""Figures of peers: ratios of times with their noise, and how near vectors are to exact ones. Pure functions."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

CONFIDENCE = 0.95


def round_ratios(own: Sequence[Sequence[int]], baseline: Sequence[Sequence[int]]) -> list[float]:
    """A peer's time over the baseline's, for the same samples of each round."""
    return [sum(a) / sum(b) for a, b in zip(own, baseline, strict=True)]


def median_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """The 95 % interval of the median, from ranks alone; None with fewer than six values, which cannot give one.

    The k-th value from either end, with the largest k for which a binomial variable of n and 1/2 is below k with a
    probability of at most 2.5 % (W. J. Conover, Practical Nonparametric Statistics, 3.2).
    """
    count, ordered = len(values), sorted(values)
    rank, below = 0, 0.0
    while (below := below + math.comb(count, rank) / 2**count) <= (1 - CONFIDENCE) / 2:
        rank += 1
    return (ordered[rank - 1], ordered[count - rank]) if rank else None


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Median and its interval, as plain JSON types."""
    interval = median_interval(values)
    return {"median": statistics.median(values), "interval": None if interval is None else list(interval)}


def distances(vectors: Floats, reference: Floats) -> NDArray[np.float64]:
    """1 - cosine (n,) of rows (n, d) to those of `reference`, whose mean is subtracted from both."""
    centre = reference.astype(np.float64).mean(axis=0)  # (d,)
    a, b = (rows.astype(np.float64) - centre for rows in (vectors, reference))  # (n, d) each
    a, b = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (a, b))
    unlike: NDArray[np.float64] = ((a - b) ** 2).sum(axis=1) / 2  # for unit rows the same as 1 - a.b, and exact near 0
    return unlike


def closeness(vectors: Floats, reference: Floats) -> dict[str, Any]:
    """Mean of `distances` with its standard error, as plain JSON types."""
    unlike = distances(vectors, reference)
    count = len(unlike)
    return {
        "mean": float(unlike.mean()),
        "standard_error": float(unlike.std(ddof=1) / math.sqrt(count)) if count > 1 else None,
        "samples": count,
    }


def same_share(answers: Sequence[Any], exact: Sequence[Any]) -> dict[str, Any]:
    """For what share of the samples two lists of answers are the same."""
    same = [a == b for a, b in zip(answers, exact, strict=True)]
    return {"share": sum(same) / len(same), "samples": len(same)}
