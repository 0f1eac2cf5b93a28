"""Which way of matching unequal widths is best: python bench/compare_matching.py V [V ...]

The rows of every table are divided anew with several split seeds, and on each split heads of several seeds are trained
for every method of `--match`, all at the same shift. Test rows are not read, since a default must not be chosen on
them. Two figures are printed: macro-F1 on validation rows, which chose the epoch and so flatter, and macro-F1 on a part
that is taken out of the training rows, by groups, and neither fits nor chooses. Beside each stands the difference to
the first method, split by split and seed by seed, with its standard error over the splits.
"""

from __future__ import annotations

import dataclasses
import sys
from itertools import product
from pathlib import Path
from typing import cast

import click
import numpy as np
from numpy.typing import NDArray

from edgefuse.embeddings.table import Table, open_table
from edgefuse.heads import Fusion
from edgefuse.metrics.classification import decide, figures
from edgefuse.progress import bar
from edgefuse.splits.grouped import split_rows
from edgefuse.sweep.cells import Cell, aligned, matching_of, train_cell
from edgefuse.training.align import METHODS, Method
from edgefuse.training.aligned import aligned_rows
from edgefuse.training.trainer import Settings
from edgefuse_runtimes.errors import EdgefuseError
from edgefuse_runtimes.fusion import logits, probabilities
from edgefuse_runtimes.machine import set_blas_threads

Doubles = NDArray[np.float64]

JUDGED = "judged"
"""The part of the training rows, about a fifth, that neither fits nor chooses."""


def divided(table: Table, seed: int) -> Table:
    """The split of `edgefuse extract --split-seed SEED`, with about a fifth of its training rows set apart."""
    labels, groups = [table.classes[label] for label in table.labels], table.groups.tolist()
    parts = np.array(split_rows(labels, groups, seed), dtype="<U10")
    rows = np.flatnonzero(parts == "train")
    inner = split_rows([labels[row] for row in rows], [groups[row] for row in rows], seed)
    parts[rows] = np.where(np.array(inner) == "test", JUDGED, "train")
    return dataclasses.replace(table, splits=parts, split_seed=seed)


def scores(table: Table, method: Method, fusion: Fusion, shift: float, seeds: int, epochs: int) -> Doubles:
    """Macro-F1 (seeds, 2) of one method on one split: on validation rows, and on those set apart."""
    fitted = aligned(table, matching_of(table, method), shift)
    apart = aligned_rows(table, fitted.alignment, np.flatnonzero(table.splits == JUDGED))
    found = []
    for seed in range(seeds):
        trained = train_cell(table, fitted, Cell(fusion, shift, seed), Settings(epochs=epochs))
        predicted = decide(probabilities(logits(trained.head, apart.vectors())))
        found.append([trained.figures.macro_f1, figures(apart.labels, predicted).macro_f1])
    return np.array(found)


def line(name: str, found: Doubles, first: Doubles) -> str:
    """Mean over splits and seeds (S, K, 2), and the difference to the first method's with its standard error."""
    difference = (found - first).mean(axis=1)  # (S, 2): of a split, whose seeds share its rows
    error = difference.std(axis=0, ddof=1) / np.sqrt(len(difference))  # (2,)
    columns = zip(found.mean(axis=(0, 1)), difference.mean(axis=0), error, strict=True)
    return f"  {name:<14}" + "".join(f"{mean:>9.4f}{lead:>+9.4f} ± {spread:.4f}" for mean, lead, spread in columns)


@click.command(epilog="Example: python bench/compare_matching.py V --splits 10 --seeds 3")
@click.argument("folders", metavar="V [V ...]", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--splits", type=click.IntRange(min=2), default=10, show_default=True, help="Split seeds 0, 1, ...")
@click.option("--seeds", type=click.IntRange(min=1), default=3, show_default=True, help="Training seeds 0, 1, ...")
@click.option("--shift", type=click.FloatRange(-1, 1), default=0.0, show_default=True, help="0: any method allows it.")
@click.option("--epochs", type=click.IntRange(min=1), default=30, show_default=True)
def main(folders: tuple[Path, ...], splits: int, seeds: int, shift: float, epochs: int) -> None:
    """Compare the methods on the embedding tables V."""
    set_blas_threads(1)
    methods = [method for method in METHODS if shift == 0 or method != "none"]
    try:
        for folder in folders:
            table = open_table(folder)
            table = dataclasses.replace(table, text=table.text[:], image=table.image[:])
            cells = list(product(range(splits), methods, ("early", "late")))
            found: dict[tuple[str, str], list[Doubles]] = {}
            for split, method, fusion in bar(folder.name, cells, len(cells)):
                kind = cast(Fusion, fusion)
                found.setdefault((kind, method), []).append(
                    scores(divided(table, split), method, kind, shift, seeds, epochs)
                )
            click.echo(
                f"{folder.name}: text {table.text.shape[1]}, image {table.image.shape[1]}, {len(table.ids)} rows, "
                f"shift {shift:g}, {splits} splits x {seeds} seeds: macro-F1 and its difference"
            )
            for fusion in ("early", "late"):
                click.echo(f"{fusion + ' fusion':<16}{'validation rows':>27}{'rows set apart':>27}")
                first = np.array(found[fusion, methods[0]])  # (S, K)
                for method in methods:
                    click.echo(line(method, np.array(found[fusion, method]), first))
    except EdgefuseError as error:
        click.echo(f"compare_matching: {error}", err=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
