"""The modalities as points: in their colours, within the unit circle, before and after."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import to_hex

from edgefuse.figures.canvas import IMAGE, TEXT, render
from edgefuse.figures.gap import MOST, Cloud, plane, space


def _cloud(name: str = "drawn", n: int = 50) -> Cloud:
    rng = np.random.default_rng(0)
    sides = [rng.normal(size=(n, 3)) * 0.1 + middle for middle in (-0.6, 0.5, -0.05, 0.05)]
    return Cloud(name, *sides, shift=0.9, gaps=(1.9, 0.17))


def test_a_row_of_panels_for_each_data_set_shows_both_modalities_before_and_after() -> None:
    one, other = _cloud("medical"), _cloud("everyday")
    figure = plane([one, other])
    assert [axis.get_title(loc="left") for axis in figure.axes] == [
        "medical: gap 1.90",
        "shifted by 0.9: gap 0.17",
        "everyday: gap 1.90",
        "shifted by 0.9: gap 0.17",
    ]
    shown = [(one.text, one.image), (one.shifted_text, one.shifted_image)] * 2
    for axis, (text, image) in zip(figure.axes, shown, strict=True):
        for points, colour, wanted in zip(axis.collections, (TEXT, IMAGE), (text, image), strict=True):
            np.testing.assert_array_equal(points.get_offsets(), wanted[:, :2])
            assert to_hex(points.get_facecolor()[0]) == colour
        (circle,) = axis.lines
        np.testing.assert_allclose(np.hypot(*circle.get_data()), 1)
        assert axis.get_aspect() == 1


def test_space_has_three_components_and_three_circles_of_the_unit_sphere() -> None:
    figure = space([_cloud()])
    for axis in figure.axes:
        assert axis.name == "3d"
        for circle in axis.lines:
            np.testing.assert_allclose(np.linalg.norm(np.array(circle.get_data_3d()), axis=0), 1)
        assert len(axis.lines) == 3
    assert render(figure, "png") == render(space([_cloud()]), "png")


def test_many_points_are_thinned() -> None:
    figure = plane([_cloud(n=MOST + 500)])
    assert {len(points.get_offsets()) for axis in figure.axes for points in axis.collections} == {MOST}
