"""The figures of a report, out of what a study found."""

from __future__ import annotations

from edgefuse.figures.canvas import Figure, render
from edgefuse.figures.sweep import curves
from edgefuse.sweep.report import lines
from edgefuse.sweep.running import Sweep

__all__ = ["Figure", "render", "sweep_of"]


def sweep_of(sweep: Sweep) -> Figure:
    """Accuracy and macro-F1 over the shift."""
    return curves(lines(sweep.swept))
