"""Which class is taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgefuse.extras import importable
from edgefuse.figures.canvas import INK, Axes, Figure, house_style, panels

CELL = 0.42
"""Inches."""
DARK = 0.22
"""Below this luminance white letters have more contrast than dark ones."""


class Matrix(NamedTuple):
    """One panel's content."""

    title: str
    color: str
    counts: NDArray[np.int64]
    """(K, M): rows of class i that were answered as j"""
    shares: NDArray[np.float64]
    """(K, M), from 0 to 1: how dark each count is shaded"""


@house_style()
def draw(matrices: Sequence[Matrix], rows: Sequence[str], columns: Sequence[str], told: str) -> Figure:
    """A panel for each matrix, with the names of its K rows and M columns, and what the columns are."""
    size = (max(2.2, CELL * len(columns)) + 0.5, max(1.4, CELL * len(rows)) + 0.8)
    figure, [axes] = panels(1, len(matrices), size=size, sharey=True)
    for axis, matrix in zip(axes, matrices, strict=True):
        _matrix(axis, matrix, rows, columns)
        axis.set_xlabel(told)
    axes[0].set_ylabel("class (its rows)")
    return figure


def _matrix(axis: Axes, matrix: Matrix, rows: Sequence[str], columns: Sequence[str]) -> None:
    shades = importable("matplotlib.colors", "report").LinearSegmentedColormap.from_list("", ["white", matrix.color])
    axis.imshow(matrix.shares, cmap=shades, vmin=0, vmax=1, aspect="auto")
    square = len(rows) == len(columns)
    for i, j in np.ndindex(matrix.counts.shape):
        if matrix.counts[i, j]:
            color = "white" if _luminance(shades(matrix.shares[i, j])[:3]) < DARK else INK
            weight = "bold" if square and i == j else "normal"
            words = {"ha": "center", "va": "center", "fontsize": 8, "color": color, "fontweight": weight}
            axis.text(j, i, str(matrix.counts[i, j]), **words)
    axis.set_xticks(range(len(columns)), columns, rotation=45, ha="right", rotation_mode="anchor")
    axis.set_yticks(range(len(rows)), rows)
    for set_ticks, count in ((axis.set_xticks, len(columns)), (axis.set_yticks, len(rows))):
        set_ticks(np.arange(count - 1) + 0.5, minor=True)
    axis.set_title(matrix.title)
    axis.grid(visible=False)
    axis.grid(which="minor", color="white", linewidth=1.2)
    axis.tick_params(which="both", length=0)
    for spine in axis.spines.values():
        spine.set_visible(False)


def _luminance(color: Sequence[float]) -> float:
    """Relative luminance of red, green and blue in 0 to 1 (WCAG 2.1)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))
