"""Two workers against one: python bench/compare_scheduler.py --help

The first rows of a data set are extracted by this process alone, by one worker and by two, each with one thread. In a
round the three follow one another, on new tables, and the ratio of their times is taken: of the encoding, which ends
with the last shard, without the start of the workers, which is told apart. All tables must be the same, bit by bit. How
busy other programs kept the processor meanwhile stands beside it: a ratio of 2 needs two free cores.
"""

from __future__ import annotations

import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import click
import psutil

from edgefuse.card import machine_words
from edgefuse.datasets import Dataset, open_dataset
from edgefuse.extraction.running import Encode, Settings, encode_here, extract
from edgefuse.kits.encoders import Encoders
from edgefuse.scheduling.cluster import open_cluster
from edgefuse_runtimes.errors import EdgefuseError

WAYS = ("alone", "local:1", "local:2")


def timed(encode: Encode, spent: list[float]) -> Encode:
    """The same, which adds to `spent` the seconds that each encoder took."""

    def run(*arguments: object) -> Iterator[object]:
        started = time.perf_counter()
        yield from encode(*arguments)  # type: ignore[arg-type]  # passed through as they come
        spent.append(time.perf_counter() - started)

    return run  # type: ignore[return-value]  # of the same arguments


class Measured(NamedTuple):
    """One way in one round."""

    start: float
    """Seconds until the workers are there."""
    encoding: float
    """Seconds of encoding."""
    others: float
    """Cores that other programs used on average in the meantime."""


def measure(way: str, dataset: Dataset, encoders: Encoders, engine: str, folder: Path) -> Measured:
    """Extract the table `folder` in one way."""
    spent: list[float] = []
    started, busy, own = time.perf_counter(), busy_seconds(), own_seconds()
    with ExitStack() as stack:
        encode = encode_here if way == "alone" else stack.enter_context(open_cluster(way)).encode
        ready = time.perf_counter() - started
        extract(dataset, encoders, folder, settings=Settings(engine, 1), encode=timed(encode, spent))
    others = busy_seconds() - busy - (own_seconds() - own)
    return Measured(ready, sum(spent), max(0.0, others / (time.perf_counter() - started)))


def one_round(dataset: Dataset, encoders: Encoders, engine: str) -> dict[str, Measured]:
    """Every way once, on new tables that are compared."""
    found, tables = {}, []
    with tempfile.TemporaryDirectory() as work:
        for way in WAYS:
            folder = Path(work) / way.replace(":", "-")
            found[way] = measure(way, dataset, encoders, engine, folder)
            tables.append(content(folder))
    assert tables[0] == tables[1] == tables[2], "the tables differ"
    return found


def busy_seconds() -> float:
    """Seconds of all cores that were not idle since the machine started."""
    times = psutil.cpu_times()
    return sum(times) - times.idle - times.iowait


def own_seconds() -> float:
    """Of them, those of this process and of its children that ended."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def content(folder: Path) -> dict[str, bytes]:
    """What must be the same in all tables."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "cost.json"}


@click.command(epilog="Example: python bench/compare_scheduler.py --dataset ham10000 --root HAM --encoders E")
@click.option("--dataset", required=True, metavar="NAME|TABLE.csv")
@click.option("--root", type=click.Path(path_type=Path))
@click.option("--encoders", "encoders_folder", type=click.Path(path_type=Path), required=True)
@click.option("--engine", default="auto", show_default=True)
@click.option(
    "--rows", type=click.IntRange(min=1), default=256, show_default=True, help="The first ones that are used."
)
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True)
def main(dataset: str, root: Path | None, encoders_folder: Path, engine: str, rows: int, rounds: int) -> None:
    """Extract the same table alone, with one worker and with two, and print seconds and ratios."""
    try:
        encoders, whole = Encoders.open(encoders_folder), open_dataset(dataset, root)
        part = replace(whole, samples=whole.samples[:rows])
        click.echo(f"{machine_words()}; {part.name}, {len(part.samples)} rows, engine {engine}, 1 thread each\n")
        click.echo("| round | alone | local:1 | local:2 | local:1 / local:2 | start of 1, 2 | other load |")
        click.echo("| --- | --- | --- | --- | --- | --- | --- |")
        ratios = []
        for number in range(rounds):
            found = one_round(part, encoders, engine)
            ratios.append(found["local:1"].encoding / found["local:2"].encoding)
            seconds = " | ".join(f"{found[way].encoding:.1f} s" for way in WAYS)
            starts = ", ".join(f"{found[way].start:.1f} s" for way in WAYS[1:])
            load = found["alone"].others  # what ended engines of workers used is not told apart
            click.echo(f"| {number + 1} | {seconds} | {ratios[-1]:.2f} | {starts} | {load:.1f} cores |")
    except EdgefuseError as error:
        click.echo(f"compare_scheduler: {error}", err=True)
        sys.exit(error.exit_code)
    click.echo(f"\ntwo workers are {statistics.median(ratios):.2f} times as fast as one (median)")


if __name__ == "__main__":
    main()
