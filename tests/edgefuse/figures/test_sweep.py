"""The curves over the shift show what they were given, and say so."""

from __future__ import annotations

import numpy as np

from edgefuse.figures.canvas import render
from edgefuse.figures.sweep import Line, curves

SHIFTS = np.linspace(-1, 1, 21)


def _line(title: str = "early fusion", metric: str = "macro-F1", *, seeds: int = 5, base: float = 0.6) -> Line:
    mean = base + 0.01 * np.sin(SHIFTS)
    noise = (None, None) if seeds == 1 else (base + 0.02, base + 0.04)
    return Line(title, metric, SHIFTS, mean, np.full(21, 0.0 if seeds == 1 else 0.01), seeds, *noise, chosen=12)


def test_every_panel_holds_its_curve_its_choice_and_both_lines_of_noise() -> None:
    grid = [[_line(), _line("late fusion", base=0.55)], [_line(metric="accuracy", base=0.7), _line(base=0.72)]]
    figure = curves(grid)
    for axis, line in zip(figure.axes, [line for row in grid for line in row], strict=True):
        found = {artist.get_label(): artist for artist in axis.lines}
        np.testing.assert_array_equal(found["mean over seeds"].get_ydata(), line.mean)
        assert found["noise alone: best of 21 means"].get_ydata()[0] == line.noise
        assert found["noise alone: best of 21 single runs"].get_ydata()[0] == line.single
        assert (found["chosen on macro-F1"].get_xdata()[0], found["chosen on macro-F1"].get_ydata()[0]) == (
            SHIFTS[12],
            line.mean[12],
        )
        (band,) = axis.collections
        edges = band.get_paths()[0].vertices[:, 1]
        assert edges.min() == (line.mean - 0.01).min()
        assert edges.max() == (line.mean + 0.01).max()
    early, late = figure.axes[:2]
    assert early.get_ylim() == late.get_ylim()  # to be compared
    assert [axis.get_title(loc="left") for axis in (early, late)] == ["early fusion", "late fusion"]


def test_one_seed_has_no_band_and_no_noise() -> None:
    (axis,) = curves([[_line(seeds=1)]]).axes
    assert not axis.collections
    assert {line.get_label() for line in axis.lines} == {"one seed", "chosen on macro-F1"}


def test_equal_sweeps_are_drawn_in_equal_bytes() -> None:
    assert render(curves([[_line()]]), "svg") == render(curves([[_line()]]), "svg")
