"""How a machine's pace wanders: python bench/measure_drift.py RESULT.json --help

RESULT.json is one long run, such as `edgefuse bench run KIT --repeats 240 --queries 12000 --json RESULT.json`. Its
processes follow each other, so any few of them in a row are a run of their own, and the next few are that run again.

The Allan deviation says how far the means of two neighbouring runs lie apart, by their length. Were processes
independent, it would fall with the root of the length; where it stays, longer runs do not agree better (flicker
noise), and only an interval that knows this holds what it says. Below it: how often it does.
"""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import click

from edgefuse_bench.compare.interval import processes
from edgefuse_bench.result import Query, read_results
from edgefuse_bench.spread import Interval, another_run, median_ns
from edgefuse_bench.student import student
from edgefuse_runtimes.errors import BadInput, EdgefuseError

LENGTHS = (1, 2, 4, 8, 16, 32, 64)
"""Processes of a run whose Allan deviation is told."""
RUNS = (5, 10, 20)
"""Processes of a run whose interval is tried."""
FEWEST_PROCESSES = 40


def allan_deviation(values: Sequence[float], length: int) -> float:
    """Root of half the mean square between the means of neighbouring stretches of `length` values."""
    means = [statistics.fmean(values[at : at + length]) for at in range(0, len(values) - length + 1, length)]
    return math.sqrt(statistics.fmean((after - before) ** 2 for before, after in pairwise(means)) / 2)


def neighbours(parts: Sequence[list[Query]], length: int) -> Iterator[tuple[Interval, Interval, float]]:
    """Of each run of `length` processes: its interval, that of independent processes, and the next run's median."""
    runs = [parts[at : at + length] for at in range(0, len(parts) - length + 1, length)]
    for one, other in pairwise(runs):
        medians = [float(median_ns(part)) for part in one]
        whole, after = (float(median_ns([query for part in run for query in part])) for run in (one, other))
        wide = another_run(whole, medians)
        assert wide is not None
        spread = statistics.stdev(map(math.log, medians))
        reach = math.exp(student(length - 1) * spread * math.sqrt(2 / length))
        yield wide, (whole / reach, whole * reach), after


@click.command(epilog="Example: python bench/measure_drift.py long.json")
@click.argument("result", type=click.Path(path_type=Path))
def main(result: Path) -> None:
    """Tell how the pace wandered during RESULT, and how often its intervals held the next run."""
    try:
        parts = processes(read_results(result)[:1])
        if len(parts) < FEWEST_PROCESSES:
            raise BadInput(
                f"{result} is a run of {len(parts)} process(es), and at least {FEWEST_PROCESSES} are needed; "
                "measure with --repeats 240."
            )
    except EdgefuseError as error:
        click.echo(f"measure_drift: {error}", err=True)
        sys.exit(error.exit_code)
    click.echo(f"{len(parts)} processes of {len(parts[0])} answers, one after another")
    logs = [math.log(median_ns(part)) for part in parts]
    for length in LENGTHS:
        if 4 * length <= len(parts):
            click.echo(f"Allan deviation of runs of {length:>2} processes   {allan_deviation(logs, length):6.1%}")
    for length in RUNS:
        tried = list(neighbours(parts, length))
        held, narrow = (sum(pair[kind][0] <= pair[2] <= pair[kind][1] for pair in tried) for kind in (0, 1))
        click.echo(
            f"of {len(tried):>2} runs of {length:>2} processes, the interval holds the next median {held:>3} times; "
            f"{narrow:>3} if processes are taken for independent"
        )


if __name__ == "__main__":
    main()
