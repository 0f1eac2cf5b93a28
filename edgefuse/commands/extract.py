"""`edgefuse extract`: from a data set to an embedding table."""

from __future__ import annotations

from collections import Counter
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgefuse.commands.dataset_options import dataset_options
from edgefuse.commands.options import FOLDER, engine_option, say_leaks, threads_option
from edgefuse.datasets.choice import Choice
from edgefuse.datasets.parts import SPLITS
from edgefuse.embeddings.cost import cost_sentences
from edgefuse.extraction.running import VIEWS, Extraction, Settings, extract
from edgefuse.kits.encoders import Encoders
from edgefuse.progress import bar
from edgefuse_runtimes.errors import BadInput

if TYPE_CHECKING:
    from edgefuse.scheduling.cluster import Cluster


@click.command(
    "extract",
    epilog="Example: edgefuse extract --dataset ham10000 --root HAM10000 --encoders E --output V",
)
@dataset_options
@click.option("--encoders", "encoders_folder", type=FOLDER, required=True, help="Folder made by 'edgefuse export'.")
@click.option("--output", type=FOLDER, required=True, help="The table: a new folder, or an unfinished one.")
@click.option(
    "--split",
    type=click.Choice(SPLITS),
    help="grouped: by group and label; paper: by picture, as the paper does, which leaks; time, city: SatelliteBench.  "
    "[default: the data set's own parts, if it has some, else the first that it has]",
)
@click.option("--split-seed", type=int, default=0, show_default=True, help="Seed of the split into parts.")
@click.option(
    "--views",
    type=click.Choice([str(count) for count in VIEWS]),
    help="Encode so many views of every picture one by one too, for a head to learn from: 2, the picture and its "
    "mirror image; 4, both upside down too; 8, all turned by a quarter too, for pictures that have no up. Each "
    "view is one more run of the image encoder here; a device does not notice.",
)
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
@click.option(
    "--reuse",
    metavar="V",
    type=FOLDER,
    help="Another table: what it has of the same pictures, or the same notes, from the same encoder is taken over.",
)
@engine_option
@threads_option
def command(
    choice: Choice,
    encoders_folder: Path,
    output: Path,
    split: str | None,
    split_seed: int,
    views: str | None,
    scheduler: str | None,
    shared_encoders: str | None,
    shared_root: str | None,
    reuse: Path | None,
    engine: str,
    threads: int | None,
) -> None:
    """Run both encoders over a data set and write the embedding table that 'edgefuse train' reads.

    Equal notes are encoded once. After an interruption the same command goes on where it stopped. Rows are
    divided into training, validation and test parts by group and label; only --split-seed changes that.
    """
    if scheduler is None and (shared_encoders or shared_root):
        raise BadInput("--shared-encoders and --shared-root say what workers see; add --scheduler.")
    encoders = Encoders.open(encoders_folder)
    dataset = choice.open()
    with ExitStack() as stack:
        encode = None
        if scheduler is not None:
            seen = None if shared_root is None else (choice.folder, shared_root)
            encode = stack.enter_context(_cluster(scheduler, shared_encoders, seen)).encode
        done = extract(
            dataset,
            encoders,
            output,
            split=split,
            split_seed=split_seed,
            skip_missing=choice.skip_missing,
            settings=Settings(engine, threads, notify=_say),
            encode=encode,
            reuse=reuse,
            views=int(views) if views else None,
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
