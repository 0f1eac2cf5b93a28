"""The reliability plot: what its panels hold."""

from __future__ import annotations

import numpy as np
import pytest

from edgefuse.figures.canvas import FUSED, render
from edgefuse.figures.reliability import Curve, draw

pytest.importorskip("matplotlib", reason="draws")

CURVE = Curve(
    title="fused",
    color=FUSED,
    rows=np.array([0.0, 3, 10, 40]),
    chance=np.array([np.nan, 0.4, 0.6, 0.9]),
    accuracy=np.array([np.nan, 0.0, 0.7, 0.8]),
    expected=np.array([[np.nan, np.nan], [0, 1], [0.3, 0.9], [0.8, 1]]),
    error=0.123,
    chance_error=(0.05, 0.02, 0.09),
)


def test_points_lie_where_claims_are_and_counts_below_them() -> None:
    figure = draw([CURVE, CURVE])
    upper, lower = figure.axes[0], figure.axes[2]
    [points] = [line for line in upper.lines if line.get_label() == "this model"]
    np.testing.assert_array_equal(points.get_xdata(), [0.4, 0.6, 0.9])
    np.testing.assert_array_equal(points.get_ydata(), [0.0, 0.7, 0.8])
    assert [bar.get_height() for bar in lower.patches] == [0, 3, 10, 40]
    assert [bar.get_x() for bar in lower.patches] == [0, 0.25, 0.5, 0.75]
    [bars] = [each for each in upper.collections if "calibrated" in str(each.get_label())]
    assert [segment[:, 1].tolist() for segment in bars.get_segments()] == [[0, 1], [0.3, 0.9], [0.8, 1]]


def test_the_error_stands_beside_what_chance_gives() -> None:
    [text] = draw([CURVE]).axes[0].texts
    assert text.get_text() == "ECE 0.123\na calibrated model's: 0.050\n(0.020 to 0.090)"


def test_equal_data_gives_equal_bytes() -> None:
    assert render(draw([CURVE]), "svg") == render(draw([CURVE]), "svg")
