"""How often `bench compare` tells equal things apart: python bench/compare_noise.py FOLDER --help

FOLDER holds results of one configuration on one machine, each measured in one process, one after another, with nothing
changed. Every verdict but "no difference shown" is wrong then. Results are compared one against one, and half of them
against the other half in all ways.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from itertools import combinations
from pathlib import Path

import click

from edgefuse_bench.compare.judging import judge
from edgefuse_bench.compare.matching import match
from edgefuse_bench.inputs import read_file_or_folder
from edgefuse_bench.result import Result
from edgefuse_bench.spread import median_ns
from edgefuse_runtimes.errors import BadInput, EdgefuseError

Sides = tuple[Sequence[Result], Sequence[Result]]


def told_apart(pairs: Iterable[Sides]) -> tuple[int, int]:
    """How many pairs have a verdict, and of how many."""
    headlines = [judge(match(*sides).pairs[0]).headline for sides in pairs]
    wrong = [row for row in headlines if row is not None and row.verdict in ("faster", "slower")]
    return len(wrong), len(headlines)


def halves(results: Sequence[Result]) -> list[Sides]:
    """All ways to divide them in two, the first one always on the first side; of an odd number the last is left out."""
    even = results[: len(results) // 2 * 2]
    ways = combinations(range(1, len(even)), len(even) // 2 - 1)
    sides = ({0, *way} for way in ways)
    return [([even[k] for k in sorted(side)], [one for k, one in enumerate(even) if k not in side]) for side in sides]


@click.command(epilog="Example: python bench/compare_noise.py results/")
@click.argument("folder", type=click.Path(path_type=Path))
def main(folder: Path) -> None:
    """Compare the results in FOLDER with each other."""
    try:
        results = read_file_or_folder(folder)
        if len(results) < 4:
            raise BadInput(f"{folder} holds {len(results)} result(s); at least 4 are needed.")
        medians = sorted(median_ns(result.queries) / 1e6 for result in results)
        click.echo(f"{len(results)} runs of one process, medians {medians[0]:.1f} to {medians[-1]:.1f} ms")
        single = [([one], [other]) for one, other in combinations(results, 2)]
        for name, sides in (("one against one", single), ("half against half", halves(results))):
            wrong, of = told_apart(sides)
            click.echo(f"{name:<20}{wrong:>4} of {of} told apart")
    except EdgefuseError as error:
        click.echo(f"compare_noise: {error}", err=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
