"""What reading the meters of this machine costs: python bench/meters_cost.py --help

A meter is read beside a run, so what it takes is taken from the run. For every meter this prints the time of one
reading, and the processor time of this process and of the programs that it starts (vcgencmd), as a share of one core at
one reading a second. With --root the meters of a recorded machine are read: then only the work of reading counts, not
the sensors'.
"""

from __future__ import annotations

import resource
import statistics
import time
from pathlib import Path

import click

from edgefuse.progress import bar
from edgefuse_bench.meters import Meter, all_meters


def cpu_seconds() -> float:
    """Processor time of this process and of its children that ended."""
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in spent)


def cost(meter: Meter, readings: int) -> tuple[float, float]:
    """Median seconds, and mean processor seconds, of one reading."""
    seconds, before = [], cpu_seconds()
    for _ in range(readings):
        asked = time.perf_counter()
        meter.read()
        seconds.append(time.perf_counter() - asked)
    return statistics.median(seconds), (cpu_seconds() - before) / readings


@click.command(help=__doc__)
@click.option("--root", type=click.Path(path_type=Path, exists=True), default=Path("/"), help="A recorded machine.")
@click.option("--readings", type=click.IntRange(min=1), default=200, show_default=True)
def main(root: Path, readings: int) -> None:
    """Measure and print."""
    meters = all_meters(root)
    costs = [
        (meter, *cost(meter, readings))
        for meter in bar("reading", meters, len(meters))
        if "not_measurable" not in meter.info()
    ]
    click.echo(f"{'meter':<16}{'ms a reading':>14}{'% of a core':>14}   source")
    for meter, seconds, processor in costs:
        click.echo(f"{meter.name:<16}{seconds * 1e3:>14.3f}{processor * 100:>14.3f}   {meter.info()['source']}")
    for meter in meters:
        if "not_measurable" in meter.info():
            click.echo(f"{meter.name:<16}not measurable: {meter.info()['not_measurable']}")


if __name__ == "__main__":
    main()
