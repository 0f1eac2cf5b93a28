"""What `edgefuse bench run` itself costs of what it measures: python bench/measure_harness_cost.py KIT --help

Each round answers the same queries twice, in fresh processes: in a bare loop that looks at the clock before the first
and after the last answer only, and in the harness, with all it writes down and looks at. Rounds alternate
which comes first, so that a busy machine slows both alike; the ratio is taken per round. Beside it stand two figures
that noise does not touch: the share of the time in which the harness's process kept a core busy, and the share that
went by between one answer and the next.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import click

from edgefuse.answering.classifier import Classifier
from edgefuse.card import machine_words
from edgefuse.kits.kit import Kit
from edgefuse.progress import bar
from edgefuse_bench import harness
from edgefuse_bench.samples import kit_samples
from edgefuse_bench.settings import Settings
from edgefuse_bench.student import student
from edgefuse_runtimes.errors import EdgefuseError

WARMUP = 2


def answer_bare(kit: Path, engine: str, threads: int | None, queries: int) -> float:
    """Seconds of an answer, over so many in turn, after opening and warming up as the harness does."""
    samples = kit_samples(Kit.open(kit)).asked
    with Classifier.open(kit, engine=engine, threads=threads, cache=False) as classifier:
        order = [samples[number % len(samples)] for number in range(1 + WARMUP + queries)]
        for sample in order[: 1 + WARMUP]:
            classifier.predict(sample.image, sample.text)
        started = time.perf_counter()
        for sample in order[1 + WARMUP :]:
            classifier.predict(sample.image, sample.text)
        return (time.perf_counter() - started) / queries


def in_bare_process(*order: str | int | None) -> float:
    """The same in a fresh process."""
    command = [sys.executable, __file__, "--bare", json.dumps(order)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def in_harness(kit: Path, engine: str, threads: int | None, queries: int) -> tuple[float, float, float]:
    """Seconds of an answer in the harness; of all the time, the share of its own process, and that between answers."""
    settings = Settings(engine=engine, threads=threads, queries=queries, warmup=WARMUP, repeats=1)
    started, busy = time.perf_counter(), time.process_time()
    result = harness.run(kit, settings)
    own = (time.process_time() - busy) / (time.perf_counter() - started)
    first, last = result.queries[0], result.queries[-1]
    assert first.start_ns is not None
    assert last.start_ns is not None
    span = last.start_ns + last.total_ns - first.start_ns
    between = 1 - sum(query.total_ns for query in result.queries) / span
    return span / 1e9 / queries, own, between


def interval(ratios: list[float]) -> tuple[float, float, float]:
    """The geometric mean of the ratios, with Student's interval of level .95."""
    logs = [math.log(ratio) for ratio in ratios]
    middle = statistics.fmean(logs)
    reach = student(len(logs) - 1) * statistics.stdev(logs) / math.sqrt(len(logs))
    return math.exp(middle), math.exp(middle - reach), math.exp(middle + reach)


@click.command(epilog="Example: python bench/measure_harness_cost.py my.kit --rounds 20")
@click.argument("kit", type=click.Path(path_type=Path), required=False)
@click.option("--engine", default="auto", show_default=True)
@click.option("--threads", type=click.IntRange(min=1), help="Of the encoders.  [default: the physical cores]")
@click.option("--queries", type=click.IntRange(min=2), default=64, show_default=True, help="In each process.")
@click.option("--rounds", type=click.IntRange(min=2), default=10, show_default=True)
@click.option("--one-core", is_flag=True, help="Everything on one core, which the harness then takes its share of.")
@click.option("--bare", hidden=True)
def main(
    kit: Path | None, engine: str, threads: int | None, queries: int, rounds: int, one_core: bool, bare: str | None
) -> None:
    """Compare answers of KIT in the harness with answers in a bare loop."""
    if bare is not None:
        folder, *order = json.loads(bare)
        click.echo(answer_bare(Path(folder), *order))
        return
    if kit is None:
        raise click.UsageError("Name a kit.")
    if one_core:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    ratios, own, between = [], [], []
    try:
        for turn in bar("rounds", range(rounds), rounds):
            seconds = {}
            for way in ("bare", "harness") if turn % 2 else ("harness", "bare"):
                if way == "bare":
                    seconds[way] = in_bare_process(str(kit), engine, threads, queries)
                else:
                    seconds[way], share, gap = in_harness(kit, engine, threads, queries)
                    own.append(share)
                    between.append(gap)
            ratios.append(seconds["harness"] / seconds["bare"])
    except EdgefuseError as error:
        click.echo(f"measure_harness_cost: {error}", err=True)
        sys.exit(error.exit_code)
    ratio, low, high = interval(ratios)
    click.echo(f"{machine_words()}{', all on one core' if one_core else ''}; {rounds} rounds of {queries} queries")
    click.echo(f"an answer in the harness over one without  {ratio:.4f} ({low:.4f} to {high:.4f})")
    click.echo(f"processor time of the harness's process    {statistics.median(own):.2%} of one core")
    click.echo(f"time between answers, of all the time      {statistics.median(between):.3%}")


if __name__ == "__main__":
    main()
