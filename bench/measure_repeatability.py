"""How often two runs of `edgefuse bench run` agree: python bench/measure_repeatability.py KIT --help

Each pair is the same configuration measured twice, one after the other. They agree where the second median lies within
the interval that the first run printed. The interval claims 19 of 20; how far single runs move, and how wide the
interval is, stands beside.
"""

from __future__ import annotations

import math
import statistics
import sys
from pathlib import Path
from typing import NamedTuple

import click

from edgefuse.card import machine_words
from edgefuse.progress import bar
from edgefuse_bench import harness
from edgefuse_bench.result import SCENARIOS, Result
from edgefuse_bench.settings import Settings
from edgefuse_bench.spread import median_ns
from edgefuse_runtimes.errors import EdgefuseError
from edgefuse_runtimes.files import write_json


class Figure(NamedTuple):
    """What a run is judged by, with the interval that it prints, and how many cores others kept busy meanwhile."""

    value: float
    low: float
    high: float
    others_cores: float | None

    def holds(self, other: Figure) -> bool:
        """Whether the other's value lies within this one's interval."""
        return self.low <= other.value <= self.high

    @property
    def reach(self) -> float:
        """How far the interval goes, as a factor less 1."""
        return math.sqrt(self.high / self.low) - 1


def figure_of(result: Result) -> Figure:
    """Samples a second where they were measured, else the median time of an answer in milliseconds."""
    if result.throughput is not None:
        low, high = result.throughput["interval"]
        return Figure(result.throughput["samples_per_second"], low, high, result.others_cores)
    assert result.total_interval_ns is not None
    low, high = result.total_interval_ns
    return Figure(median_ns(result.queries) / 1e6, low / 1e6, high / 1e6, result.others_cores)


@click.command(epilog="Example: python bench/measure_repeatability.py my.kit --pairs 20")
@click.argument("kit", type=click.Path(path_type=Path))
@click.option("--scenario", type=click.Choice(list(SCENARIOS)), default="single", show_default=True)
@click.option("--engine", default="auto", show_default=True)
@click.option("--threads", type=click.IntRange(min=1), help="Of the encoders.  [default: the physical cores]")
@click.option("--queries", type=click.IntRange(min=3), help="As for 'edgefuse bench run'.")
@click.option("--repeats", type=click.IntRange(min=1), help="As for 'edgefuse bench run'.")
@click.option("--seconds", type=click.FloatRange(min=1), help="Of each run of sustained.")
@click.option("--pairs", type=click.IntRange(min=2), default=20, show_default=True)
@click.option("--json", "output", type=click.Path(path_type=Path), help="Write each run's figure and interval there.")
def main(
    kit: Path,
    scenario: str,
    engine: str,
    threads: int | None,
    queries: int | None,
    repeats: int | None,
    seconds: float | None,
    pairs: int,
    output: Path | None,
) -> None:
    """Measure KIT twice, again and again, and count the pairs that agree."""
    settings = Settings(
        scenario=scenario, engine=engine, threads=threads, queries=queries, repeats=repeats, seconds=seconds
    )
    found: list[tuple[Figure, Figure]] = []
    try:
        for _ in bar("pairs", range(pairs), pairs):
            found.append((figure_of(harness.run(kit, settings)), figure_of(harness.run(kit, settings))))
            if output is not None:
                write_json(output, {"pairs": [[one._asdict() for one in pair] for pair in found]})
    except EdgefuseError as error:
        click.echo(f"measure_repeatability: {error}", err=True)
        sys.exit(error.exit_code)
    apart = [abs(math.log(second.value / first.value)) for first, second in found]
    agree = sum(first.holds(second) for first, second in found)
    both = sum(first.holds(second) and second.holds(first) for first, second in found)
    click.echo(f"{machine_words()}; {SCENARIOS[scenario]}, {pairs} pairs of runs")
    click.echo(f"the second run lies within the first one's interval   {agree} of {pairs} pairs")
    click.echo(f"each lies within the other's                         {both} of {pairs} pairs")
    click.echo(f"the two differ by                                    {statistics.median(apart):.1%} (median)")
    reaches = statistics.median(run.reach for pair in found for run in pair)
    click.echo(f"the interval reaches                                 {reaches:.1%} either side (median)")
    busy = [run.others_cores for pair in found for run in pair if run.others_cores is not None]
    if busy:
        click.echo(f"other programs kept busy                             {statistics.median(busy):.2f} cores (median)")


if __name__ == "__main__":
    main()
