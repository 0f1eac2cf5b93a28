"""How long `edgefuse --help` takes beside the import of click alone: python bench/compare_start_up.py --help

The two are started in turn, so that a busy machine slows both alike, and the ratio is taken pair by pair. Processor
time is counted, of the whole process with its interpreter; the wall clock is shown beside it.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import NamedTuple

import click

from edgefuse.progress import bar
from edgefuse_runtimes.processor import processor_name

HELP = (sys.executable, "-m", "edgefuse", "--help")
CLICK = (sys.executable, "-c", "import click")


class Run(NamedTuple):
    """One process from its start to its end."""

    cpu_ms: float
    wall_ms: float


def run(command: Sequence[str]) -> Run:
    """Time one process; its output is thrown away."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise click.ClickException(f"{' '.join(command)} ended with exit code {process.returncode}.")
    return Run((usage.ru_utime + usage.ru_stime) * 1000, wall * 1000)


def row(name: str, values: Sequence[float], unit: str) -> str:
    """Median and quartiles of one figure."""
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{name:<34}{middle:>9.2f} {unit:<3}{f'{low:.2f} .. {high:.2f}':>20}"


@click.command(epilog="Example: python bench/compare_start_up.py --count 40")
@click.option("--count", type=click.IntRange(min=4), default=40, show_default=True, help="Runs of each, after one.")
def main(count: int) -> None:
    """Time `edgefuse --help` against `python -c "import click"`, in turn."""
    for command in (HELP, CLICK):
        run(command)  # the first one reads the files from disk and writes the compiled modules
    pairs = [(run(HELP), run(CLICK)) for _ in bar("starting", range(count), count)]
    processor = processor_name()
    click.echo(f"{processor}, Python {sys.version.split()[0]}, {count} pairs; median, and quartiles")
    for figure in ("cpu_ms", "wall_ms"):
        ours, theirs = ([getattr(pair[place], figure) for pair in pairs] for place in (0, 1))
        what = figure.removesuffix("_ms")
        click.echo(row(f"edgefuse --help, {what}", ours, "ms"))
        click.echo(row(f"import click, {what}", theirs, "ms"))
        click.echo(row(f"ratio, {what}", [a / b for a, b in zip(ours, theirs, strict=True)], ""))


if __name__ == "__main__":
    main()
