"""`edgefuse gap`: the gap between the modalities of one table or several, side by side."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from edgefuse.commands.options import FOLDER, FiniteRange
from edgefuse.commands.training_options import match_option
from edgefuse.embeddings.table import open_table
from edgefuse.extras import importable
from edgefuse.figures.canvas import save
from edgefuse.figures.gap import Cloud, cloud, plane, space
from edgefuse.modality_gap import Fit, Pair, fit, measure, to_json
from edgefuse.progress import bar
from edgefuse.training import align
from edgefuse_runtimes.errors import BadInput

EXAMPLE = """\b
Examples: edgefuse gap V
          edgefuse gap V-medical V-everyday --shift 0.5 --figures figures"""

LINES = (
    ("length of the gap", "gap", None, ".4f"),
    ("cosine of the two means", "cosine_of_means", None, ".4f"),
    ("mean resultant length R, text", "mean_resultant_length", "text", ".4f"),
    ("mean resultant length R, image", "mean_resultant_length", "image", ".4f"),
    ("variance, joint PCA, text", "variance_joint_pca", "text", ".2e"),
    ("variance, joint PCA, image", "variance_joint_pca", "image", ".2e"),
    ("variance, all, text", "variance", "text", ".2e"),
    ("variance, all, image", "variance", "image", ".2e"),
)
"""Of the page: what is said, where it is in the JSON, its modality, and how it is written."""


@click.command("gap", epilog=EXAMPLE)
@click.argument("table_folders", metavar="V [V ...]", nargs=-1, required=True, type=FOLDER)
@match_option
@click.option(
    "--shift",
    type=FiniteRange(-1, 1),
    default=1.0,
    show_default=True,
    help="How far the gap is closed (1) or widened (-1) in what is measured after the shift.",
)
@click.option("--figures", type=FOLDER, help="Draw both modalities in 2-D and 3-D into this folder, as PNG and SVG.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the page.")
def command(
    table_folders: tuple[Path, ...], match: align.Method, shift: float, figures: Path | None, as_json: bool
) -> None:
    """Measure the gap between text and image vectors of the embedding tables V, before and after the shift.

    Training rows alone are read, at length 1 and in one width: where the encoders' widths differ, they are matched
    first. Variance is given by two definitions: the mean over the first two principal components of both modalities
    together, as the method's authors have it, and the mean over all coordinates.
    """
    if figures is not None:
        importable("matplotlib", "report")  # before the work, not after it
    told, clouds = [], []
    for folder in bar("tables", table_folders, len(table_folders)):
        fitted = fit(open_table(folder), match, shift)
        if fitted.alignment.gap is None:
            raise BadInput(
                f"The text and image vectors of {folder} have unequal widths, and between those there is no gap; "
                "take another --match than none."
            )
        before = fitted.before()
        after = fitted.after(before)
        told.append(description(fitted, before, after))
        if figures is not None:
            clouds.append(cloud(folder.absolute().name, fitted))
    if figures is not None:
        _draw(clouds, figures)
    for line in [json.dumps({"tables": told})] if as_json else summary(told):
        click.echo(line)


def description(fitted: Fit, before: Pair, after: Pair) -> dict[str, Any]:
    """The measures of one table, as plain JSON types."""
    table = fitted.table
    return {
        "table": str(table.folder),
        "dataset": table.dataset["name"],
        "rows": len(before.text),
        "widths": {"text": table.text.shape[1], "image": table.image.shape[1]},
        "matching": fitted.matching.method,
        "width": before.text.shape[1],
        "shift": fitted.alignment.shift,
        "before": to_json(measure(before)),
        "after": to_json(measure(after)),
    }


def summary(told: list[dict[str, Any]]) -> list[str]:
    """The measures as lines, with two columns for each table."""

    def line(name: str, cells: Iterable[object]) -> str:
        return (f"{name:<30}" + "".join(f"{cell:>12}" for cell in cells)).rstrip()

    def pairs(values: Iterable[object]) -> list[object]:
        return [cell for value in values for cell in (value, "")]

    lines = [
        " " * 30 + "".join(f"{_name(one)[:23]:>24}" for one in told),
        line("", [cell for one in told for cell in ("before", f"shift {one['shift']:g}")]),
        line("training rows", pairs(one["rows"] for one in told)),
        line("width", pairs(one["width"] for one in told)),
    ]
    for name, key, modality, form in LINES:
        found = [one[state][key] for one in told for state in ("before", "after")]
        lines.append(line(name, [format(value if modality is None else value[modality], form) for value in found]))
    for one in told:
        widths = one["widths"]
        if one["matching"] != "none":
            lines.append(
                f"{_name(one)}: text of {widths['text']} and image of {widths['image']} numbers were brought to "
                f"{one['width']} first, by {one['matching']}."
            )
    return lines


def _name(told: dict[str, Any]) -> str:
    return Path(told["table"]).absolute().name


def _draw(clouds: list[Cloud], folder: Path) -> None:
    for name, draw in (("gap-2d", plane), ("gap-3d", space)):
        figure = draw(clouds)
        for ending in ("png", "svg"):
            save(figure, folder / f"{name}.{ending}")
            click.echo(f"{folder / name}.{ending}", err=True)
