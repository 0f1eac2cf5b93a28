"""The figures of a report, out of what a study found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from edgefuse.embeddings import Table
from edgefuse.figures import gap
from edgefuse.figures.canvas import Figure, render
from edgefuse.figures.sweep import curves
from edgefuse.modality_gap import fit
from edgefuse.sweep.report import lines
from edgefuse.sweep.running import Sweep
from edgefuse.training import align

__all__ = ["Clouds", "Figure", "gaps_of", "render", "sweep_of"]


class Clouds(NamedTuple):
    """Both figures of the gap."""

    plane: Figure
    space: Figure


def sweep_of(sweep: Sweep) -> Figure:
    """Accuracy and macro-F1 over the shift."""
    return curves(lines(sweep.swept))


def gaps_of(tables: Mapping[str, Table], match: align.Method) -> Clouds | None:
    """Text and image vectors of every table before and after the shift; None where widths stay unequal."""
    fitted = {name: fit(table, match) for name, table in tables.items()}
    clouds = [gap.cloud(name, one) for name, one in fitted.items() if one.alignment.gap is not None]
    return Clouds(gap.plane(clouds), gap.space(clouds)) if clouds else None
