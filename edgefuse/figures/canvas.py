"""What all figures share: colours, sizes, and how one becomes a file.

Figures are made with matplotlib's objects alone: no pyplot, whose global state and windows a library has no use
for. A module that draws one decorates its function, and begins with `panels`:

    @house_style()
    def draw(...) -> Figure:
        figure, axes = panels(1, 2)

Colours are those of Okabe and Ito (Color Universal Design, 2008), which people of all kinds of colour vision tell
apart, with their orange made a little darker to be seen as a thin line on white.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeAlias

from edgefuse.extras import importable
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import write_bytes

Figure: TypeAlias = Any
"""A matplotlib.figure.Figure; the library comes with an extra, and is imported when something is drawn."""
Axes: TypeAlias = Any
"""A matplotlib.axes.Axes."""
Format = Literal["png", "svg"]

TEXT, IMAGE, FUSED, MAJORITY = "#0072b2", "#e08a00", "#009e73", "#5e5e5e"
METHODS = {"majority": MAJORITY, "text_only": TEXT, "image_only": IMAGE, "fused": FUSED}
"""The colour of each method, by its name in every table of figures."""
INK, FAINT = "#262626", "#d9d9d9"
"""Of words and axes; of grids and other lines that only help the eye."""

PANEL = (3.5, 2.9)
"""Inches (width, height) of one panel: two side by side fill a printed page or a report's column."""

STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that it is the same everywhere
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.prop_cycle": "cycler('color', ['0072b2', 'e08a00', '009e73', '5e5e5e', 'cc79a7', '56b4e9'])",
    "axes3d.grid": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.5,
    "text.color": INK,
    "text.parse_math": False,  # a name with two dollar signs is no formula
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.6,
    "lines.markersize": 4,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "figure.titlesize": 11,
    "figure.titleweight": "bold",
    "figure.facecolor": "white",
    "savefig.dpi": 160,
    "svg.fonttype": "path",  # letters as shapes: a page shows them alike on every machine
    "svg.hashsalt": "edgefuse",  # in place of a random one: equal data gives equal bytes
}

PLAIN: dict[Format, dict[str, None]] = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}
"""What matplotlib would note in a file, and what would make two files of the same data differ."""


@contextmanager
def house_style() -> Iterator[None]:
    """The style, for a block or as a decorator; matplotlib's own settings are as before afterwards.

    Raises:
        BadInput: matplotlib is not installed.
    """
    matplotlib = importable("matplotlib", "report")
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # a user's own matplotlibrc must not change a report
        matplotlib.rcParams.update(STYLE)
        yield


def panels(
    rows: int = 1, columns: int = 1, *, size: tuple[float, float] = PANEL, **options: Any
) -> tuple[Figure, list[list[Axes]]]:
    """A figure with rows x columns axes, each of `size` inches; `options` are those of `Figure.subplots`."""
    width, height = size
    figure = importable("matplotlib.figure", "report").Figure(
        figsize=(columns * width, rows * height), layout="constrained"
    )
    axes = figure.subplots(rows, columns, squeeze=False, **options)  # (rows, columns)
    return figure, axes.tolist()


def render(figure: Figure, form: Format, *, ground: bool = True) -> bytes:
    """The figure as the bytes of a PNG or SVG file, on white or on no ground; equal figures give equal bytes."""
    data = io.BytesIO()
    with house_style():
        figure.savefig(data, format=form, metadata=PLAIN[form], transparent=not ground)
    return data.getvalue()


def save(figure: Figure, path: Path) -> None:
    """Write the figure at `path`, whole or not at all, as its ending says: .png or .svg.

    Raises:
        BadInput: the path ends otherwise.
    """
    match path.suffix:
        case ".png":
            write_bytes(path, render(figure, "png"))
        case ".svg":
            write_bytes(path, render(figure, "svg"))
        case other:
            raise BadInput(f"A figure cannot be written as {path.name}: {other or 'no ending'} is not .png or .svg.")
