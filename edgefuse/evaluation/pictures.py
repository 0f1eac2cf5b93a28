"""The figures of an evaluation, drawn from what evaluation.json holds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgefuse.figures import confusion, reliability, risk_coverage
from edgefuse.figures.canvas import METHODS, Figure, save
from edgefuse.figures.reliability import Curve
from edgefuse.figures.risk_coverage import Line, Point

HEADS = ("text_only", "image_only", "fused")


def figures_of(evaluation: Mapping[str, Any]) -> dict[str, Figure]:
    """By name: "reliability" of the fused head, "risk-coverage" and "confusion" of all heads.

    Multilabel evaluations have the first one only.

    Raises:
        BadInput: matplotlib is not installed.
    """
    found = {"reliability": _reliability(evaluation["calibration"]["methods"]["fused"])}
    if evaluation["referral"] is not None:
        majority = evaluation["metrics"]["majority"]["accuracy"]
        found["risk-coverage"] = _risk_coverage(evaluation["referral"], majority)
        found["confusion"] = confusion.draw(
            [
                confusion.Matrix(_name(method), METHODS[method], np.array(evaluation["confusion"][method]))
                for method in HEADS
            ],
            evaluation["classes"],
        )
    return found


def write_figures(evaluation: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write every figure as PNG and SVG; returns where."""
    paths = []
    for name, figure in figures_of(evaluation).items():
        for ending in (".png", ".svg"):
            save(figure, folder / f"{name}{ending}")
            paths.append(folder / f"{name}{ending}")
    return paths


def _reliability(fused: Mapping[str, Any]) -> Figure:
    titles = {"before": "fused, at temperature 1", "after": "fused, after temperature scaling"}
    return reliability.draw([_curve(title, fused[when]) for when, title in titles.items()])


def _curve(title: str, found: Mapping[str, Any]) -> Curve:
    bins, expected = found["reliability"], found["ece_if_calibrated"]
    unknown = [np.nan, np.nan]
    rows, chance, accuracy = (np.array([each[name] for each in bins], float) for name in ("rows", "chance", "accuracy"))
    return Curve(
        title,
        METHODS["fused"],
        rows,
        chance,
        accuracy,
        expected=np.array([each["accuracy_if_calibrated"] or unknown for each in bins]),
        error=found["ece"],
        chance_error=(expected["mean"], *expected["range"]),
    )


def _risk_coverage(referral: Mapping[str, Any], majority: float) -> Figure:
    lines = []
    for method in HEADS:
        curve = referral["methods"][method]["curve"]
        coverage, accuracy = (np.array([point[name] for point in curve]) for name in ("coverage", "accuracy"))
        intervals = [point["interval"] or [point["accuracy"]] * 2 for point in curve]
        lines.append(Line(method, coverage, accuracy, *np.array(intervals).T))
    own, point = referral["methods"]["fused"]["threshold"], None
    if own is not None and own["accuracy"]["value"] is not None:
        label = "fused at its own threshold" + ("" if own["threshold"] is None else f", {own['threshold'] * 100:.0f} %")
        point = Point(own["coverage"]["value"], own["accuracy"]["value"], label)
    return risk_coverage.draw(lines, marked=referral["coverage"], majority=majority, own=point)


def _name(method: str) -> str:
    return method.replace("_", "-")
