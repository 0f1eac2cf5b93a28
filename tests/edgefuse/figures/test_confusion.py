"""Confusion matrices, drawn."""

from __future__ import annotations

import numpy as np
import pytest

from edgefuse.figures.canvas import FUSED, INK, TEXT
from edgefuse.figures.confusion import Matrix, draw

pytest.importorskip("matplotlib", reason="draws")

COUNTS = np.array([[9, 1], [0, 4]])


def test_every_count_stands_in_its_cell_and_is_shaded_by_its_share() -> None:
    figure = draw([Matrix("text-only", TEXT, COUNTS), Matrix("fused", FUSED, COUNTS)], ["mel", "nv"])
    first, second = figure.axes
    cells = {(text.get_position()[1], text.get_position()[0]): text for text in first.texts}
    assert {place: text.get_text() for place, text in cells.items()} == {(0, 0): "9", (0, 1): "1", (1, 1): "4"}
    assert cells[0, 0].get_color() == "white"  # on dark blue
    assert cells[0, 1].get_color() == INK
    np.testing.assert_allclose(first.images[0].get_array(), [[0.9, 0.1], [0, 1]])
    assert [label.get_text() for label in first.get_yticklabels()] == ["mel (10)", "nv (4)"]
    assert second.get_title(loc="left") == "fused"


def test_a_class_without_rows_is_white() -> None:
    [axis] = draw([Matrix("fused", FUSED, np.array([[3, 0], [0, 0]]))], ["mel", "nv"]).axes
    np.testing.assert_array_equal(axis.images[0].get_array(), [[1, 0], [0, 0]])
