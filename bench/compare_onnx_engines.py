"""Compare onnxruntime and numpy on the ONNX files of one encoder: python bench/compare_onnx_engines.py --help

Each engine runs in a process of its own, so that its peak memory is its own. Each sample is given to one process after
the other before the next sample comes, in an order that changes, so that a busy or throttling machine slows all of
them alike; ratios are taken per sample, to onnxruntime on the float32 file. Only the encoders are timed: pictures are
decoded and notes are tokenised before. Where other work shares the machine, the ratio of processor times is the one to
look at.

The last columns say how far the vectors are from those of onnxruntime on the same file: the cosine after the mean
vector is subtracted from both, mean and least.
"""

from __future__ import annotations

import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from compare_engines import agreement, notes_of, pictures
from edgefuse.kits.encoders import Encoders
from edgefuse.progress import bar
from edgefuse_runtimes.contract import Batch, Encoder, Memory
from edgefuse_runtimes.errors import BadInput, EdgefuseError
from edgefuse_runtimes.image import prepare
from edgefuse_runtimes.machine import process_memory
from edgefuse_runtimes.onnx.with_numpy import OnnxNumpyEncoder
from edgefuse_runtimes.onnx.with_onnxruntime import OnnxRuntimeEncoder
from edgefuse_runtimes.processor import processor_name
from edgefuse_runtimes.spec import EncoderSpec
from edgefuse_runtimes.tokenizers import tokenize, tokenizer_of

MEMORIES: tuple[Memory, ...] = ("normal", "low")
ENGINES: Mapping[str, Callable[..., Encoder]] = {"onnxruntime": OnnxRuntimeEncoder, "numpy": OnnxNumpyEncoder}
"""The engines as they run in one process, without the worker that shields a device from a native one."""


@dataclass
class Contender:
    """One engine on one file, in its process, and what was measured of it."""

    label: str
    file: str
    pipe: Connection
    wall: list[int] = field(default_factory=list)
    """Nanoseconds for each sample."""
    cpu: list[int] = field(default_factory=list)
    """Nanoseconds of processor time for each sample."""
    vectors: list[NDArray[np.float32]] = field(default_factory=list)
    """One (d,) for each sample."""
    peak: int = 0
    """Bytes that were resident at most."""


def serve(pipe: Connection, folder: Path, spec: EncoderSpec, engine: str, threads: int, memory: Memory) -> None:
    """The life of a child: encode what comes and say how long it took; at the end say how much memory it took."""
    try:
        with ENGINES[engine](folder / spec.file, spec, threads=threads, memory=memory) as encoder:
            pipe.send(None)
            while (batch := pipe.recv()) is not None:
                wall, cpu = time.perf_counter_ns(), time.process_time_ns()
                vectors = encoder.encode(batch)  # (1, d)
                pipe.send((time.perf_counter_ns() - wall, time.process_time_ns() - cpu, vectors[0]))
            pipe.send(process_memory().peak_rss_bytes)
    except EdgefuseError as error:
        pipe.send(str(error))
    except EOFError:
        pass  # the comparison was given up


def start(stack: ExitStack, folder: Path, specs: Sequence[EncoderSpec], threads: int) -> list[Contender]:
    """A child for every file, engine and memory setting; onnxruntime on the float32 file comes first."""
    context = multiprocessing.get_context("spawn")
    contenders = []
    for spec in sorted(specs, key=lambda spec: spec.precision != "fp32"):
        for engine in ENGINES:
            for memory in MEMORIES:
                ours, theirs = context.Pipe()
                child = context.Process(target=serve, args=(theirs, folder, spec, engine, threads, memory), daemon=True)
                child.start()
                theirs.close()
                stack.callback(child.join)
                stack.callback(ours.close)  # a child that still waits for samples ends
                trouble = ours.recv()
                if trouble is not None:
                    raise BadInput(trouble)
                contenders.append(Contender(f"{spec.precision} {engine}, {memory}", spec.file, ours))
    return contenders


