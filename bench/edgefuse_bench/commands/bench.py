"""`edgefuse bench`: what a kit costs on this device."""

from __future__ import annotations

import json
from pathlib import Path

import click

from edgefuse.commands.options import FOLDER, engine_option, precision_option, threads_option
from edgefuse_bench.commands.compare import compare
from edgefuse_bench.commands.peers import peers
from edgefuse_bench.commands.report import report

EXAMPLE = """\b
Examples: edgefuse bench run my.kit
          edgefuse bench run my.kit --samples 130 --threads 1 --json pi.json"""


@click.group("bench", epilog=EXAMPLE)
def command() -> None:
    """Measure what a kit costs on this device."""


command.add_command(compare)
command.add_command(peers)
command.add_command(report)


@command.command("run", epilog=EXAMPLE)
@click.argument("kit", type=FOLDER)
@click.option(
    "--samples",
    type=click.IntRange(min=1),
    default=64,
    show_default=True,
    help="Queries to measure; p90 needs 64, p95 130, p99 662.",
)
@click.option("--warmup", type=click.IntRange(min=0), default=2, show_default=True, help="Queries before, kept apart.")
@engine_option
@precision_option
@threads_option
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, allow_dash=True),
    metavar="FILE|-",
    help="Write every query's nanoseconds and the machine there; - prints them instead of the page.",
)
def run(
    kit: Path,
    samples: int,
    warmup: int,
    engine: str,
    precision: str | None,
    threads: int | None,
    json_file: Path | None,
) -> None:
    """Time one query after another over KIT's golden samples, in a fresh process.

    Golden samples are drawn, so the times are real and the answers mean nothing.
    """
    from edgefuse_bench.harness import run_single_stream
    from edgefuse_bench.rows import page
    from edgefuse_runtimes.errors import BadInput
    from edgefuse_runtimes.files import write_json

    if json_file is not None and json_file.is_dir():
        raise BadInput(f"{json_file} is a folder; name a file for --json.")
    result = run_single_stream(kit, samples=samples, warmup=warmup, engine=engine, threads=threads, precision=precision)
    if json_file == Path("-"):
        click.echo(json.dumps(result, ensure_ascii=False))
        return
    click.echo(page(result))
    if json_file is not None:
        write_json(json_file, result)
