"""How far figures would move with other rows: the bootstrap over groups.

Rows of a group (pictures of one lesion, notes of one patient) are alike, so whole groups are drawn, with
replacement, as many as there are (the cluster bootstrap, Davison and Hinkley 1997, section 3.8). A draw is only a
weight for each group: how often it was drawn. Figures that are made of sums need the sums of each group once, and
one matrix product for all draws.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgefuse.metrics.classification import Doubles

LEVEL = 0.95
"""Of every interval."""
ROW_WEIGHTS_AT_A_TIME = 2**18  # what the processor's caches hold


@dataclass(frozen=True)
class Draws:
    """The rows as they are, and B draws of their groups."""

    group: NDArray[np.int64]
    """(n,): number of each row's group"""
    weights: NDArray[np.int32]
    """(1 + B, G): how often each group was drawn; once in line 0, which stands for the rows as they are"""

    def totals(self, values: Doubles) -> Doubles:
        """Sums (1 + B, m) of what each row adds (n, m), over the rows as they are and over every draw."""
        sums = np.zeros((self.weights.shape[1], values.shape[1]))  # (G, m)
        np.add.at(sums, self.group, values)
        return self.weights.astype(np.float64) @ sums  # as floats, which the BLAS multiplies

    def row_weights(self) -> Iterator[NDArray[np.int32]]:
        """The weights of the rows (b, n), for some lines of `weights` at a time, in order."""
        lines = max(1, ROW_WEIGHTS_AT_A_TIME // max(1, len(self.group)))
        for start in range(0, len(self.weights), lines):
            yield self.weights[start : start + lines, self.group]


def draw(groups: NDArray[np.str_], count: int, seed: int) -> Draws:
    """`count` draws of the groups of rows (n,), the same for the same rows and seed; none of a single group."""
    names, group = np.unique(groups, return_inverse=True)
    G = len(names)
    count = count if G > 1 else 0
    rng = np.random.default_rng(seed)
    weights = np.ones((1 + count, G), np.int32)
    for line in weights[1:]:
        line[:] = np.bincount(rng.integers(G, size=G), minlength=G)
    return Draws(group, weights)


def interval(values: Doubles) -> tuple[float, float] | None:
    """The percentile interval of level LEVEL of a figure (1 + B,) whose first value is that of the rows as they are.

    None where no draw gave a figure, as of rows of a single group.
    """
    known = values[1:][~np.isnan(values[1:])]
    if not len(known):
        return None
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(known, [tail, 1 - tail])
    return float(low), float(high)
