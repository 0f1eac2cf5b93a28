"""Compare engines on the same encoder files, on this machine: python bench/compare_engines.py --help

Each sample is given to every engine in turn before the next sample comes, in an order that changes, so that a
busy or throttling machine slows all of them alike; ratios are taken per sample. Only the encoders are timed:
pictures are decoded and notes are tokenised before.

The last columns say how far the vectors of an engine are from those of numpy on the same file: the cosine after
numpy's mean vector is subtracted from both (mean and least), and for how many samples the nearest other sample is
the same.
"""

from __future__ import annotations

import dataclasses
import os
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from importlib import util
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgefuse.card import TUNING
from edgefuse.datasets.drawn import draw, draw_note
from edgefuse.kits.encoders import Encoders
from edgefuse.progress import bar
from edgefuse_runtimes.contract import Batch, Encoder
from edgefuse_runtimes.encoder import ENGINES, open_encoder
from edgefuse_runtimes.errors import BadInput, EdgefuseError, EngineUnavailable
from edgefuse_runtimes.image import load_image, prepare
from edgefuse_runtimes.processor import processor_name
from edgefuse_runtimes.spec import EncoderSpec
from edgefuse_runtimes.tokenizers import tokenize, tokenizer_of

FIRST_SEED = 2_000_000
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff"}
Times = dict[str, list[int]]
"""Nanoseconds per engine, one for each sample."""
Vectors = dict[str, NDArray[np.float32]]
"""Vectors (n, d) per engine."""


def open_engines(stack: ExitStack, spec: EncoderSpec, path: Path, label: str, threads: int) -> dict[str, Encoder]:
    """Every engine that is installed for the file `path`, by "label engine"; says which is not."""
    if not path.is_file():
        raise BadInput(f"There is no encoder file at {path}; check the path.")
    described = dataclasses.replace(spec, file=path.name)
    encoders: dict[str, Encoder] = {}
    for engine in ENGINES[spec.format]:
        if engine.module and util.find_spec(engine.module) is None:
            click.echo(f"{engine.name} is not installed and is left out.", err=True)
            continue
        try:
            encoder = open_encoder(described, path.parent, engine=engine.name, threads=threads)
        except EngineUnavailable as error:
            click.echo(f"{engine.name} is left out: {error}", err=True)
            continue
        encoders[f"{label} {engine.name}"] = stack.enter_context(encoder)
    return encoders


def interleave(encoders: dict[str, Encoder], samples: Sequence[Batch], label: str) -> tuple[Times, Vectors]:
    """Time every encoder on every sample, each sample on all of them before the next; one sample warms up."""
    for encoder in encoders.values():
        encoder.encode(samples[0])
    times: Times = {name: [] for name in encoders}
    vectors: dict[str, list[NDArray[np.float32]]] = {name: [] for name in encoders}
    names = list(encoders)
    for turn, sample in enumerate(bar(label, samples, len(samples))):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            started = time.perf_counter_ns()
            found = encoders[name].encode(sample)  # (1, d)
            times[name].append(time.perf_counter_ns() - started)
            vectors[name].append(found[0])
    return times, {name: np.stack(rows) for name, rows in vectors.items()}


