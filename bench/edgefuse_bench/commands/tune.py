"""`edgefuse tune`: engine, threads and precision of a kit, chosen by measuring on this device."""

from __future__ import annotations

import json
from pathlib import Path

import click

from edgefuse.commands.options import FOLDER, FiniteRange, chosen_kit

EXAMPLE = """\b
Examples: edgefuse tune my.kit
          edgefuse tune my.kit --minutes 20
          edgefuse tune my.kit --forget"""


@click.command("tune", epilog=EXAMPLE)
@click.argument("kit", type=FOLDER, required=False)
@click.option(
    "--minutes",
    type=FiniteRange(min=0.1, max=24 * 60),
    default=5.0,
    show_default=True,
    help="How long to measure; the first run is finished in any case.",
)
@click.option("--forget", is_flag=True, help="Only remove what was chosen, so that the kit runs as usual again.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the page.")
def command(kit: Path | None, minutes: float, forget: bool, as_json: bool) -> None:
    """Choose engine, threads and precision for each encoder of KIT by measuring them here.

    What is fastest is written beside the kit, never into it, and 'classify' uses it from then on; what is usual is
    kept unless another way is clearly faster, beyond chance. Without KIT it is the kit that 'classify' uses.
    """
    from edgefuse.kits.active import find_kit
    from edgefuse_bench.tuning.page import render
    from edgefuse_bench.tuning.running import require_writable, tune

    if forget:
        folder = find_kit(kit)
        path = require_writable(folder)
        there = path.is_file()
        path.unlink(missing_ok=True)
        if as_json:
            click.echo(json.dumps({"removed": str(path) if there else None}))
        else:
            click.echo(f"{path} is removed." if there else f"Nothing was tuned for {folder}.")
        return
    found = tune(chosen_kit(kit), minutes * 60)
    click.echo(json.dumps(found, ensure_ascii=False) if as_json else render(found))
