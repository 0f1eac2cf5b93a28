"""`edgefuse extract`: from a data set to an embedding table."""

from __future__ import annotations

from collections import Counter
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgefuse.commands.options import FOLDER, engine_option, say_leaks, threads_option
from edgefuse.cost import cost_sentences
from edgefuse.datasets import open_dataset
from edgefuse.datasets.parts import SPLITS
from edgefuse.datasets.table import Columns
from edgefuse.datasets.template import read_template
from edgefuse.encoders import Encoders
from edgefuse.extraction import Extraction, Settings, extract
from edgefuse.progress import bar

if TYPE_CHECKING:
    from edgefuse.scheduling.cluster import Cluster


@click.command(
    "extract",
    epilog="Example: edgefuse extract --dataset ham10000 --root HAM10000 --encoders E --output V",
)
@click.option(
    "--dataset",
    required=True,
    metavar="NAME|TABLE.csv",
    help="Its name, see 'edgefuse datasets', or a CSV file with the columns image, text, label and, if wanted, id, "
    "group, split.",
)
@click.option("--root", type=FOLDER, help="Folder of the data set.  [default for a CSV file: where it lies]")
@click.option("--encoders", "encoders_folder", type=FOLDER, required=True, help="Folder made by 'edgefuse export'.")
@click.option("--output", type=FOLDER, required=True, help="The table: a new folder, or an unfinished one.")
@click.option(
    "--template",
    metavar="FILE|TEXT",
    help="The note of a row, with columns in braces: 'Age: {age}.'  [default: the data set's own]",
)
@click.option(
    "--allow-leak",
    "allow_leaks",
    multiple=True,
    metavar="NAME",
    help="Take this field into the notes although it tells the label; all figures are then marked. Repeatable.",
)
@click.option("--image-column", metavar="NAME", help="Of a CSV file: the picture's path.  [default: image]")
@click.option("--text-column", metavar="NAME", help="Of a CSV file: the note.  [default: text]")
@click.option("--label-column", metavar="NAME", help="Of a CSV file: the class.  [default: label]")
@click.option("--id-column", metavar="NAME", help="Of a CSV file: a name for each row.  [default: id, if there]")
@click.option("--group-column", metavar="NAME", help="Of a CSV file: what stays together.  [default: group, if there]")
@click.option("--split-column", metavar="NAME", help="Of a CSV file: the part.  [default: split, if there]")
@click.option(
    "--subgroup",
    "subgroups",
    multiple=True,
    metavar="COLUMN",
    help="Of a CSV file: give figures for each value of this column too. Repeatable.",
)
@click.option(
    "--split",
    type=click.Choice(SPLITS),
    help="grouped: by group and label; paper: by picture, as the paper does, which leaks; time, city: SatelliteBench.  "
    "[default: the data set's own parts, if it has some, else grouped]",
)
@click.option("--split-seed", type=int, default=0, show_default=True, help="Seed of the split into parts.")
@click.option("--skip-missing", is_flag=True, help="Leave out samples whose picture is missing or unreadable.")
@click.option("--multilabel", is_flag=True, help='Any number of classes may hold: a label joins them by "|".')
@click.option(
    "--scheduler",
    metavar="local:N|tcp://HOST:PORT",
    help="Encode with N worker processes here, or with the workers of a Dask scheduler.",
)
@click.option(
    "--shared-encoders",
    metavar="DIR",
    help="Where workers see a copy of the encoders, or of several folders of them.  [default: "
    "EDGEFUSE_SHARED_ENCODERS of the workers, else the files are sent once]",
)
@click.option("--shared-root", metavar="DIR", help="Where workers see --root.  [default: pictures are sent]")
@engine_option
@threads_option
def command(
    dataset: str,
    root: Path | None,
    encoders_folder: Path,
    output: Path,
    template: str | None,
    allow_leaks: tuple[str, ...],
    split: str | None,
    split_seed: int,
    skip_missing: bool,
    multilabel: bool,
    scheduler: str | None,
    shared_encoders: str | None,
    shared_root: str | None,
    engine: str,
    threads: int | None,
    **columns: Any,
) -> None:
    """Run both encoders over a data set and write the embedding table that 'edgefuse train' reads.

    Equal notes are encoded once. After an interruption the same command goes on where it stopped. Rows are
    divided into training, validation and test parts by group and label; only --split-seed changes that.
    """
    encoders = Encoders.open(encoders_folder)
    samples = open_dataset(
        dataset,
        root,
        skip_missing=skip_missing,
        multilabel=multilabel,
        template=read_template(template) if template is not None else None,
        allow_leaks=allow_leaks,
        columns=_columns(**columns),
    )
    with ExitStack() as stack:
        encode = None
        if scheduler is not None:
            seen = None if shared_root is None else (root or Path(dataset).parent, shared_root)
            encode = stack.enter_context(_cluster(scheduler, shared_encoders, seen)).encode
        done = extract(
            samples,
            encoders,
            output,
            split=split,
            split_seed=split_seed,
            skip_missing=skip_missing,
            settings=Settings(engine, threads, notify=_say),
            encode=encode,
            progress=bar,
        )
    for sentence in summary(done):
        _say(sentence)
    say_leaks(done.table.dataset, err=True)


def _cluster(
    scheduler: str, shared_encoders: str | None, shared_root: tuple[Path, str] | None
) -> AbstractContextManager[Cluster]:
    from edgefuse.scheduling.cluster import open_cluster

    return open_cluster(scheduler, shared_encoders=shared_encoders, shared_root=shared_root, progress=bar)


def _columns(*, subgroups: tuple[str, ...], **names: str | None) -> Columns | None:
    """The columns of a CSV file as far as the options name them; None if they name none."""
    given = {name.removesuffix("_column"): column for name, column in names.items() if column is not None}
    return Columns(**given, subgroups=subgroups) if given or subgroups else None


def summary(done: Extraction) -> list[str]:
    """What the user should know about a finished table."""
    table = done.table
    parts = Counter(table.splits.tolist())
    sentences = [
        f"{table.folder}: {len(table.ids)} rows ("
        f"{parts['train']} training, {parts['validation']} validation, "
        f"{parts['test']} test), {len(table.classes)} classes, {done.distinct_notes} different notes."
    ]
    if done.cut_notes:
        sentences.append(f"{done.cut_notes} notes are over the text encoder's token limit and were cut at their end.")
    if done.left_out:
        names = ", ".join(done.left_out[:5]) + (", ..." if len(done.left_out) > 5 else "")
        sentences.append(f"{len(done.left_out)} samples were left out for want of a readable picture: {names}.")
    return [*sentences, *cost_sentences(table.cost)]


def _say(sentence: str) -> None:
    click.echo(sentence, err=True)
