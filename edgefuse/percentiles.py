"""Percentiles as MLPerf LoadGen takes them: by rank, never interpolated, and never from too few values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

Number = TypeVar("Number", int, float)

CONFIDENCE = 0.99
"""LoadGen's early stopping: how sure a percentile must be before it may be named."""


def percentile(values: Sequence[Number], fraction: float) -> Number:
    """The value at rank floor(n * fraction), counted from 0 (LoadGen, results.cc)."""
    return sorted(values)[min(int(len(values) * fraction), len(values) - 1)]


def queries_needed(fraction: float) -> int:
    """The least n with P(at most one of n queries is over the percentile) <= 1 - `CONFIDENCE`.

    That is LoadGen's early-stopping rule: 64 queries for p90, 130 for p95, 662 for p99.
    """
    queries = 1
    while fraction**queries + queries * fraction ** (queries - 1) * (1 - fraction) > 1 - CONFIDENCE:
        queries += 1
    return queries


def percentiles(values: Sequence[Number], fractions: Sequence[float] = (0.9, 0.95, 0.99)) -> dict[str, Number]:
    """Those of `fractions` that `values` are enough for, by name: "p90", ..."""
    return {
        f"p{round(fraction * 100)}": percentile(values, fraction)
        for fraction in fractions
        if len(values) >= queries_needed(fraction)
    }
