"""`edgefuse evaluate`: the only verb that reads test rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgefuse.commands.options import FOLDER
from edgefuse.evaluation.record import evaluate_folder
from edgefuse.training.report import DRAWN, figure_lines


@click.command("evaluate", epilog="Example: edgefuse evaluate H")
@click.argument("head_folder", metavar="H", type=FOLDER)
@click.option("--table", "table_folder", type=FOLDER, help="The embedding table, where it was moved since training.")
def command(head_folder: Path, table_folder: Path | None) -> None:
    """Judge the head H, made by 'edgefuse train', on the test rows of its table.

    Prints accuracy and macro-F1 beside those of the majority class, of the note alone and of the picture
    alone, and writes them to H/evaluation.json.
    """
    for line in summary(evaluate_folder(head_folder, table_folder)):
        click.echo(line)


def summary(evaluation: dict[str, Any]) -> list[str]:
    """The evaluation as lines."""
    split = evaluation["split"]
    where = "its own split" if split["seed"] is None else f"split seed {split['seed']}"
    lines = [
        f"{evaluation['dataset']['name']}: {evaluation['n']} test rows of {evaluation['groups']} groups, {where}",
        *figure_lines(evaluation["metrics"], evaluation["n"]),
    ]
    return [*lines, DRAWN] if evaluation["drawn"] else lines
