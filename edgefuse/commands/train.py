"""`edgefuse train`: from an embedding table to a head."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from edgefuse.commands.options import FOLDER, FiniteRange, say_leaks, threads_option
from edgefuse.commands.training_options import match_option, text_components_option, training_options
from edgefuse.embeddings.table import open_table
from edgefuse.heads import Fusion, Head, write_head
from edgefuse.progress import bar
from edgefuse.training import align, referral
from edgefuse.training.recipe import SHIFTS, train_head
from edgefuse.training.report import DRAWN, figure_lines, spread_lines
from edgefuse.training.trainer import Settings
from edgefuse_runtimes.folders import require_new
from edgefuse_runtimes.machine import set_blas_threads, usable_cores

FEW_ANSWERS = 30
"""Below so many the share that is right may be luck: 27 of 30 leaves an interval of .73 to .98."""


@click.command("train", epilog="Example: edgefuse train V --fusion early --seed 0 --output H")
@click.argument("table_folder", metavar="V", type=FOLDER)
@click.option(
    "--fusion",
    type=click.Choice(["early", "late"]),
    required=True,
    help="early: one block over text and image together; late: a block for each, joined after.",
)
@click.option("--output", type=FOLDER, required=True, help="The head: a new folder.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of start values and batches.")
@click.option(
    "--seeds",
    metavar="N",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Train N times, from --seed on: figures get mean and spread, the head best on validation rows is kept.",
)
@click.option(
    "--shift",
    type=FiniteRange(-1, 1),
    help="How far the gap between text and image is closed (1) or widened (-1).  "
    f"[default: of {', '.join(f'{shift:g}' for shift in SHIFTS)} the best on validation rows]",
)
@match_option
@text_components_option
@click.option(
    "--average-image",
    is_flag=True,
    help="Answer for a picture with its note by the mean of the fused head's and the image-only head's logits.",
)
@click.option(
    "--refer-accuracy",
    metavar="A",
    type=FiniteRange(0, 1, min_open=True),
    help="Refer answers that are not sure enough: those that are given shall be right as often as A, such as .9.",
)
@training_options
@threads_option
def command(
    table_folder: Path,
    fusion: Fusion,
    output: Path,
    seed: int,
    seeds: int,
    shift: float | None,
    match: align.Method,
    text_components: int | None,
    average_image: bool,
    refer_accuracy: float | None,
    settings: Settings,
    threads: int | None,
) -> None:
    """Fit the alignment and train the head on the embedding table V, made by 'edgefuse extract'.

    Training rows fit; validation rows choose the epoch, the shift and the temperature. Test rows are not
    read. A text-only and an image-only head are trained beside it, to compare with.
    """
    require_new(output)
    set_blas_threads(1)  # the trainer's own threads share the work better
    table = open_table(table_folder)
    if refer_accuracy is not None:
        referral.check(table)  # before the work, not after it
    head = train_head(
        table,
        fusion=fusion,
        seed=seed,
        seeds=seeds,
        settings=settings,
        shifts=None if shift is None else (shift,),
        match=match,
        text_components=text_components,
        average_image=average_image,
        threads=threads or usable_cores(),
        progress=bar,
    )
    for remark in remarks(head):
        click.echo(remark, err=True)
    if refer_accuracy is not None:
        head = replace(head, referral=referral.fit(head, table, refer_accuracy))
    write_head(output, head)
    for line in summary(head):
        click.echo(line)
    say_leaks(head.dataset)
    if refer_accuracy is not None:
        click.echo(referral_line(head, refer_accuracy))
    click.echo(f"{output}: judge it on the test rows with 'edgefuse evaluate {output}'.", err=True)


def summary(head: Head) -> list[str]:
    """What was trained, and its figures on the validation rows."""
    kept = head.training
    views = f" and {kept['views']} views of each picture" if "views" in kept else ""
    lines = [
        f"{head.dataset['name']}: {head.fusion} fusion, {len(head.classes)} classes, "
        f"{kept['rows']} training rows{views}, "
        f"shift {kept['shift']:g}, epoch {kept['epochs_kept']['fused']} of {kept['epochs']}, "
        f"temperature {head.temperature:.2f}",
        "validation rows (they chose epoch and shift, so the figures flatter):",
        *figure_lines(head.validation, head.validation["rows"]),
    ]
    if "spread" in head.validation:
        lines += spread_lines(head.validation["spread"], kept["seeds"])
    return [*lines, DRAWN] if head.dataset["drawn"] else lines


def remarks(head: Head) -> list[str]:
    """What the user should know about the settings."""
    lengths = {name: head.training["noise"] * width**0.5 for name, width in head.training["widths"].items()}
    return [
        f"The noise moves {name} vectors of length 1 by about {length:.2f}: little of what they tell is left; "
        "take a smaller --noise."
        for name, length in lengths.items()
        if length >= 0.5
    ]


def referral_line(head: Head, wanted: float) -> str:
    """What the head refers, or that it cannot be right as often as was wanted."""
    if head.referral is None:
        return (
            f"no referral: at no threshold are {wanted:.0%} of the answers to validation rows right; "
            "every answer is given, as without --refer-accuracy"
        )
    fused = head.referral.thresholds["fused"]
    kept = fused.validation
    answered = round(kept.coverage * kept.rows)
    few = "; so few say little about others" if answered < FEW_ANSWERS else ""
    return (
        f"referral: answers less than {fused.threshold:.1%} sure are referred; {answered} of {kept.rows} validation "
        f"rows ({kept.coverage:.0%}) are answered, {kept.accuracy:.1%} of them rightly{few}"
    )
