"""`edgefuse evaluate`: the only verb that reads test rows."""

from __future__ import annotations

from pathlib import Path

import click

from edgefuse.commands.options import FOLDER
from edgefuse.evaluation.page import render
from edgefuse.evaluation.pictures import write_figures
from edgefuse.evaluation.record import evaluate_folder
from edgefuse.extras import importable
from edgefuse.progress import ticking
from edgefuse_runtimes.machine import set_blas_threads


@click.command("evaluate", epilog="Example: edgefuse evaluate H")
@click.argument("head_folder", metavar="H", type=FOLDER)
@click.option("--table", "table_folder", type=FOLDER, help="The embedding table, where it was moved since training.")
@click.option(
    "--figures",
    type=FOLDER,
    help="Draw reliability, risk and coverage, and confusion into this folder, as PNG and SVG.",
)
def command(head_folder: Path, table_folder: Path | None, figures: Path | None) -> None:
    """Judge the head H, made by 'edgefuse train', on the test rows of its table.

    Prints accuracy, balanced accuracy, macro-F1 and AUROC beside those of the majority class, of the note alone and of
    the picture alone, with intervals, and how well the probabilities are calibrated. Writes all of it, and more, to
    H/evaluation.json.
    """
    if figures is not None:
        importable("matplotlib", "report")  # before the work, not after it
    set_blas_threads(1)  # as in training, so that the times of both can be compared
    with ticking("judging"):
        evaluation = evaluate_folder(head_folder, table_folder)
    for sentence in evaluation["warnings"]:
        click.echo(click.style(sentence, fg="red", bold=True), err=True)
    for line in render(evaluation):
        click.echo(line)
    if figures is not None:
        for path in write_figures(evaluation, figures):
            click.echo(path, err=True)