def measure(contenders: Sequence[Contender], samples: Sequence[Batch]) -> None:
    """Give every sample to every contender, each sample to all of them before the next; one sample warms up."""
    for turn, sample in enumerate(bar("samples", [samples[0], *samples], len(samples) + 1)):
        first = turn % len(contenders)
        for contender in (*contenders[first:], *contenders[:first]):
            contender.pipe.send(sample)
            wall, cpu, vector = contender.pipe.recv()
            if turn:
                contender.wall.append(wall)
                contender.cpu.append(cpu)
                contender.vectors.append(vector)
    for contender in contenders:
        contender.pipe.send(None)
        contender.peak = contender.pipe.recv()


def table(contenders: Sequence[Contender]) -> list[str]:
    """One row for each: milliseconds, ratios to the first row, peak memory, agreement with onnxruntime."""
    lines = [
        f"{'':<26}{'ms median':>10}{'ratio':>7}{'quartiles':>14}{'of CPU':>8}{'peak MB':>9}"
        f"{'centred cosine':>16}{'least':>9}"
    ]
    for one in contenders:
        low, middle, high = statistics.quantiles(ratios(one.wall, contenders[0].wall), n=4)
        of_cpu = statistics.median(ratios(one.cpu, contenders[0].cpu))
        reference = next(other for other in contenders if other.file == one.file)
        cosines, _ = agreement(np.stack(one.vectors), np.stack(reference.vectors))
        lines.append(
            f"{one.label:<26}{statistics.median(one.wall) / 1e6:>10.1f}{middle:>7.2f}{f'{low:.2f} .. {high:.2f}':>14}"
            f"{of_cpu:>8.2f}{one.peak / 1e6:>9.0f}{cosines.mean():>16.5f}{cosines.min():>9.5f}"
        )
    return lines


def ratios(own: Sequence[int], reference: Sequence[int]) -> list[float]:
    """own / reference, sample by sample."""
    return [a / b for a, b in zip(own, reference, strict=True)]


def samples_of(encoders: Encoders, modality: str, source: Path | None, count: int) -> list[Any]:
    """Pictures (1, 3, H, W), or notes of one (t,) each, ready to be encoded."""
    if modality == "image":
        assert encoders.image.preprocess is not None
        return [prepare(image, encoders.image.preprocess)[None] for image in pictures(source, count)]
    spec = encoders.text
    assert spec.tokenization is not None
    tokenizer = tokenizer_of(spec, encoders.file)
    return [[tokenize(tokenizer, spec.tokenization, note).ids] for note in notes_of(source, count)]


@click.command(epilog="Example: python bench/compare_onnx_engines.py --encoders E --samples PHOTOS")
@click.option("--encoders", type=click.Path(path_type=Path), required=True, help="A folder made by export.")
@click.option("--modality", type=click.Choice(["image", "text"]), default="image", show_default=True)
@click.option(
    "--samples",
    "source",
    type=click.Path(exists=True, path_type=Path),
    help="A folder of pictures, or a file with a note a line.  [default: drawn ones]",
)
@click.option("--count", type=click.IntRange(min=2), default=20, show_default=True, help="Samples to time.")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True)
def main(encoders: Path, modality: str, source: Path | None, count: int, threads: int) -> None:
    """Time and peak memory of onnxruntime and numpy on every ONNX file of one encoder, each in its own process."""
    try:
        opened = Encoders.open(encoders)
        specs = [spec for spec in opened.specs if spec.modality == modality and spec.format == "onnx"]
        if not specs:
            raise BadInput(f"{encoders} has no {modality} encoder in an ONNX file; name another folder or modality.")
        samples = samples_of(opened, modality, source, count)
        with ExitStack() as stack:
            contenders = start(stack, encoders, specs, threads)
            measure(contenders, samples)
    except EdgefuseError as error:
        click.echo(f"compare_onnx_engines: {error}", err=True)
        sys.exit(error.exit_code)
    heading = f"{processor_name()}, {threads} thread(s), {len(samples)} samples ({source or 'drawn by edgefuse'})"
    click.echo("\n".join([heading, *table(contenders)]))


if __name__ == "__main__":
    main()
