"""How far a head's figures move with the split: python bench/split_spread.py V --help

One test part is a few hundred rows, so one figure moves by chance. This divides the rows of an embedding table anew
with several split seeds, trains and judges a head on each, and prints mean and standard deviation. With scikit-learn
installed, a logistic regression on the same aligned vectors stands beside it, fitted on the same training rows; its
strength C is chosen on the validation rows, as the head's epoch is.
"""

from __future__ import annotations

import dataclasses
import sys
from importlib import import_module, util
from pathlib import Path
from typing import Any

import click
import numpy as np

from edgefuse.embeddings.table import Table, open_table
from edgefuse.evaluation.predictions import METHODS, Predictions, predict
from edgefuse.heads import Head
from edgefuse.metrics import classification as metrics
from edgefuse.progress import bar
from edgefuse.splits.grouped import split_rows
from edgefuse.training.recipe import train_head
from edgefuse_runtimes import alignment
from edgefuse_runtimes.errors import EdgefuseError
from edgefuse_runtimes.machine import set_blas_threads

STRENGTHS = (0.01, 0.1, 1.0)
"""Values of C that the logistic regression may have."""


def divided(table: Table, seed: int) -> Table:
    """The table with the split that `edgefuse extract --split-seed SEED` would have made."""
    labels = [table.classes[label] for label in table.labels]
    parts = split_rows(labels, table.groups.tolist(), seed)
    return dataclasses.replace(table, splits=np.array(parts), split_seed=seed)


def macro_f1(predictions: Predictions) -> dict[str, float]:
    """Macro-F1 of each method."""
    probabilities = predictions.probabilities
    return {
        method: metrics.figures(predictions.labels, metrics.decide(probabilities[method])).macro_f1
        for method in METHODS
    }


def logistic_regression(head: Head, table: Table) -> float:
    """Macro-F1 on the test rows of a class-balanced logistic regression on the head's aligned vectors."""
    text, image = alignment.apply(head.alignment, table.text[:], table.image[:])  # each (n, w)
    joined = np.concatenate([text, image], axis=1)  # (n, 2w)
    rows = {part: np.flatnonzero(table.splits == part) for part in ("train", "validation", "test")}
    make = import_module("sklearn.linear_model").LogisticRegression
    settings = ({"C": c, "max_iter": 2000, "class_weight": "balanced"} for c in STRENGTHS)
    models = [make(**setting).fit(joined[rows["train"]], table.labels[rows["train"]]) for setting in settings]

    def macro_f1(model: Any, part: str) -> float:
        return metrics.figures(table.labels[rows[part]], model.predict(joined[rows[part]])).macro_f1

    return macro_f1(max(models, key=lambda model: macro_f1(model, "validation")), "test")


@click.command(epilog="Example: python bench/split_spread.py V --fusion early --splits 10")
@click.argument("folder", metavar="V", type=click.Path(path_type=Path))
@click.option("--fusion", type=click.Choice(["early", "late"]), default="early", show_default=True)
@click.option("--splits", type=click.IntRange(min=2), default=10, show_default=True, help="Split seeds 0, 1, ...")
def main(folder: Path, fusion: str, splits: int) -> None:
    """Train and judge heads on several splits of the embedding table V."""
    set_blas_threads(1)
    try:
        table = open_table(folder)
        found: dict[str, list[float]] = {}
        for seed in bar("splits", range(splits), splits):
            own = divided(table, seed)
            head = train_head(own, fusion="early" if fusion == "early" else "late", seed=0)
            figures = macro_f1(predict(head, own, "test"))
            for part in METHODS:
                found.setdefault(part.replace("_", "-"), []).append(figures[part])
            found.setdefault("fused less image-only", []).append(figures["fused"] - figures["image_only"])
            if util.find_spec("sklearn"):
                found.setdefault("logistic regression", []).append(logistic_regression(head, own))
    except EdgefuseError as error:
        click.echo(f"split_spread: {error}", err=True)
        sys.exit(error.exit_code)
    click.echo(f"{table.dataset['name']}, {fusion} fusion, {splits} splits: test macro-F1")
    for name, values in found.items():
        click.echo(f"{name:<24}{np.mean(values):>8.3f} ± {np.std(values, ddof=1):.3f}")
    if table.dataset["drawn"]:
        click.echo("drawn example: not an accuracy figure for any real use")


if __name__ == "__main__":
    main()
