"""Measure kits on this machine for the page "Measured on": python bench/measured_on.py KIT... --help

Writes one file for each kit into docs/measured, from which the page is made. The machine should do nothing else.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import click

from edgefuse.card import machine_card
from edgefuse.kits.kit import Kit
from edgefuse_bench.report.entries import short_name
from edgefuse_runtimes.errors import EdgefuseError

OUTPUT = Path(__file__).parents[1] / "docs" / "measured"


def file_name(machine: str, kit: str) -> str:
    """ "raspberry-pi-5-model-b-rev-1-0-starter.json"."""
    return re.sub(r"[^a-z0-9]+", "-", f"{machine} {kit}".lower()).strip("-") + ".json"


@click.command(epilog="Example: python bench/measured_on.py run/starter.kit")
@click.argument("kits", metavar="KIT...", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--queries", type=click.IntRange(min=64), default=130, show_default=True, help="Of every run.")
@click.option("--output", type=click.Path(path_type=Path), default=OUTPUT, help="[default: docs/measured]")
def main(kits: tuple[Path, ...], queries: int, output: Path) -> None:
    """Measure each KIT, one answer at a time and many at once, with one thread and with all cores."""
    card = machine_card()
    if card.get("emulated"):
        raise click.ClickException("This machine is emulated: its times say nothing about a device.")
    output.mkdir(parents=True, exist_ok=True)
    for path in kits:
        try:
            name = Kit.open(path).name
        except EdgefuseError as error:
            raise click.ClickException(str(error)) from error
        threads = dict.fromkeys(("1", str(card["physical_cores"])))
        command = [sys.executable, "-m", "edgefuse", "bench", "run", str(path), "--queries", str(queries)]
        command += ["--scenario", "single", "--scenario", "offline", *(f"--threads={count}" for count in threads)]
        command += ["--json", str(output / file_name(short_name(card), name))]
        if code := subprocess.run(command, check=False).returncode:
            sys.exit(code)


if __name__ == "__main__":
    main()
