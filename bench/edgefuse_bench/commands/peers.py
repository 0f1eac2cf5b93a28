"""`edgefuse bench peers`: edgefuse's engines beside other libraries, in one run."""

from __future__ import annotations

import json
from pathlib import Path

import click

from edgefuse.commands.options import FOLDER, threads_option
from edgefuse_runtimes.spec import Modality

EXAMPLE = """\b
Examples: edgefuse bench peers --encoders E --image M/dinov2 --text M/smollm2
          edgefuse bench peers --encoders E --image M/dinov2 --dataset ham10000 --root HAM10000 --markdown peers.md"""


@click.command("peers", epilog=EXAMPLE)
@click.option("--encoders", "folder", type=FOLDER, required=True, help="Folder made by 'edgefuse export'.")
@click.option("--image", metavar="SRC", help="What its image encoder was exported from: a folder, hub id or file.")
@click.option("--text", metavar="SRC", help="What its text encoder was exported from.")
@click.option(
    "--dataset",
    metavar="NAME|TABLE.csv",
    help="Pictures and notes, as 'edgefuse extract' takes them.  [default: drawn ones]",
)
@click.option("--root", type=FOLDER, help="Folder of the data set.")
@click.option(
    "--rounds", type=click.IntRange(min=1), default=16, show_default=True, help="Six or more give an interval."
)
@click.option("--count", type=click.IntRange(min=1), default=8, show_default=True, help="Samples of each round.")
@click.option("--head", "head_folder", type=FOLDER, help="A head of these encoders: how often is the label the same?")
@click.option("--remark", help="What a reader must know of the encoders, such as: Weights are random.")
@threads_option
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, allow_dash=True),
    metavar="FILE|-",
    help="Write every sample's nanoseconds and the machine there; - prints them instead of the page.",
)
@click.option("--markdown", type=click.Path(path_type=Path, dir_okay=False), help="Write the page there, too.")
def peers(
    folder: Path,
    image: str | None,
    text: str | None,
    dataset: str | None,
    root: Path | None,
    rounds: int,
    count: int,
    head_folder: Path | None,
    remark: str | None,
    threads: int | None,
    json_file: Path | None,
    markdown: Path | None,
) -> None:
    """Time the same work done by edgefuse and by other libraries that are installed.

    Each library opens the encoder, or the source it was exported from, in a process of its own. In every round all of
    them are given the same samples in turn; a ratio is the median over the rounds. Beside time stand memory, files and
    the distance to the source's own float32 vectors. What is missing or fails is named with the reason.
    """
    from edgefuse.heads import open_head
    from edgefuse.kits.encoders import Encoders
    from edgefuse.progress import bar
    from edgefuse_bench.peers.comparison import Settings, compare
    from edgefuse_bench.peers.page import page
    from edgefuse_runtimes.errors import BadInput
    from edgefuse_runtimes.files import write_bytes, write_json

    named: tuple[tuple[Modality, str | None], ...] = (("image", image), ("text", text))
    sources = {modality: source for modality, source in named if source is not None}
    if not sources:
        raise BadInput("Nothing is to be compared; name a source with --image, --text or both.")
    if json_file is not None and json_file.is_dir():
        raise BadInput(f"{json_file} is a folder; name a file for --json.")
    settings = Settings(rounds=rounds, count=count, threads=threads, dataset=dataset, root=root, remark=remark)
    head = None if head_folder is None else open_head(head_folder)
    result = compare(Encoders.open(folder), sources, settings, head, bar)
    if json_file == Path("-"):
        click.echo(json.dumps(result, ensure_ascii=False))
    else:
        click.echo(page(result))
        if json_file is not None:
            write_json(json_file, result)
    if markdown is not None:
        write_bytes(markdown, (page(result) + "\n").encode())
