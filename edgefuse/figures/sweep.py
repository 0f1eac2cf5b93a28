"""A metric over the shift: the method's Figures 4 to 6, with the spread over seeds and what noise alone would give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgefuse.figures.canvas import FUSED, INK, MAJORITY, Axes, Figure, house_style, panels

Doubles = NDArray[np.float64]


class Line(NamedTuple):
    """One panel's content."""

    title: str
    metric: str
    shifts: Doubles
    """(L,) ascending"""
    mean: Doubles
    """(L,): over the seeds"""
    deviation: Doubles
    """(L,): over the seeds; 0 where there is one"""
    seeds: int
    noise: float | None
    """The best of L means that noise alone would give; None with one seed."""
    single: float | None
    """The best of L single runs that noise alone would give."""
    chosen: int
    """Number of the shift that was chosen."""


@house_style()
def curves(lines: Sequence[Sequence[Line]]) -> Figure:
    """A grid of panels: a row for each metric, a column for each kind of fusion; a row has one scale."""
    figure, axes = panels(len(lines), len(lines[0]), size=(3.7, 2.7), sharex=True, sharey="row")
    for row, found in zip(axes, lines, strict=True):
        for axis, line in zip(row, found, strict=True):
            _panel(axis, line)
        row[0].set_ylabel(f"{found[0].metric}, validation")
    for axis, line in zip(axes[0], lines[0], strict=True):
        axis.set_title(line.title)
    for axis in axes[-1]:
        axis.set_xlabel("shift λ   (−1 widens the gap, 1 closes it)")
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


def _panel(axis: Axes, line: Line) -> None:
    shifts, mean, deviation = line.shifts, line.mean, line.deviation
    one = line.seeds == 1
    if not one:
        label = f"± deviation over {line.seeds} seeds"
        axis.fill_between(shifts, mean - deviation, mean + deviation, color=FUSED, alpha=0.22, linewidth=0, label=label)
    axis.plot(shifts, mean, color=FUSED, marker="o", markersize=3, label="one seed" if one else "mean over seeds")
    for value, style, what in ((line.noise, "--", "means"), (line.single, ":", "single runs")):
        if value is not None:
            label = f"noise alone: best of {len(shifts)} {what}"
            axis.axhline(value, color=MAJORITY, linewidth=1, linestyle=style, label=label)
    axis.plot(
        shifts[line.chosen],
        mean[line.chosen],
        marker="o",
        markersize=9,
        markerfacecolor="none",
        markeredgecolor=INK,
        linestyle="none",
        label="chosen on macro-F1",
    )
    axis.set_xlim(shifts.min() - 0.06, shifts.max() + 0.06)
    axis.set_xticks([tick for tick in (-1, -0.5, 0, 0.5, 1) if shifts.min() <= tick <= shifts.max()])
