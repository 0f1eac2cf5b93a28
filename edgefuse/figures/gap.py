"""Text and image vectors as points, before and after the shift: the method's Figures 2 (in a plane) and 3 (in space).

The axes are principal components of both modalities together, fitted before the shift and kept after it, so that the
two panels can be compared. Coordinates are taken from the origin, not from the mean: vectors have length 1, so all
points lie within the unit circle or sphere that is drawn around it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgefuse.figures.canvas import FAINT, IMAGE, INK, MAJORITY, TEXT, Axes, Figure, house_style, panels
from edgefuse.modality_gap import Fit, components
from edgefuse.modality_gap import gap as measured

Points = NDArray[np.floating]

MOST = 1000
"""Points drawn of a modality; more would hide one another."""
WIDE = (3.4, 3.5)
"""Inches of a panel, which is square but for its words."""


class Cloud(NamedTuple):
    """The points of one data set."""

    name: str
    text: Points
    """(n, 3): by their first three components"""
    image: Points
    """(n, 3)"""
    shifted_text: Points
    shifted_image: Points
    shift: float
    """lambda of the shifted ones"""
    gaps: tuple[float, float]
    """Length of the gap before and after, in all coordinates."""


def cloud(name: str, fitted: Fit) -> Cloud:
    """The points of one table's training rows, whose alignment has a gap to shift along."""
    before = fitted.before()
    after = fitted.after(before)
    axes = components(before, 3).astype(np.float32)  # (w, 3): the same after the shift, to compare
    return Cloud(
        name,
        text=before.text @ axes,
        image=before.image @ axes,
        shifted_text=after.text @ axes,
        shifted_image=after.image @ axes,
        shift=fitted.alignment.shift,
        gaps=(measured(before), measured(after)),
    )


@house_style()
def plane(clouds: Sequence[Cloud]) -> Figure:
    """Two panels for each data set, before and after: the first two components within the unit circle."""
    figure, axes = panels(len(clouds), 2, size=WIDE)
    for row, cloud in zip(axes, clouds, strict=True):
        for axis, (title, text, image) in zip(row, _states(cloud), strict=True):
            turn = np.linspace(0, 2 * np.pi, 181)
            axis.plot(np.cos(turn), np.sin(turn), color=INK, linewidth=0.7)
            for points, colour, label in ((text, TEXT, "text"), (image, IMAGE, "image")):
                _scatter(axis, points[:, :2], colour, label)
            axis.set(xlim=(-1.06, 1.06), ylim=(-1.06, 1.06), aspect="equal", xlabel="component 1")
            axis.set_xticks([-1, -0.5, 0, 0.5, 1])
            axis.set_yticks([-1, -0.5, 0, 0.5, 1])
            axis.set_title(title)
        row[0].set_ylabel("component 2")
    _legend(figure, axes[0][0])
    return figure


@house_style()
def space(clouds: Sequence[Cloud]) -> Figure:
    """Two panels for each data set, before and after: the first three components within the unit sphere."""
    figure, axes = panels(len(clouds), 2, size=WIDE, subplot_kw={"projection": "3d"})
    for row, cloud in zip(axes, clouds, strict=True):
        for axis, (title, text, image) in zip(row, _states(cloud), strict=True):
            axis.computed_zorder = False  # the circles behind the points
            _sphere(axis)
            for points, colour, label in ((text, TEXT, "text"), (image, IMAGE, "image")):
                _scatter(axis, points, colour, label)
            axis.set(xlim=(-1, 1), ylim=(-1, 1), zlim=(-1, 1))
            for number, side in enumerate((axis.xaxis, axis.yaxis, axis.zaxis), start=1):
                side.set_ticks([-0.5, 0, 0.5])
                side.set_tick_params(pad=-2)
                side.set_label_text(f"component {number}")
                side.labelpad = -3 if number < 3 else 0
                side.set_pane_color("white")
                side.pane.set_edgecolor(FAINT)
            axis.set_box_aspect((1, 1, 1), zoom=0.9)
            axis.view_init(elev=20, azim=-60)
            axis.set_title(title, pad=-14)
    _legend(figure, axes[0][0])
    return figure


def _states(cloud: Cloud) -> list[tuple[str, Points, Points]]:
    before, after = cloud.gaps
    return [
        (f"{cloud.name}: gap {before:.2f}", cloud.text, cloud.image),
        (f"shifted by {cloud.shift:g}: gap {after:.2f}", cloud.shifted_text, cloud.shifted_image),
    ]


def _scatter(axis: Axes, points: Points, colour: str, label: str) -> None:
    if len(points) > MOST:
        points = points[np.random.default_rng(0).choice(len(points), MOST, replace=False)]
    axis.scatter(*points.T, s=7, color=colour, alpha=0.45, linewidths=0, label=label, rasterized=True)


def _sphere(axis: Axes) -> None:
    turn = np.linspace(0, 2 * np.pi, 121)
    around, still = (np.cos(turn), np.sin(turn)), np.zeros_like(turn)
    for circle in ((*around, still), (around[0], still, around[1]), (still, *around)):
        axis.plot(*circle, color=MAJORITY, linewidth=0.5, zorder=0)


def _legend(figure: Figure, axis: Axes) -> None:
    handles, labels = axis.get_legend_handles_labels()
    legend = figure.legend(handles, labels, loc="outside lower center", ncols=2, markerscale=2.5)
    for handle in legend.legend_handles:
        handle.set_alpha(1)
