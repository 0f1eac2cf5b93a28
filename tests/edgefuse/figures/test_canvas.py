"""The style of all figures: colours that everybody tells apart, files that are whole and repeat."""

from __future__ import annotations

import io
import subprocess
import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgefuse.figures import canvas
from edgefuse_runtimes.errors import BadInput

VISION = {
    "full": np.eye(3),
    "no red cones": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "no green cones": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "no blue cones": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
"""How linear RGB is seen (Machado, Oliveira and Fernandes 2009, severity 1)."""


@canvas.house_style()
def draw(height: float = 1.0) -> Any:
    figure, [[left, right]] = canvas.panels(1, 2)
    left.plot([0, 1], [0, height], color=canvas.TEXT, label="text")
    left.legend()
    right.fill_between([0, 1], [0, 1], [1, 2], color=canvas.FUSED, clip_on=True)
    right.set_title("a title")
    return figure


def _lab(colour: str, seen: np.ndarray) -> np.ndarray:
    """CIELAB of a colour "#rrggbb" (D65) as it is seen."""
    rgb = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255  # (3,)
    linear = np.clip(seen @ np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4), 0, 1)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    ratio = to_xyz @ linear / np.array([0.9505, 1.0, 1.089])
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("vision", VISION)
def test_the_colours_of_two_methods_are_told_apart_by_everybody(vision: str) -> None:
    """A distance of 2.3 is just noticed side by side; thin lines want many times that."""
    for one, other in combinations(canvas.METHODS.values(), 2):
        assert np.linalg.norm(_lab(one, VISION[vision]) - _lab(other, VISION[vision])) > 15, (one, other)


@pytest.mark.parametrize("form", ["png", "svg"])
def test_equal_data_gives_equal_bytes(form: Any) -> None:
    assert canvas.render(draw(), form) == canvas.render(draw(), form)
    assert canvas.render(draw(), form) != canvas.render(draw(0.5), form)


@pytest.mark.parametrize("form", ["png", "svg"])
def test_another_process_gives_the_same_bytes(form: Any, tmp_path: Path) -> None:
    path = tmp_path / f"f.{form}"
    code = (
        "import sys; from pathlib import Path; from edgefuse.figures import canvas\n"
        "with canvas.house_style():\n    figure, [[axes]] = canvas.panels()\n    axes.plot([0, 1], [0, 1])\n"
        f"canvas.save(figure, Path({str(path)!r}))\n"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    files = []
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
        assert done.stdout == "False\n"  # pyplot keeps every figure it made
        files.append(path.read_bytes())
    assert files[0] == files[1]


def test_a_figure_is_written_as_its_name_says(tmp_path: Path) -> None:
    canvas.save(draw(), tmp_path / "a" / "f.png")
    with Image.open(tmp_path / "a" / "f.png") as picture:
        assert picture.size == (2 * 3.5 * 160, 2.9 * 160)
    canvas.save(draw(), tmp_path / "f.svg")
    assert (tmp_path / "f.svg").read_bytes().startswith(b"<?xml")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["f.png"]


@pytest.mark.parametrize("name", ["f.jpg", "f"])
def test_another_ending_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"not \.png or \.svg"):
        canvas.save(draw(), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_settings_of_the_user_neither_reach_a_figure_nor_are_changed() -> None:
    import matplotlib

    plain = canvas.render(draw(), "png")
    with matplotlib.rc_context({"lines.linewidth": 9, "savefig.transparent": True}):
        assert canvas.render(draw(), "png") == plain
        assert matplotlib.rcParams["lines.linewidth"] == 9
    assert Image.open(io.BytesIO(plain)).convert("RGB").getpixel((0, 0)) == (255, 255, 255)
