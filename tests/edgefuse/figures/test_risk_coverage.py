"""Accuracy against coverage, drawn."""

from __future__ import annotations

import numpy as np
import pytest

from edgefuse.figures.risk_coverage import Line, Point, draw

pytest.importorskip("matplotlib", reason="draws")

COVERAGE = np.array([0.2, 0.4, 0.6, 0.8, 1.0])
IMAGE = Line("image_only", COVERAGE, np.array([0.9, 0.8, 0.7, 0.6, 0.55]), *np.full((2, 5), 0.5))
FUSED = Line("fused", COVERAGE, np.array([1, 0.9, 0.8, 0.7, 0.625]), np.full(5, 0.4), np.full(5, 0.9))


def test_every_method_has_its_line_and_the_gain_is_told() -> None:
    [axis] = draw([IMAGE, FUSED], marked=0.8, majority=0.3).axes
    lines = {line.get_label(): line.get_ydata() for line in axis.lines}
    np.testing.assert_array_equal(lines["image-only"], IMAGE.accuracy)
    np.testing.assert_array_equal(lines["fused"], FUSED.accuracy)
    assert set(lines["majority, of all rows"]) == {0.3}
    assert axis.get_title(loc="left") == "fused: 0.700 where 80 % are answered, +0.075 against all"


def test_the_heads_own_threshold_is_a_point() -> None:
    [axis] = draw([FUSED], marked=0.8, own=Point(0.5, 0.85, "own")).axes
    [point] = [line for line in axis.lines if line.get_label() == "own"]
    assert (list(point.get_xdata()), list(point.get_ydata())) == ([0.5], [0.85])
