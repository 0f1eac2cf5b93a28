"""`edgefuse raw`: the baseline that reads pictures and notes themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgefuse.commands.dataset_options import dataset_options
from edgefuse.commands.options import FOLDER, say_leaks, threads_option
from edgefuse.datasets.choice import Choice
from edgefuse.training.report import DRAWN
from edgefuse_runtimes.errors import BadInput


@click.command(
    "raw",
    epilog="Example: edgefuse raw V --dataset ham10000 --root HAM10000 --fusion early --output raw.json",
)
@click.argument("table_folder", metavar="V", type=FOLDER)
@dataset_options
@click.option(
    "--text-model",
    default="google-bert/bert-base-uncased",
    show_default=True,
    metavar="FOLDER|ID",
    help="A BERT: its folder, or its name on the hub.",
)
@click.option(
    "--image-model",
    default="google/vit-base-patch16-224-in21k",
    show_default=True,
    metavar="FOLDER|ID",
    help="A ViT with a pooler: its folder, or its name on the hub.",
)
@click.option("--fusion", type=click.Choice(["early", "late"]), required=True, help="The head, as of 'edgefuse train'.")
@click.option("--unfreeze", is_flag=True, help="Let both models learn too, not the head alone.")
@click.option("--epochs", type=click.IntRange(min=1), default=30, show_default=True, help="Passes over the rows.")
@click.option(
    "--batch-size", "batch", type=click.IntRange(min=2), default=64, show_default=True, help="Rows in a batch."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of start values and batches.")
@click.option("--output", type=click.Path(path_type=Path), required=True, help="The result: a new .json file.")
@threads_option
def command(
    table_folder: Path,
    choice: Choice,
    text_model: str,
    image_model: str,
    fusion: str,
    unfreeze: bool,
    epochs: int,
    batch: int,
    seed: int,
    output: Path,
    threads: int | None,
) -> None:
    """Train BERT and ViT with a head on the rows and parts of the embedding table V, on pictures and notes themselves.

    The data set must be the one that V was extracted from. Every epoch reads all of it again, as the paper does, so
    that this takes hours where 'edgefuse train' takes seconds. Needs the extra raw.
    """
    from edgefuse.embeddings.table import open_table
    from edgefuse.progress import bar
    from edgefuse_export.raw.backbones import open_backbones
    from edgefuse_export.raw.baseline import Settings, run
    from edgefuse_export.raw.samples import samples_of
    from edgefuse_export.resources import limited
    from edgefuse_runtimes.files import require_name, write_json

    require_name(output)
    if output.exists():
        raise BadInput(f"{output} already exists; choose another output or remove it first.")
    settings = Settings("early" if fusion == "early" else "late", unfreeze, epochs, batch, seed)
    table = open_table(table_folder)
    samples = samples_of(table, choice.open())
    with limited(threads, "normal"):
        result = run(table, samples, open_backbones(text_model, image_model), settings, bar)
    write_json(output, result)
    for line in summary(result):
        click.echo(line)
    say_leaks(result["dataset"])


def summary(result: dict[str, Any]) -> list[str]:
    """The figures as lines."""
    settings, seconds, sizes = result["settings"], result["seconds_per_epoch"], result["megabytes"]
    how = "learning" if settings["unfreeze"] else "frozen"
    return [
        f"{result['dataset']['name']}: raw pictures and notes, {how} backbones, {settings['fusion']} fusion, epoch "
        f"{result['kept_epoch']} of {settings['epochs']}",
        f"{'':<12}{'rows':>6}{'accuracy':>10}{'macro-F1':>10}",
        *(
            f"{part:<12}{result['rows'][part]:>6}{result[part]['accuracy']:>10.3f}{result[part]['macro_f1']:>10.3f}"
            for part in ("validation", "test")
        ),
        f"seconds per epoch: {seconds['training']:.2f} training, {seconds['inference']:.2f} inference",
        f"MB: {sizes['head']:.2f} head with backbones, {sizes['read_per_epoch']:.2f} read per training epoch",
        *([DRAWN] if result["dataset"].get("drawn") else []),
    ]
