"""How often claims of each probability are right, beside what a perfectly calibrated model would show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgefuse.figures.canvas import FAINT, INK, MAJORITY, PANEL, Axes, Figure, house_style, panels

Doubles = NDArray[np.float64]


class Curve(NamedTuple):
    """One panel's content; bins are of equal width from 0 to 1."""

    title: str
    color: str
    rows: Doubles
    """(b,): claims in each bin"""
    chance: Doubles
    """(b,): the mean probability claimed; NaN in an empty bin"""
    accuracy: Doubles
    """(b,): the share that is right"""
    expected: Doubles
    """(b, 2): where 95 % of the shares of a perfectly calibrated model would lie"""
    error: float
    """ECE"""
    chance_error: tuple[float, float, float]
    """The mean of a perfectly calibrated model's ECE, and its range"""


@house_style()
def draw(curves: Sequence[Curve]) -> Figure:
    """A panel for each curve, with the number of claims in every bin below it."""
    width, height = PANEL
    figure, axes = panels(
        2,
        len(curves),
        size=(width, height * 0.72),
        sharex=True,
        sharey="row",
        gridspec_kw={"height_ratios": [4, 1]},
    )
    for upper, lower, curve in zip(*axes, curves, strict=True):
        _curve(upper, curve)
        _counts(lower, curve)
    axes[0][0].set_ylabel("share that is right")
    axes[1][0].set_ylabel("claims")
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


def _curve(axis: Axes, curve: Curve) -> None:
    known = curve.rows > 0
    chance, accuracy = curve.chance[known], curve.accuracy[known]
    low, high = curve.expected[known].T
    axis.plot([0, 1], [0, 1], color=MAJORITY, linewidth=0.9, linestyle="--", zorder=1, label="perfect calibration")
    axis.vlines(chance, low, high, color=FAINT, linewidth=7, zorder=1, label="95 % of a calibrated model's shares")
    axis.plot(chance, accuracy, color=curve.color, linewidth=1, alpha=0.5, zorder=2)
    points = {"color": curve.color, "marker": "o", "markersize": 5, "linestyle": "none", "clip_on": False}
    axis.plot(chance, accuracy, **points, zorder=3, label="this model")
    mean, lowest, highest = curve.chance_error
    said = f"ECE {curve.error:.3f}\na calibrated model's: {mean:.3f}\n({lowest:.3f} to {highest:.3f})"
    axis.text(0.98, 0.03, said, transform=axis.transAxes, ha="right", va="bottom", fontsize=8, color=INK)
    axis.set_title(curve.title)
    axis.set_xlim(0, 1)
    axis.set_ylim(0, 1)


def _counts(axis: Axes, curve: Curve) -> None:
    edges = np.linspace(0, 1, len(curve.rows) + 1)  # (b + 1,)
    axis.bar(edges[:-1], curve.rows, width=np.diff(edges), align="edge", color=curve.color, alpha=0.6, linewidth=0)
    axis.set_xlabel("probability claimed")
