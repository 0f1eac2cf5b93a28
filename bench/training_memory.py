"""What memory training needs beside its embedding table: python bench/training_memory.py --help

Writes a table of random vectors into a temporary folder and trains a head on it in a fresh process: alignment, the
fused head for three shifts, both baselines, temperatures. The most anonymous memory of that process, less what it had
when its imports were done, stands beside the size of the table's vectors. File pages do not count: the table is mapped,
and the system may drop them. Nine rows of ten train, the rest are validation rows: nothing of the table is left out.
"interpolate" trains on vectors that are stretched to the wider width, so they are larger than the table's.

Random vectors: shape and speed only.
"""

from __future__ import annotations

import tempfile
import time
from importlib import import_module
from pathlib import Path

import click
import numpy as np

from edgefuse.embeddings.table import Row, open_table, shard_path, shards, write_description, write_shard
from edgefuse.heads import Fusion
from edgefuse.progress import bar
from edgefuse.training import align
from edgefuse.training.trainer import Settings
from edgefuse_runtimes.machine import process_memory, set_blas_threads
from edgefuse_runtimes.processor import processor_name
from fresh_process import fresh_process, most_anonymous

CLASSES = ("a", "b", "c", "d", "e", "f", "g")


def write_table(folder: Path, count: int, widths: dict[str, int]) -> None:
    """A table of random vectors of these widths."""
    description = {
        "encoders": {name: {"width": width} for name, width in widths.items()},
        "dataset": {"name": "random vectors", "licence": "none", "drawn": True},
        "classes": list(CLASSES),
        "split_seed": None,
    }
    rows = [
        Row(f"r{k}", CLASSES[k % len(CLASSES)], f"r{k}", "validation" if k % 10 == 9 else "train") for k in range(count)
    ]
    folder.mkdir()
    write_description(folder, description, rows)
    rng = np.random.default_rng(0)
    for number, span in bar("writing the table", enumerate(shards(count)), len(shards(count))):
        write_shard(shard_path(folder, "text", number), rng.standard_normal((len(span), widths["text"]), np.float32))
        write_shard(shard_path(folder, "image", number), rng.standard_normal((len(span), widths["image"]), np.float32))


def _ready() -> int:
    """In the fresh process: import everything, and tell the anonymous bytes that this took."""
    import_module("edgefuse.training.recipe")
    set_blas_threads(1)
    return process_memory().anon_bytes


def _train_here(folder: Path, fusion: Fusion, match: align.Method, epochs: int, threads: int) -> float:
    """In the fresh process: train, and tell the seconds."""
    from edgefuse.training.recipe import train_head

    started = time.perf_counter()
    train_head(open_table(folder), fusion=fusion, match=match, settings=Settings(epochs=epochs), threads=threads)
    return time.perf_counter() - started


@click.command(epilog="Example: python bench/training_memory.py --fusion early")
@click.option("--rows", "count", type=click.IntRange(min=100), default=13_012, show_default=True)
@click.option("--text", "text_width", type=click.IntRange(min=1), default=4096, show_default=True, help="Text width.")
@click.option("--image", "image_width", type=click.IntRange(min=1), default=768, show_default=True, help="Image width.")
@click.option("--match", "matches", multiple=True, type=click.Choice(align.METHODS), help="[default: all of them]")
@click.option("--fusion", type=click.Choice(["early", "late"]), default="early", show_default=True)
@click.option("--epochs", type=click.IntRange(min=1), default=2, show_default=True)
@click.option("--threads", type=click.IntRange(min=1), default=2, show_default=True)
def main(
    count: int,
    text_width: int,
    image_width: int,
    matches: tuple[align.Method, ...],
    fusion: Fusion,
    epochs: int,
    threads: int,
) -> None:
    """Measure training with each way to match unequal widths."""
    size = 4 * count * (text_width + image_width)
    click.echo(
        f"{count:,} rows x {text_width} + {image_width}: {size / 1e6:.0f} MB of vectors, {fusion}, {processor_name()}"
    )
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "V"
        write_table(folder, count, {"text": text_width, "image": image_width})
        for match in matches or align.METHODS:
            with fresh_process() as child:
                before = child.submit(_ready).result()
                (pid,) = child._processes
                done = child.submit(_train_here, folder, fusion, match, epochs, threads)
                needed = most_anonymous(pid, done) - before
                click.echo(
                    f"{match:<12} {needed / 1e6:6.0f} MB more, {needed / size:.2f} times the vectors, "
                    f"in {done.result():.0f} s"
                )


if __name__ == "__main__":
    main()
