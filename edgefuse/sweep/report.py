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
    lines = []
    for one in swept:
        curve, shifts = one.macro_f1, one.shifts
        lines.append(
            f"{one.fusion}: shift {shifts[one.chosen]:g} chosen, macro-F1 {_at(curve, one.chosen)}; "
            f"best {_at(curve, one.best)} at {shifts[one.best]:g}"
            + (f", {_at(curve, shifts.index(0.0))} at 0" if 0.0 in shifts else "")
        )
        if curve.noise is None:
            lines.append("  one seed tells nothing about noise; take more with --seeds.")
            continue
        beyond = curve.mean[one.best] > curve.noise.of_means
        lines.append(
            f"  if no shift mattered, the best of {len(shifts)} would be about {curve.noise.of_means:.3f} by chance "
            f"({curve.noise.of_single_runs:.3f} of single runs): the best found is "
            f"{'above' if beyond else 'not above'} that."
        )
    return lines


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
            "best_of_means": noise.of_means,
            "best_of_single_runs": noise.of_single_runs,
        },
    }
