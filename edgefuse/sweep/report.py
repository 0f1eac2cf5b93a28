"""A finished sweep as files, a page and a figure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from edgefuse.figures.sweep import Line
from edgefuse.sweep.cells import Result
from edgefuse.sweep.choice import Curve, Swept
from edgefuse.sweep.log import to_json


def csv_of(results: Iterable[Result]) -> bytes:
    """The cells as CSV, in a fixed order."""
    text = io.StringIO(newline="")
    rows = [to_json(result) for result in sorted(results, key=lambda result: result.cell)]
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def description(swept: Sequence[Swept]) -> dict[str, Any]:
    """Means, spread, noise and choice by kind of fusion, as plain JSON types."""
    return {
        one.fusion: {
            "shifts": list(one.shifts),
            "seeds": one.seeds,
            "accuracy": _curve(one.accuracy),
            "macro_f1": _curve(one.macro_f1),
            "best_shift": one.shifts[one.best],
            "chosen_shift": one.shifts[one.chosen],
        }
        for one in swept
    }


def summary(swept: Iterable[Swept]) -> list[str]:
    """The choice of each kind of fusion as lines."""
    told = []
    for one in swept:
        curve, shifts = one.macro_f1, one.shifts
        told.append(f"{one.fusion}: take shift {shifts[one.chosen]:g}, with macro-F1 {_at(curve, one.chosen)}")
        if one.best != one.chosen:
            told.append(f"  best: {_at(curve, one.best)} at {shifts[one.best]:g}")
        if 0.0 in shifts and one.chosen != shifts.index(0.0):
            told.append(f"  unshifted: {_at(curve, shifts.index(0.0))}")
        if curve.noise is None:
            told.append("  One seed tells nothing about noise; take more with --seeds.")
            continue
        noise = curve.noise
        told.append(
            f"  If no shift mattered, the best of {len(shifts)} would reach about {noise.of_means:.3f} (of single runs "
            f"{noise.of_single_runs:.3f}),\n  and what was found here in {100 * noise.chance:.0f} of 100 sweeps."
        )
    return told


def lines(swept: Sequence[Swept]) -> list[list[Line]]:
    """What the figure draws: accuracy above macro-F1, a column for each kind of fusion."""
    return [
        [
            Line(
                title=f"{one.fusion} fusion",
                metric=metric,
                shifts=np.array(one.shifts),
                mean=curve.mean,
                deviation=curve.deviation,
                seeds=one.seeds,
                noise=None if curve.noise is None else curve.noise.of_means,
                single=None if curve.noise is None else curve.noise.of_single_runs,
                chosen=one.chosen,
            )
            for one in swept
            for curve in [getattr(one, key)]
        ]
        for metric, key in (("accuracy", "accuracy"), ("macro-F1", "macro_f1"))
    ]


def _at(curve: Curve, k: int) -> str:
    return f"{curve.mean[k]:.3f}" + ("" if curve.noise is None else f" ± {curve.deviation[k]:.3f}")


def _curve(curve: Curve) -> dict[str, Any]:
    noise = curve.noise
    return {
        "mean": curve.mean.tolist(),
        "deviation": curve.deviation.tolist(),
        "noise": None
        if noise is None
        else {
            "deviation": noise.deviation,
            "residual": noise.residual,
            "chance": noise.chance,
            "best_of_means": noise.of_means,
            "best_of_single_runs": noise.of_single_runs,
        },
    }
