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
    """(K, K): rows of class i that were answered as class j"""


@house_style()
def draw(matrices: Sequence[Matrix], classes: Sequence[str]) -> Figure:
    """A panel for each matrix: counts, shaded by their share of the class's rows."""
    side = max(2.2, CELL * len(classes))
    figure, [axes] = panels(1, len(matrices), size=(side + 0.5, side + 0.6), sharey=True)
    for axis, matrix in zip(axes, matrices, strict=True):
        _matrix(axis, matrix, classes)
    axes[0].set_ylabel("class of the row, and how many have it")
    return figure


def _matrix(axis: Axes, matrix: Matrix, classes: Sequence[str]) -> None:
    counts = matrix.counts
    rows = counts.sum(axis=1, keepdims=True)  # (K, 1)
    share = np.divide(counts, rows, out=np.zeros(counts.shape), where=rows > 0)  # (K, K)
    shades = importable("matplotlib.colors", "report").LinearSegmentedColormap.from_list("", ["white", matrix.color])
    axis.imshow(share, cmap=shades, vmin=0, vmax=1)
    for i, j in np.ndindex(counts.shape):
        if counts[i, j]:
            color = "white" if _luminance(shades(share[i, j])[:3]) < DARK else INK
            weight = "bold" if i == j else "normal"
            axis.text(j, i, str(counts[i, j]), ha="center", va="center", fontsize=8, color=color, fontweight=weight)
    places = range(len(classes))
    axis.set_xticks(places, classes, rotation=45, ha="right", rotation_mode="anchor")
    axis.set_yticks(places, [f"{name} ({total})" for name, total in zip(classes, rows[:, 0], strict=True)])
    axis.set_xlabel("answered as")
    axis.set_title(matrix.title)
    axis.grid(visible=False)
    for set_ticks in (axis.set_xticks, axis.set_yticks):
        set_ticks(np.arange(len(classes) - 1) + 0.5, minor=True)
    axis.grid(which="minor", color="white", linewidth=1.2)
    axis.tick_params(which="both", length=0)
    for spine in axis.spines.values():
        spine.set_visible(False)


def _luminance(color: Sequence[float]) -> float:
    """Relative luminance of red, green and blue in 0 to 1 (WCAG 2.1)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))
