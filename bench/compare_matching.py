"""Which way of matching unequal widths is best: python bench/compare_matching.py V [V ...]

The rows of every table are divided anew with several split seeds, and on each split heads of several seeds are trained
for every method of `--match`, each at the same shift. What is printed is macro-F1 on validation rows, since a default
must not be chosen on test rows, and the difference to the first method, split by split and seed by seed, with its
standard error over the splits.
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

from edgefuse.embeddings import Table, open_table
from edgefuse.heads import Fusion
from edgefuse.progress import bar
from edgefuse.splits import split_rows
from edgefuse.sweep.cells import Cell, aligned, matching_of, run
from edgefuse.training.align import METHODS, Method
from edgefuse.training.trainer import Settings
from edgefuse_runtimes.errors import EdgefuseError
from edgefuse_runtimes.machine import set_blas_threads


def divided(table: Table, seed: int) -> Table:
    """The table with the split that `edgefuse extract --split-seed SEED` would have made."""
    labels = [table.classes[label] for label in table.labels]
    parts = split_rows(labels, table.groups.tolist(), seed)
    return dataclasses.replace(table, splits=np.array(parts), split_seed=seed)


def scores(table: Table, method: Method, fusion: Fusion, shift: float, seeds: int, epochs: int) -> list[float]:
    """Validation macro-F1 (seeds,) of one method on one split."""
    rows = aligned(table, matching_of(table, method), shift)
    return [run(table, rows, Cell(fusion, shift, seed), Settings(epochs=epochs)).macro_f1 for seed in range(seeds)]


def line(name: str, found: NDArray[np.float64], first: NDArray[np.float64]) -> str:
    """Mean over splits and seeds (S, K), and the difference to the first method's with its standard error."""
    difference = (found - first).mean(axis=1)  # (S,): of a split, whose seeds share its rows
    error = difference.std(ddof=1) / np.sqrt(len(difference))
    return f"  {name:<14}{found.mean():>8.4f}{difference.mean():>+11.4f} ± {error:.4f}"


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
            found: dict[tuple[str, str], list[list[float]]] = {}
            for split, method, fusion in bar(folder.name, cells, len(cells)):
                kind = cast(Fusion, fusion)
                found.setdefault((kind, method), []).append(
                    scores(divided(table, split), method, kind, shift, seeds, epochs)
                )
            click.echo(
                f"{folder.name}: text {table.text.shape[1]}, image {table.image.shape[1]}, {len(table.ids)} rows, "
                f"shift {shift:g}, {splits} splits x {seeds} seeds: validation macro-F1, and its difference"
            )
            for fusion in ("early", "late"):
                click.echo(f"{fusion} fusion")
                first = np.array(found[fusion, methods[0]])  # (S, K)
                for method in methods:
                    click.echo(line(method, np.array(found[fusion, method]), first))
    except EdgefuseError as error:
        click.echo(f"compare_matching: {error}", err=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
