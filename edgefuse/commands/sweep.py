"""`edgefuse sweep`: heads for many shifts, kinds of fusion and seeds, on all cores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import click

from edgefuse.commands.options import FOLDER, say_leaks
from edgefuse.commands.training_options import match_option, text_components_option, training_options
from edgefuse.embeddings.table import open_table
from edgefuse.figures.canvas import save
from edgefuse.figures.sweep import curves
from edgefuse.heads import Fusion
from edgefuse.progress import bar
from edgefuse.sweep.report import csv_of, description, lines, summary
from edgefuse.sweep.running import Plan, Sweep, even_shifts, run_sweep
from edgefuse.training import align
from edgefuse.training.recipe import check_rows
from edgefuse.training.report import DRAWN
from edgefuse.training.trainer import Settings
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import write_bytes, write_json
from edgefuse_runtimes.machine import usable_cores

EXAMPLE = """\b
Examples: edgefuse sweep V --output S
          edgefuse sweep V --output S --fusion late --shifts 0,0.5,1 --seeds 10"""


def parse_shifts(context: click.Context, option: click.Parameter, value: str) -> tuple[float, ...]:
    """A number of shifts from -1 to 1, evenly spaced, or the shifts themselves: ascending, each once."""
    try:
        if value.isdecimal() and int(value) >= 2:
            return even_shifts(int(value))
        found = tuple(sorted({float(part) + 0.0 for part in value.split(",")}))  # + 0.0: -0 is 0
    except ValueError:
        raise click.BadParameter(f"{value!r} is neither a number of shifts nor a list such as -1,0,0.5.") from None
    if not all(-1 <= shift <= 1 for shift in found):
        raise click.BadParameter(f"{value!r} has a shift outside -1 to 1.")
    return found


@click.command("sweep", epilog=EXAMPLE)
@click.argument("table_folder", metavar="V", type=FOLDER)
@click.option("--output", type=FOLDER, required=True, help="A folder, new or of the same sweep, which then goes on.")
@click.option(
    "--shifts",
    callback=parse_shifts,
    metavar="N|LIST",
    default="21",
    show_default=True,
    help="How many shifts from -1 to 1, evenly spaced, or which: -1,0,0.5.",
)
@click.option(
    "--fusion",
    "fusions",
    type=click.Choice(["early", "late"]),
    multiple=True,
    default=("early", "late"),
    show_default=True,
    help="Can be given twice.",
)
@click.option(
    "--seeds", type=click.IntRange(min=1), default=5, show_default=True, help="Heads for each: seeds 0, 1, ..."
)
@match_option
@text_components_option
@training_options
@click.option("--jobs", type=click.IntRange(min=1), help="Heads trained at a time.  [default: the physical cores]")
def command(
    table_folder: Path,
    output: Path,
    shifts: tuple[float, ...],
    fusions: tuple[str, ...],
    seeds: int,
    match: align.Method,
    text_components: int | None,
    settings: Settings,
    jobs: int | None,
) -> None:
    """Train heads on the embedding table V for many shifts, both kinds of fusion and several seeds.

    Accuracy and macro-F1 are those on validation rows; test rows are not read. The same command goes on where an
    interrupted one stopped, and more shifts or seeds are added to what is there. The shift to take is chosen on the
    mean over the seeds: 0 or the nearest to it, unless a better one leads by more than chance gives.
    """
    table = open_table(table_folder)
    check_rows(table)
    kinds = cast(Sequence[Fusion], list(dict.fromkeys(fusions)))
    plan = Plan(table, shifts, seeds, tuple(kinds), match, settings, text_components)
    sweep = run_sweep(plan, output, jobs=jobs or usable_cores(), progress=bar)
    _write(output, sweep)
    click.echo(
        f"{table.dataset['name']}: {len(shifts)} shifts x {seeds} seeds, judged on {sweep.validation_rows} validation "
        "rows, which chose the epochs too, so the figures flatter"
    )
    for line in [*summary(sweep.swept), *([DRAWN] if table.dataset["drawn"] else [])]:
        click.echo(line)
    say_leaks(table.dataset)


def _write(output: Path, sweep: Sweep) -> None:
    write_bytes(output / "sweep.csv", csv_of(sweep.results))
    facts = {"schema": 1, **sweep.inputs, "validation_rows": sweep.validation_rows}
    write_json(output / "sweep.json", {**facts, "fusions": description(sweep.swept)})
    try:
        figure = curves(lines(sweep.swept))
    except BadInput as error:
        click.echo(f"No figure was drawn: {error}", err=True)
        return
    for ending in ("png", "svg"):
        save(figure, output / f"sweep.{ending}")
