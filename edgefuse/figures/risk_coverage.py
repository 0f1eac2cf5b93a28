"""Accuracy of the surest answers: what referring the others to a clinician would gain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgefuse.figures.canvas import INK, MAJORITY, METHODS, Axes, Figure, house_style, panels

Doubles = NDArray[np.float64]


class Line(NamedTuple):
    """One method's curve."""

    method: str
    """A key of `canvas.METHODS`."""
    coverage: Doubles
    """(c,) ascending: the share of the rows that is answered, the surest first"""
    accuracy: Doubles
    """(c,): of those answered"""
    low: Doubles
    """(c,): of its interval"""
    high: Doubles
    """(c,)"""


class Point(NamedTuple):
    """What a head's own threshold does."""

    coverage: float
    accuracy: float
    label: str


@house_style()
def draw(lines: Sequence[Line], *, marked: float, majority: float | None = None, own: Point | None = None) -> Figure:
    """All methods in one panel, the last of them with its interval; `marked` is the coverage to read the gain at."""
    figure, [[axis]] = panels(size=(4.6, 3.4))
    for line in lines:
        name = line.method.replace("_", "-")
        axis.plot(line.coverage, line.accuracy, color=METHODS[line.method], label=name, zorder=3)
    last = lines[-1]
    band = {"color": METHODS[last.method], "alpha": 0.16, "linewidth": 0, "zorder": 2}
    axis.fill_between(last.coverage, last.low, last.high, **band, label=f"{last.method}, 95 % interval")
    if majority is not None:
        axis.axhline(majority, color=MAJORITY, linewidth=1, linestyle="--", label="majority, of all rows")
    _gain(axis, last, marked)
    if own is not None:
        axis.plot(
            own.coverage,
            own.accuracy,
            marker="D",
            markersize=6,
            color=METHODS[last.method],
            markeredgecolor=INK,
            linestyle="none",
            label=own.label,
            zorder=4,
        )
    axis.set_xlim(0, 1.005)
    axis.set_ylim(top=1.005)
    axis.set_xlabel("share of the rows that is answered, the surest first")
    axis.set_ylabel("accuracy of these answers")
    figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def _gain(axis: Axes, line: Line, marked: float) -> None:
    """A ring at the marked coverage, and above the panel, where no line runs, what it gains."""
    here = int(np.argmin(np.abs(line.coverage - marked)))
    gain = line.accuracy[here] - line.accuracy[-1]
    axis.axvline(marked, color=INK, linewidth=0.8, linestyle=":", zorder=1)
    axis.plot(marked, line.accuracy[here], marker="o", markersize=7, mfc="none", mec=INK, zorder=4)
    said = f"{line.method}: {line.accuracy[here]:.3f} where {marked * 100:.0f} % are answered, {gain:+.3f} against all"
    axis.set_title(said, fontsize=9, fontweight="normal")
