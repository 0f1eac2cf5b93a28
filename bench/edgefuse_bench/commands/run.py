"""`edgefuse bench run`: latency, throughput, memory and accuracy of a kit on this device."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import click

from edgefuse.commands.options import FOLDER, FiniteRange, chosen_kit
from edgefuse_bench.result import SCENARIOS
from edgefuse_runtimes.encoder import ENGINE_NAMES

EXAMPLE = """\b
Examples: edgefuse bench run my.kit
          edgefuse bench run my.kit --queries 130 --threads 1 --threads 2 --json pi.json
          edgefuse bench run my.kit --scenario offline --samples photos
          edgefuse bench run my.kit --scenario sustained --minutes 30
          edgefuse bench run my.kit --scenario cold --engine numpy"""


@click.command("run", epilog=EXAMPLE)
@click.argument("kit", type=FOLDER)
@click.option(
    "--scenario",
    "scenarios",
    type=click.Choice(list(SCENARIOS)),
    multiple=True,
    default=["single"],
    show_default=True,
    help="single: one query after another; offline: all as one batch; sustained: for minutes; cold: each in a new "
    "process, with its files dropped from memory. May be given several times, as the next three.",
)
@click.option(
    "--engine",
    "engines",
    type=click.Choice(ENGINE_NAMES),
    multiple=True,
    default=["auto"],
    envvar="EDGEFUSE_ENGINE",
    show_default=True,
    help="What runs the encoders; auto: the fastest one that passed its probe here.",
)
@click.option("--threads", "threads", type=click.IntRange(min=1), multiple=True, help="[default: the physical cores]")
@click.option(
    "--precision",
    "precisions",
    metavar="NAME",
    multiple=True,
    help="Run the encoder files of this precision where the kit has them, such as fp32.  [default: its main files]",
)
@click.option(
    "--samples",
    metavar="DIR|TABLE.csv",
    type=FOLDER,
    help="Your own pictures and notes, as for classify; with labels (a column label, or folders named as the classes) "
    "accuracy is told.  [default: the kit's evaluation samples, or else its golden ones]",
)
@click.option(
    "--queries",
    type=click.IntRange(min=1),
    help="Queries to measure: p90 needs 64, p95 130, p99 662.  [default: each sample once, at least 64 in single, 32 "
    "in each process of offline; 8 in cold]",
)
@click.option("--minutes", type=FiniteRange(min=0, min_open=True), help="Of sustained.  [default: 10]")
@click.option("--warmup", type=click.IntRange(min=0), default=2, show_default=True, help="Queries before, kept apart.")
@click.option(
    "--repeats",
    type=click.IntRange(min=1),
    help="Processes of single and offline, one after another: how much they differ makes the interval.  [default: 5]",
)
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, allow_dash=True),
    metavar="FILE|-",
    help="Write every query's nanoseconds and the machine there; - prints them instead of the page.",
)
def run(
    kit: Path,
    scenarios: tuple[str, ...],
    engines: tuple[str, ...],
    threads: tuple[int, ...],
    precisions: tuple[str, ...],
    samples: Path | None,
    queries: int | None,
    minutes: float | None,
    warmup: int,
    repeats: int | None,
    json_file: Path | None,
) -> None:
    """Measure what answers of KIT take on this device: every stage, memory, and how right they are.

    KIT is a folder, or the name of an installed kit.

    Each combination of scenario, engine, threads and precision is measured in fresh processes. A kit that carries
    evaluation samples is asked those, and accuracy is told. Golden samples are drawn: their times are real, and their
    answers mean nothing.
    """
    from edgefuse.kits.kit import Kit
    from edgefuse_bench import harness
    from edgefuse_bench.result import as_json, write_results
    from edgefuse_bench.rows import page
    from edgefuse_bench.samples import own_samples
    from edgefuse_bench.settings import REPEATS, Settings
    from edgefuse_runtimes.errors import BadInput

    if json_file is not None and json_file.is_dir():
        raise BadInput(f"{json_file} is a folder; name a file for --json.")
    if minutes is not None and "sustained" not in scenarios:
        raise click.UsageError("--minutes is for --scenario sustained; others take --queries.")
    if queries is not None and set(scenarios) == {"sustained"}:
        raise click.UsageError("--queries is not for --scenario sustained, which goes on for --minutes.")
    if repeats is not None and set(scenarios).isdisjoint(REPEATS):
        raise click.UsageError("--repeats is for --scenario single and offline; cold has a process for each query.")
    kit = chosen_kit(kit)
    own = None if samples is None else own_samples(samples, Kit.open(kit))
    for sentence in () if own is None else own.remarks:
        click.echo(sentence, err=True)
    combinations = list(product(scenarios, engines, threads or [None], precisions or [None]))
    results = []
    for number, (scenario, engine, count, precision) in enumerate(dict.fromkeys(combinations)):
        settings = Settings(
            scenario=scenario,
            engine=engine,
            precision=precision,
            threads=count,
            queries=queries,
            seconds=None if minutes is None else minutes * 60,
            warmup=warmup,
            repeats=repeats,
        )
        result = harness.run(kit, settings, own)
        results.append(result)
        if json_file != Path("-"):
            click.echo(("\n" if number else "") + page(result))
            if json_file is not None:  # after each, for the next may be what ends the run
                write_results(json_file, results)
    if json_file == Path("-"):
        click.echo(json.dumps(as_json(results), ensure_ascii=False))
