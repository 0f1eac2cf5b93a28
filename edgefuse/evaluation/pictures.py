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
from edgefuse.metrics.classification import ratio

HEADS = ("text_only", "image_only", "fused")
OUTCOMES = ("found", "missed", "said wrongly", "rightly not said")
"""Of a multilabel class."""


def figures_of(evaluation: Mapping[str, Any]) -> dict[str, Figure]:
    """By name: "reliability" of the fused head, "confusion" and, but for multilabel, "risk-coverage" of all heads.

    Raises:
        BadInput: matplotlib is not installed.
    """
    found = {
        "reliability": _reliability(evaluation["calibration"]["methods"]["fused"]),
        "confusion": _confusion(evaluation),
    }
    if evaluation["referral"] is not None:
        majority = evaluation["metrics"]["majority"]["accuracy"]
        found["risk-coverage"] = _risk_coverage(evaluation["referral"], majority)
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


def _confusion(evaluation: Mapping[str, Any]) -> Figure:
    """Shades are shares of the class's rows; what was said wrongly is shaded by its share of the other rows."""
    classes, counts = evaluation["classes"], evaluation["rows_per_class"]
    matrices = []
    for method in HEADS:
        matrix = np.array(evaluation["confusion"][method])  # (K, K), multilabel: (K, 2, 2)
        shares = ratio(matrix, matrix.sum(axis=-1, keepdims=True))
        if matrix.ndim == 3:  # of each class: has it and was said to have it, has it and was not, ...
            matrix, shares = (each[:, ::-1, ::-1].reshape(len(classes), 4) for each in (matrix, shares))
        matrices.append(confusion.Matrix(_name(method), METHODS[method], matrix, np.nan_to_num(shares)))
    rows = [f"{name} ({counts[name]})" for name in classes]
    if evaluation["task"] == "multilabel":
        return confusion.draw(matrices, rows, OUTCOMES, "rows with the class, and without it")
    return confusion.draw(matrices, rows, classes, "answered as")


def _name(method: str) -> str:
    return method.replace("_", "-")
