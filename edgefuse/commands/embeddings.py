"""`edgefuse embeddings`: embedding tables in the formats of others, and what a table is."""

from __future__ import annotations

from pathlib import Path

import click

from edgefuse.commands.options import FOLDER, say_leaks
from edgefuse.progress import bar

EXAMPLE = "Example: edgefuse embeddings import train.csv --label dx --group lesion_id --output V"
LAYOUT_NAMES = ("joined", "clip", "emb", "pair", "npz", "parquet")


@click.group("embeddings", epilog=EXAMPLE)
def command() -> None:
    """Import and export embedding tables, or show what one is.

    Layouts: joined (text_1,... image_0,...), clip (text_embedding_0,... image_embedding_0,...), emb (text_emb_0,...
    img_emb_0,...), pair (a file of ImageName,0,1,... and one with a column embeddings), npz and parquet.
    """


@command.command("import", epilog=EXAMPLE)
@click.argument("files", metavar="FILE [FILE]", type=FOLDER, nargs=-1, required=True)
@click.option("--output", type=FOLDER, required=True, help="The table: a new folder.")
@click.option("--layout", type=click.Choice(LAYOUT_NAMES), help="[default: by the columns]")
@click.option("--label", metavar="COLUMN", help="Column of the label.  [default: label]")
@click.option("--id", "id_column", metavar="COLUMN", help="Column that names a row.  [default: id, or none]")
@click.option("--group", metavar="COLUMN", help="Column of rows that belong together.  [default: group, or none]")
@click.option("--split", metavar="COLUMN", help="Column of the parts.  [default: split, or edgefuse divides]")
@click.option("--subgroup", "subgroups", metavar="COLUMN", multiple=True, help="Column that figures are told apart by.")
@click.option("--split-seed", type=int, default=0, show_default=True, help="Seed of the split, where there is none.")
@click.option(
    "--by-picture",
    is_flag=True,
    help="Take a split that has groups in two parts, as the paper's has, which leaks: all figures are then marked.",
)
@click.option(
    "--leak",
    "leaks",
    metavar="NAME",
    multiple=True,
    help="A field of the notes behind the vectors that tells the label: all figures are then marked. Repeatable.",
)
@click.option("--multilabel", is_flag=True, help='Any number of classes may hold: a label joins them by "|".')
@click.option("--image-encoder", metavar="NAME", help="What made the image vectors.")
@click.option("--text-encoder", metavar="NAME", help="What made the text vectors.")
@click.option("--encoders", "encoders_folder", type=FOLDER, help="The folder of encoders that made the vectors.")
@click.option("--name", help="Of the data set.  [default: the file's]")
@click.option("--licence", help="Of the data set.")
def import_(
    files: tuple[Path, ...],
    output: Path,
    layout: str | None,
    label: str | None,
    id_column: str | None,
    group: str | None,
    split: str | None,
    subgroups: tuple[str, ...],
    split_seed: int,
    by_picture: bool,
    leaks: tuple[str, ...],
    multilabel: bool,
    image_encoder: str | None,
    text_encoder: str | None,
    encoders_folder: Path | None,
    name: str | None,
    licence: str | None,
) -> None:
    """Make an embedding table out of FILE, or of two files of the layout pair.

    A head trained on it can be packed only with --encoders, which claims that these very encoders made the vectors.
    """
    from edgefuse.kits.encoders import Encoders
    from edgefuse.tables.columns import Columns
    from edgefuse.tables.importing import About, import_table
    from edgefuse.tables.shown import shown

    table = import_table(
        files,
        output,
        layout=layout,
        columns=Columns(label, id_column, group, split, subgroups),
        about=About(
            name,
            licence,
            None if encoders_folder is None else Encoders.open(encoders_folder),
            {
                **({"image": image_encoder} if image_encoder else {}),
                **({"text": text_encoder} if text_encoder else {}),
            },
            by_picture,
            leaks,
        ),
        split_seed=split_seed,
        multilabel=multilabel,
        progress=bar,
    )
    for line in shown(table):
        click.echo(line, err=True)


@command.command("export", epilog="Example: edgefuse embeddings export V --output table.csv --layout clip")
@click.argument("table_folder", metavar="V", type=FOLDER)
@click.option("--output", type=FOLDER, required=True, help="A new file; pair: its name with -image and -text added.")
@click.option("--layout", type=click.Choice(LAYOUT_NAMES), help="[default: by the file's ending, joined for .csv]")
def export(table_folder: Path, output: Path, layout: str | None) -> None:
    """Write the embedding table V in another layout.

    Numbers are written so that importing them gives the same float32, bit by bit. npz and Parquet also hold what made
    the vectors and what leaks; a CSV file has no place for it.
    """
    from edgefuse.embeddings.table import open_table
    from edgefuse.tables.layouts import export_table

    table = open_table(table_folder)
    for path in export_table(table, output, layout, bar):
        click.echo(f"{path}", err=True)
    if table.view_count:
        click.echo(f"The {table.view_count} views of each picture to learn from stay in {table_folder}.", err=True)
    say_leaks(table.dataset, err=True)


@command.command("show", epilog="Example: edgefuse embeddings show V")
@click.argument("table_folder", metavar="V", type=FOLDER)
def show(table_folder: Path) -> None:
    """Print what the embedding table V is: rows, parts, classes, encoders, and what they took."""
    from edgefuse.embeddings.table import open_table
    from edgefuse.tables.shown import shown

    for line in shown(open_table(table_folder)):
        click.echo(line)
