"""What each part of a recipe gives: python bench/compare_recipes.py V1 V4 --help

Heads are trained on two embedding tables of the same samples, whose pictures were encoded in one view and in four, the
second one also each view for itself (`extract --views 8`). Every seed divides the groups anew into folds; figures are
test macro-F1 of the folds of a seed together, mean and standard deviation over the seeds.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np

from edgefuse.embeddings.table import Table, open_table
from edgefuse.evaluation.predictions import METHODS, Predictions, join, predict
from edgefuse.evaluation.scores import figure_values
from edgefuse.metrics.bootstrap import draw
from edgefuse.progress import bar
from edgefuse.study.cells import divided
from edgefuse.training.recipe import train_head
from edgefuse.training.trainer import PAPER
from edgefuse_runtimes.errors import BadInput, EdgefuseError
from edgefuse_runtimes.machine import set_blas_threads, usable_cores


class Recipe(NamedTuple):
    """What is told apart."""

    name: str
    views: int
    text_components: int | None
    members: int
    learns_views: bool = False


RECIPES = (
    Recipe("as the paper", 1, None, 1),
    Recipe("components of the note", 1, 32, 1),
    Recipe("learnt from eight views", 1, None, 1, True),
    Recipe("learnt from eight views, components, five members", 1, 32, 5, True),
    Recipe("four views", 4, None, 1),
    Recipe("four views, components", 4, 32, 1),
    Recipe("four views, components, five members", 4, 32, 5),
    Recipe("four views, components, five members, learnt from eight", 4, 32, 5, True),
)
EPOCHS = 10
"""Of heads that learn from views, and so see nine times as many rows in each."""


class Cell(NamedTuple):
    """One head."""

    recipe: Recipe
    seed: int
    fold: int


def answer(tables: dict[int, Table], folds: int, cell: Cell) -> Predictions:
    """Train a head and let it answer for the test rows of its fold."""
    recipe = cell.recipe
    views = tables[4].views if recipe.learns_views else None  # each for itself, of the same image encoder
    table = divided(replace(tables[recipe.views], views=views), folds, cell.seed)[cell.fold]
    head = train_head(
        table,
        fusion="early",
        seed=cell.seed,
        settings=replace(PAPER, members=recipe.members, epochs=EPOCHS if recipe.learns_views else PAPER.epochs),
        shifts=(0.0,),
        text_components=recipe.text_components,
        threads=usable_cores(),
    )
    return predict(head, table, "test")


def macro_f1(predictions: Predictions, method: str) -> float:
    """Of one method, over all rows."""
    return float(figure_values(predictions, method, draw(predictions.groups, 0, 0))["macro_f1"][0])


@click.command(epilog="Example: python bench/compare_recipes.py V-one-view V-four-views --seeds 2")
@click.argument("one_view", metavar="V1", type=click.Path(path_type=Path))
@click.argument("four_views", metavar="V4", type=click.Path(path_type=Path))
@click.option("--seeds", type=click.IntRange(min=1), default=2, show_default=True)
@click.option("--folds", type=click.IntRange(min=2), default=5, show_default=True)
def main(one_view: Path, four_views: Path, seeds: int, folds: int) -> None:
    """Compare recipes for early heads on the embedding tables V1 and V4."""
    try:
        tables = {1: open_table(one_view), 4: open_table(four_views)}
        if tables[1].ids.tolist() != tables[4].ids.tolist():
            raise BadInput(f"{one_view} and {four_views} hold other samples; extract both from one data set.")
        if not tables[4].view_count:
            raise BadInput(f"{four_views} has no views to learn from; extract it with --views 8.")
        if tables[1].encoders["image"]["sha256"] != tables[4].encoders["image"]["sha256"]:
            raise BadInput(f"{one_view} and {four_views} are of two image encoders; take one in one view and in four.")
        cells = [Cell(recipe, seed, fold) for recipe in RECIPES for seed in range(seeds) for fold in range(folds)]
        set_blas_threads(1)  # the trainer's own threads share the work better
        found = {cell: answer(tables, folds, cell) for cell in bar("heads", cells, len(cells))}
    except EdgefuseError as error:
        click.echo(f"compare_recipes: {error}", err=True)
        sys.exit(error.exit_code)
    shown = METHODS[1:]
    click.echo(f"{tables[1].dataset['name']}, early fusion, {folds} folds x {seeds} seeds: test macro-F1")
    click.echo(f"{'':<56}" + "".join(f"{method.replace('_', '-'):>16}" for method in shown))
    for recipe in RECIPES:
        pooled = [join([found[Cell(recipe, seed, fold)] for fold in range(folds)]) for seed in range(seeds)]
        values = [np.array([macro_f1(each, method) for each in pooled]) for method in shown]
        spread = [f" ± {each.std(ddof=1):.3f}" if seeds > 1 else "" for each in values]
        told = (f"{each.mean():>8.3f}{end:<8}" for each, end in zip(values, spread, strict=True))
        click.echo(f"{recipe.name:<56}" + "".join(told))
    if tables[1].dataset["drawn"]:
        click.echo("drawn example: not an accuracy figure for any real use")


if __name__ == "__main__":
    main()
