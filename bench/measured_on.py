"""Measure kits on this machine for the page "Measured on": python bench/measured_on.py KIT... --help

Writes two files for each kit into docs/measured, from which the page is made. The machine should do nothing else.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import click

from edgefuse.card import machine_card
from edgefuse.kits.kit import Kit
from edgefuse_bench.report.entries import short_name
from edgefuse_bench.result import Result, as_json, read_results
from edgefuse_runtimes.errors import EdgefuseError
from edgefuse_runtimes.files import write_bytes

MOMENTS = 100

OUTPUT = Path(__file__).parents[1] / "docs" / "measured"


def file_name(*parts: str) -> str:
    """ "raspberry-pi-5-model-b-rev-1-0-starter-single.json"."""
    return re.sub(r"[^a-z0-9]+", "-", " ".join(parts).lower()).strip("-") + ".json"


def _small(result: Result) -> Result:
    """With memory over time at `MOMENTS` moments: all that is told of it here is its peak."""
    timeline = result.memory["timeline"]
    every = -(-len(timeline) // MOMENTS)
    return replace(result, memory={**result.memory, "timeline": timeline[:: max(1, every)]})


def measure(kit: Path, scenario: str, queries: int, threads: list[int], notes: tuple[str, ...]) -> bytes:
    """The file of one run, without spaces, since the repository keeps it.

    Raises:
        subprocess.CalledProcessError: the run failed, and has said why.
    """
    with tempfile.TemporaryDirectory(prefix="edgefuse-measured-") as folder:
        found = Path(folder) / "result.json"
        command = [sys.executable, "-m", "edgefuse", "bench", "run", str(kit), "--scenario", scenario]
        command += [f"--threads={count}" for count in threads]
        subprocess.run([*command, f"--queries={queries}", f"--json={found}"], check=True)
        results = [_small(replace(result, notes=(*result.notes, *notes))) for result in read_results(found)]
    return json.dumps(as_json(results), ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


@click.command(epilog="Example: python bench/measured_on.py run/starter.kit")
@click.argument("kits", metavar="KIT...", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--queries", type=click.IntRange(min=64), default=130, show_default=True, help="One after another.")
@click.option("--batch", type=click.IntRange(min=8), default=32, show_default=True, help="At once, in each process.")
@click.option("--note", "notes", multiple=True, help="A sentence that stands with the numbers.")
@click.option("--output", type=click.Path(path_type=Path), default=OUTPUT, help="[default: docs/measured]")
def main(kits: tuple[Path, ...], queries: int, batch: int, notes: tuple[str, ...], output: Path) -> None:
    """Measure each KIT, one answer at a time and many at once, with one thread and with all cores."""
    card = machine_card()
    if card.get("emulated"):
        raise click.ClickException("This machine is emulated: its times say nothing about a device.")
    threads = sorted({1, card["physical_cores"]})
    try:
        for path in kits:
            kit = Kit.open(path)
            for scenario, count in (("single", queries), ("offline", batch)):
                name = file_name(short_name(card), kit.name, scenario)
                write_bytes(output / name, measure(path, scenario, count, threads, notes))
    except EdgefuseError as error:
        raise click.ClickException(str(error)) from error
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)


if __name__ == "__main__":
    main()
