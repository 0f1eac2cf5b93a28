"""A batch against its image encoder alone, on this machine: python bench/compare_batch.py --help

Each round gives the image encoder the pictures one by one, decoded and prepared before, each on all threads, as for a
single answer; then all at once, a picture a thread; then `edgefuse classify` the same pictures as a folder of JPEG
files with notes that repeat, with everything: reading, decoding, the text cache, head, and lines that are on the disk.
Rounds take turns in which comes first, so that a busy or throttling machine slows all alike; ratios are taken per
round. One uncounted round opens the encoders and puts the notes into the cache.

Pictures are drawn, with grain, since smooth ones decode too fast. The last column is decoding and preparing alone, on
one core.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgefuse import Classifier
from edgefuse.batch.answers_file import AnswersFile
from edgefuse.batch.running import classify_batch
from edgefuse.batch.samples import BatchSample, read_samples
from edgefuse.datasets.drawn import draw, draw_note
from edgefuse.progress import bar
from edgefuse.results.storing import open_storing
from edgefuse_runtimes.contract import Encoder
from edgefuse_runtimes.encoder import open_encoder
from edgefuse_runtimes.errors import EdgefuseError
from edgefuse_runtimes.image import load_image, prepare
from edgefuse_runtimes.processor import processor_name

FIRST_SEED = 3_000_000
SIZES = {"0.3 megapixels": (640, 480), "12 megapixels": (4000, 3000)}
NOTES = 5
"""Different notes in a folder."""


def write_photos(folder: Path, size: tuple[int, int], count: int) -> None:
    """Fill the folder with drawn JPEG files of `size` (width, height) and the notes beside them."""
    folder.mkdir()
    notes = [draw_note(FIRST_SEED + number) for number in range(NOTES)]
    for number in range(count):
        rng = np.random.default_rng(number)
        smooth = np.asarray(
            draw(FIRST_SEED + number).image.resize(size, Image.Resampling.BICUBIC), np.int16
        )  # (H, W, 3)
        grain = rng.integers(-8, 9, smooth.shape, np.int16)  # (H, W, 3)
        photo = Image.fromarray((smooth + grain).clip(0, 255).astype(np.uint8))
        photo.save(folder / f"{number:03}.jpg", quality=90)
        (folder / f"{number:03}.txt").write_text(notes[number % NOTES], encoding="utf-8")


def encode_alone(encoder: Encoder, pixels: NDArray[np.float32]) -> float:
    """Samples a second of the encoder on prepared pictures (n, 3, H, W), one at a time."""
    started = time.perf_counter()
    for picture in pixels:
        encoder.encode(picture[None])
    return len(pixels) / (time.perf_counter() - started)


def encode_together(encoder: Encoder, pixels: NDArray[np.float32]) -> float:
    """The same of all at once."""
    started = time.perf_counter()
    encoder.encode(pixels)
    return len(pixels) / (time.perf_counter() - started)


def classify_all(classifier: Classifier, samples: Sequence[BatchSample], output: Path) -> float:
    """Samples a second of a batch that begins a new file."""
    output.unlink(missing_ok=True)
    with AnswersFile(output, classifier.kit.digest) as answers:
        failed: dict[str, str] = {}
        done = classify_batch(classifier, samples, answers, failed, open_storing(log=False, say=print))
    assert not failed, failed
    return done.answered / done.seconds


def compare(
    classifier: Classifier, encoder: Encoder, side_by_side: Encoder, folder: Path, rounds: int, label: str
) -> str:
    """One row of the table, for the pictures in the folder."""
    samples, _ = read_samples(folder)
    preprocess = encoder.spec.preprocess
    assert preprocess is not None
    pictures = [sample.image for sample in samples if sample.image is not None]
    started = time.perf_counter()
    pixels = np.stack([prepare(load_image(picture), preprocess) for picture in pictures])  # (n, 3, H, W)
    decoding = (time.perf_counter() - started) / len(pictures)
    ways: list[Callable[[], float]] = [
        lambda: encode_alone(encoder, pixels),
        lambda: encode_together(side_by_side, pixels),
        lambda: classify_all(classifier, samples, folder / "answers.jsonl"),
    ]
    rates: list[list[float]] = []  # of each round: alone, side by side, batch
    for turn in bar(label, range(rounds + 1), rounds + 1):
        found = {way: ways[way]() for way in np.roll(range(len(ways)), turn)}
        if turn:
            rates.append([found[way] for way in range(len(ways))])
    alone, together, batch = (statistics.median(column) for column in zip(*rates, strict=True))
    return (
        f"{label:<16}{len(pictures):>9}{alone:>10.1f}{together:>14.1f}{batch:>9.1f}"
        f"{_spread([row[2] / row[0] for row in rates]):>21}{_spread([row[2] / row[1] for row in rates]):>21}"
        f"{decoding * 1e3:>13.1f}"
    )


def _spread(ratios: Sequence[float]) -> str:
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} .. {max(ratios):.2f})"


@click.command(epilog="Example: python bench/compare_batch.py my.kit")
@click.argument("kit", type=click.Path(path_type=Path))
@click.option("--engine", default="auto", show_default=True)
@click.option("--threads", type=click.IntRange(min=1), help="Of the encoders.  [default: the physical cores]")
@click.option("--count", type=click.IntRange(min=1), default=60, show_default=True, help="Small pictures.")
@click.option("--photos", type=click.IntRange(min=1), default=16, show_default=True, help="12-megapixel photos.")
@click.option("--rounds", type=click.IntRange(min=1), default=5, show_default=True)
def main(kit: Path, engine: str, threads: int | None, count: int, photos: int, rounds: int) -> None:
    """Compare `edgefuse classify DIR` with the image encoder of KIT alone, in samples a second."""
    scratch = Path(tempfile.mkdtemp(prefix="compare-batch-"))
    os.environ["XDG_CACHE_HOME"] = str(scratch / "cache")  # the user's own cache stays as it is
    os.environ["XDG_DATA_HOME"] = str(scratch / "data")
    try:
        with Classifier.open(kit, engine=engine, threads=threads, side_by_side=True) as classifier:
            open_one = partial(
                open_encoder,
                classifier.kit.image,
                classifier.kit.folder,
                engine=_running(classifier),
                threads=threads,
            )
            with open_one() as encoder, open_one(side_by_side=True) as side_by_side:
                info = encoder.info()
                click.echo(
                    f"{processor_name()}, {info['threads']} thread(s), {encoder.spec.file} {info['precision']} on "
                    f"{info['engine']}; samples a second, and what the batch reaches of each"
                )
                click.echo(
                    f"{'':<16}{'pictures':>9}{'in turn':>10}{'side by side':>14}{'batch':>9}"
                    f"{'of in turn':>21}{'of side by side':>21}{'decoding ms':>13}"
                )
                for (label, size), number in zip(SIZES.items(), (count, photos), strict=True):
                    write_photos(scratch / label, size, number)
                    click.echo(compare(classifier, encoder, side_by_side, scratch / label, rounds, label))
    except EdgefuseError as error:
        click.echo(f"compare_batch: {error}", err=True)
        sys.exit(error.exit_code)
    finally:
        shutil.rmtree(scratch)


def _running(classifier: Classifier) -> str:
    """The engine that answers for pictures here, after one answer."""
    engine = classifier.predict(draw(FIRST_SEED).image, None).engines["image"]
    assert engine is not None
    return engine


if __name__ == "__main__":
    main()
