"""A batch against its image encoder alone, on this machine: python bench/compare_batch.py --help

Each round gives the image encoder the pictures one by one, decoded and prepared before, then `edgefuse classify` the
same pictures as a folder of JPEG files with notes that repeat, with everything: reading, decoding, the text cache,
head, and lines that are on the disk. Rounds alternate which comes first, so that a busy or throttling machine slows
both alike; the ratio is taken per round. One uncounted round opens the encoders and puts the notes into the cache.

Pictures are drawn, with grain, since smooth ones decode too fast. The last columns are decoding and preparing alone,
on one core, and how many samples a second that makes.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
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


def encode_alone(encoder: Encoder, pixels: Sequence[NDArray[np.float32]]) -> float:
    """Samples a second of the encoder on prepared pictures (1, 3, H, W)."""
    started = time.perf_counter()
    for picture in pixels:
        encoder.encode(picture)
    return len(pixels) / (time.perf_counter() - started)


def classify_all(classifier: Classifier, samples: Sequence[BatchSample], output: Path) -> float:
    """Samples a second of a batch that begins a new file."""
    output.unlink(missing_ok=True)
    with AnswersFile(output, classifier.kit.digest) as answers:
        failed: dict[str, str] = {}
        done = classify_batch(classifier, samples, answers, failed, open_storing(log=False, say=print))
    assert not failed, failed
    return done.answered / done.seconds


def compare(classifier: Classifier, encoder: Encoder, folder: Path, rounds: int, label: str) -> str:
    """One row of the table, for the pictures in the folder."""
    samples, _ = read_samples(folder)
    preprocess = encoder.spec.preprocess
    assert preprocess is not None
    pictures = [sample.image for sample in samples if sample.image is not None]
    started = time.perf_counter()
    pixels = [prepare(load_image(picture), preprocess)[None] for picture in pictures]  # (1, 3, H, W) each
    decoding = (time.perf_counter() - started) / len(pictures)
    ways: list[Callable[[], float]] = [
        lambda: encode_alone(encoder, pixels),
        lambda: classify_all(classifier, samples, folder / "answers.jsonl"),
    ]
    rates: list[tuple[float, float]] = []
    for turn in bar(label, range(rounds + 1), rounds + 1):
        found = {way: ways[way]() for way in ((0, 1) if turn % 2 else (1, 0))}
        if turn:
            rates.append((found[0], found[1]))
    ratios = [batch / alone for alone, batch in rates]
    alone, batch = (statistics.median(column) for column in zip(*rates, strict=True))
    return (
        f"{label:<16}{len(pictures):>9}{alone:>12.1f}{batch:>10.1f}{statistics.median(ratios):>8.2f}"
        f"{f'{min(ratios):.2f} .. {max(ratios):.2f}':>15}{decoding * 1e3:>12.1f}{1 / decoding:>10.1f}"
    )


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
        with Classifier.open(kit, engine=engine, threads=threads) as classifier:
            spec = classifier.kit.image
            with open_encoder(spec, classifier.kit.folder, engine=_running(classifier), threads=threads) as encoder:
                info = encoder.info()
                click.echo(
                    f"{processor_name()}, {info['threads']} thread(s), {spec.file} {spec.precision} on {info['engine']}"
                )
                click.echo(
                    f"{'':<16}{'pictures':>9}{'encoder/s':>12}{'batch/s':>10}{'ratio':>8}{'of rounds':>15}"
                    f"{'decoding ms':>12}{'alone/s':>10}"
                )
                for (label, size), number in zip(SIZES.items(), (count, photos), strict=True):
                    write_photos(scratch / label, size, number)
                    click.echo(compare(classifier, encoder, scratch / label, rounds, label))
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