def table(times: Times, vectors: Vectors, units: Sequence[int], per: str) -> list[str]:
    """One row per engine: median milliseconds, units a second, ratio to the first row, agreement with numpy."""
    first = next(iter(times.values()))
    lines = [
        f"{'':<20}{'ms median':>10}{f'{per}/s':>12}{'ratio':>7}{'quartiles':>14}"
        f"{'centred cosine':>16}{'least':>9}{'neighbours':>12}"
    ]
    for name, own in times.items():
        ratios = [mine / reference for mine, reference in zip(own, first, strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        rate = sum(units) / (sum(own) / 1e9)
        milliseconds = statistics.median(own) / 1e6
        cosines, same = agreement(vectors[name], vectors[f"{name.split()[0]} numpy"])
        lines.append(
            f"{name:<20}{milliseconds:>10.1f}{rate:>12.1f}{middle:>7.2f}{f'{low:.2f} .. {high:.2f}':>14}"
            f"{cosines.mean():>16.5f}{cosines.min():>9.5f}{f'{same} of {len(own)}':>12}"
        )
    return lines


def agreement(vectors: NDArray[np.float32], reference: NDArray[np.float32]) -> tuple[NDArray[np.float64], int]:
    """Centred cosines (n,) of two engines' vectors (n, d), and how many samples keep their nearest neighbour."""
    centre = reference.mean(axis=0)  # (d,)
    a, b = ((rows - centre).astype(np.float64) for rows in (vectors, reference))  # (n, d) each
    a, b = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (a, b))
    nearest = [(rows @ rows.T - 2 * np.eye(len(rows))).argmax(axis=1) for rows in (a, b)]  # (n,) each
    return (a * b).sum(axis=1), int((nearest[0] == nearest[1]).sum())


def compare_images(encoders: Encoders, fp32: Path | None, folder: Path | None, count: int, threads: int) -> list[str]:
    """The int8 file, and where `fp32` is given the float32 one, on every engine."""
    spec = encoders.image
    assert spec.preprocess is not None
    samples = [prepare(image, spec.preprocess)[None] for image in pictures(folder, count)]  # (1, 3, H, W) each
    with ExitStack() as stack:
        engines = open_engines(stack, spec, encoders.file(spec.file), spec.precision, threads)
        if fp32 is not None:
            engines |= open_engines(stack, spec, fp32.absolute(), "fp32", threads)
        times, vectors = interleave(engines, samples, "pictures")
    source = folder or "drawn by edgefuse"
    return [
        f"Image encoder, {len(samples)} pictures ({source})",
        *table(times, vectors, [1] * len(samples), "pictures"),
    ]


def compare_notes(encoders: Encoders, file: Path | None, count: int, threads: int) -> list[str]:
    """The text encoder on every engine."""
    spec = encoders.text
    assert spec.tokenization is not None
    tokenizer = tokenizer_of(spec, encoders.file)
    notes = notes_of(file, count)
    samples = [[tokenize(tokenizer, spec.tokenization, note).ids] for note in notes]  # one (t,) each
    lengths = [len(sample[0]) for sample in samples]
    with ExitStack() as stack:
        engines = open_engines(stack, spec, encoders.file(spec.file), spec.precision, threads)
        times, vectors = interleave(engines, samples, "notes")
    source = file or "drawn by edgefuse"
    heading = f"Text encoder, {len(notes)} notes of {min(lengths)} to {max(lengths)} tokens ({source})"
    return [heading, *table(times, vectors, lengths, "tokens")]


def notes_of(file: Path | None, count: int) -> list[str]:
    """The first `count` different lines of a text file, or drawn notes."""
    if file is None:
        return [draw_note(FIRST_SEED + index) for index in range(count)]
    lines = [line for line in dict.fromkeys(file.read_text(encoding="utf-8").splitlines()) if line.strip()]
    if len(lines) < 2:
        raise BadInput(f"{file} holds fewer than two different notes; give one note a line.")
    return lines[:count]


def pictures(folder: Path | None, count: int) -> Iterator[Image.Image]:
    """The first `count` pictures of `folder`, or drawn ones."""
    if folder is None:
        yield from (draw(FIRST_SEED + index).image for index in range(count))
        return
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)[:count]
    if len(found) < 2:
        raise BadInput(f"{folder} holds fewer than two pictures; name a folder with more.")
    yield from map(load_image, found)


@click.command(epilog="Example: python bench/compare_engines.py --encoders E --fp32 image-fp32.onnx")
@click.option("--encoders", type=click.Path(path_type=Path), required=True, help="A folder made by export.")
@click.option("--fp32", type=click.Path(path_type=Path), help="The float32 file of the same image encoder.")
@click.option(
    "--pictures",
    "folder",
    type=click.Path(path_type=Path),
    help="A folder of pictures.  [default: drawn ones]",
)
@click.option("--notes", type=click.Path(path_type=Path), help="A file with a note a line.  [default: drawn ones]")
@click.option("--count", type=click.IntRange(min=2), default=20, show_default=True, help="Samples to time.")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--only", type=click.Choice(["image", "text"]), help="Only one encoder.")
def main(
    encoders: Path,
    fp32: Path | None,
    folder: Path | None,
    notes: Path | None,
    count: int,
    threads: int,
    only: str | None,
) -> None:
    """Time every installed engine on the same encoder files, interleaved; ratios are to the first row."""
    try:
        opened = Encoders.open(encoders)
        lines = [f"{processor_name()}, {threads} thread(s)"]
        lines += [f"with {name}={os.environ[name]}" for name in TUNING if name in os.environ]
        if only != "text":
            lines += ["", *compare_images(opened, fp32, folder, count, threads)]
        if only != "image":
            lines += ["", *compare_notes(opened, notes, count, threads)]
    except EdgefuseError as error:
        click.echo(f"compare_engines: {error}", err=True)
        sys.exit(error.exit_code)
    click.echo("\n".join(lines))


if __name__ == "__main__":
    main()
