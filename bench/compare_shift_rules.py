"""By which rule to choose the shift of a head: python bench/compare_shift_rules.py V --help

`edgefuse train` without `--shift` tries a few and keeps one. One validation part is a few hundred rows, so that what is
highest there may be so by chance. This divides an embedding table anew with several split seeds, trains a head for each
shift on each, lets every rule choose on the validation rows, and prints the macro-F1 on the test rows of what it chose:
mean and deviation, and the paired difference to the rule that takes the highest. Wary rules take another shift than 0
only where it is better by more than one standard error, or in 97.5 % of draws of whole groups.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np

from edgefuse.embeddings.table import Table, open_table
from edgefuse.heads import Fusion
from edgefuse.metrics import classification as metrics
from edgefuse.metrics.bootstrap import draw, interval
from edgefuse.metrics.classification import Doubles
from edgefuse.progress import bar
from edgefuse.training import align
from edgefuse.training.aligned import aligned_rows, architecture_of, rows_to_learn, training_rows
from edgefuse.training.recipe import SHIFTS, generators
from edgefuse.training.trainer import PAPER, Rows, logits_of, train_members
from edgefuse_runtimes import fusion as heads
from edgefuse_runtimes.errors import EdgefuseError
from edgefuse_runtimes.machine import set_blas_threads
from split_spread import divided

DRAWS = 1000


class Tried(NamedTuple):
    """One shift: macro-F1 of the means over seeds."""

    validation: Doubles
    """(1 + B,): on the validation rows, and on every draw of their groups"""
    test: float


Tries = Mapping[float, Tried]


def highest(tries: Tries) -> float:
    """The shift with the highest figure, of equals the one nearest to 0."""
    return max(sorted(tries, key=abs), key=lambda shift: tries[shift].validation[0])


def beyond_error(tries: Tries) -> float:
    """0, unless the highest is above it by more than one standard error of their paired difference."""
    shift = highest(tries)
    gain = tries[shift].validation - tries[0.0].validation  # (1 + B,)
    return shift if gain[0] > gain[1:].std() else 0.0


def beyond_interval(tries: Tries) -> float:
    """0, unless the interval of the paired difference of the highest lies above it."""
    shift = highest(tries)
    found = interval(tries[shift].validation - tries[0.0].validation)
    return shift if found is not None and found[0] > 0 else 0.0


RULES: Mapping[str, Callable[[Tries], float]] = {
    "highest": highest,
    "beyond one error": beyond_error,
    "beyond the interval": beyond_interval,
    **{f"always {shift:g}": lambda tries, shift=shift: shift for shift in SHIFTS},
}


def tried(table: Table, fusion: Fusion, seeds: Sequence[int]) -> dict[float, Tried]:
    """Fused heads for every shift, trained as `train_head` does."""
    text, image = training_rows(table)
    matching = align.match(text, image, align.DEFAULT)
    part = {name: np.flatnonzero(table.splits == name) for name in ("validation", "test")}
    draws = draw(table.groups[part["validation"]], DRAWS, 0)
    found = {}
    for shift in SHIFTS:
        alignment = align.fit(text, image, matching, shift)
        rows = {name: aligned_rows(table, alignment, part[name]) for name in ("validation", "test")}
        learnt = rows_to_learn(table, alignment)
        shape = architecture_of(table, alignment, fusion, PAPER)
        trained = [train_members(shape, learnt, rows["validation"], PAPER, generators(seed, 0)).head for seed in seeds]
        validation, test = [], []
        for head in trained:
            outcomes = metrics.outcomes(
                rows["validation"].labels, decided(head, rows["validation"]), len(table.classes)
            )
            validation.append(metrics.macro_f1(metrics.count(draws.totals(outcomes))))
            test.append(metrics.figures(rows["test"].labels, decided(head, rows["test"])).macro_f1)
        found[shift] = Tried(np.mean(validation, axis=0), float(np.mean(test)))
    return found


def decided(head: heads.Head, rows: Rows) -> np.ndarray:
    """Class numbers (n,)."""
    return metrics.decide(heads.probabilities(logits_of(head, rows)))


@click.command(epilog="Example: python bench/compare_shift_rules.py V --fusion early --splits 10")
@click.argument("folder", metavar="V", type=click.Path(path_type=Path))
@click.option("--fusion", type=click.Choice(["early", "late"]), default="early", show_default=True)
@click.option("--splits", type=click.IntRange(min=2), default=10, show_default=True, help="Split seeds 0, 1, ...")
@click.option("--seeds", type=click.IntRange(min=1), default=1, show_default=True, help="Of each head's training.")
def main(folder: Path, fusion: str, splits: int, seeds: int) -> None:
    """Choose the shift by every rule on several splits of the embedding table V."""
    set_blas_threads(1)
    try:
        table = open_table(folder)
        kind: Fusion = "early" if fusion == "early" else "late"
        found = [tried(divided(table, seed), kind, range(seeds)) for seed in bar("splits", range(splits), splits)]
    except EdgefuseError as error:
        click.echo(f"compare_shift_rules: {error}", err=True)
        sys.exit(error.exit_code)
    click.echo(f"{table.dataset['name']}, {fusion} fusion, {splits} splits x {seeds} seeds: test macro-F1")
    click.echo(f"{'rule':<22}{'macro-F1':>16}{'minus highest':>22}  times each shift was taken")
    taken = np.array([each[highest(each)].test for each in found])  # (S,)
    for name, rule in RULES.items():
        shifts = [rule(each) for each in found]
        values = np.array([each[shift].test for each, shift in zip(found, shifts, strict=True)])  # (S,)
        less = values - taken
        error = less.std(ddof=1) / np.sqrt(splits)
        counts = Counter(shifts)
        times = ", ".join(f"{shift:g}: {counts[shift]}" for shift in SHIFTS if counts[shift])
        spread = f"{values.mean():.3f} ± {values.std(ddof=1):.3f}"
        click.echo(f"{name:<22}{spread:>16}{f'{less.mean():+.4f} ± {error:.4f} (se)':>22}  {times}")
    if table.dataset["drawn"]:
        click.echo("drawn example: not an accuracy figure for any real use")


if __name__ == "__main__":
    main()
