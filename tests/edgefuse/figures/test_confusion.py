"""Confusion matrices, drawn."""

from __future__ import annotations

import numpy as np
import pytest

from edgefuse.figures.canvas import FUSED, INK, TEXT
from edgefuse.figures.confusion import Matrix, draw

pytest.importorskip("matplotlib", reason="draws")

COUNTS, SHARES = np.array([[9, 1], [0, 4]]), np.array([[0.9, 0.1], [0, 1]])


def test_every_count_stands_in_its_cell_and_is_shaded_by_its_share() -> None:
    matrices = [Matrix("text-only", TEXT, COUNTS, SHARES), Matrix("fused", FUSED, COUNTS, SHARES)]
    first, second = draw(matrices, ["mel (10)", "nv (4)"], ["mel", "nv"], "answered as").axes
    cells = {(text.get_position()[1], text.get_position()[0]): text for text in first.texts}
    assert {place: text.get_text() for place, text in cells.items()} == {(0, 0): "9", (0, 1): "1", (1, 1): "4"}
    assert cells[0, 0].get_color() == "white"  # on dark blue
    assert cells[0, 1].get_color() == INK
    np.testing.assert_array_equal(first.images[0].get_array(), SHARES)
    assert [label.get_text() for label in first.get_yticklabels()] == ["mel (10)", "nv (4)"]
    assert first.get_xlabel() == "answered as"
    assert second.get_title(loc="left") == "fused"


def test_rows_and_columns_may_differ() -> None:
    [axis] = draw(
        [Matrix("fused", FUSED, np.ones((2, 3), int), np.ones((2, 3)) / 3)], ["a", "b"], ["x", "y", "z"], ""
    ).axes
    assert [label.get_text() for label in axis.get_xticklabels()] == ["x", "y", "z"]
    assert len(axis.texts) == 6
