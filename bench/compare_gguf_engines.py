"""Compare the engines of a GGUF text encoder with llama-cpp-python itself: python bench/compare_gguf_engines.py --help

Every row has a process of its own that stays open, so that no library's waiting threads stand in the way of
another's. The notes go to them one a call, each note to every row before the next note, in an order that changes: a
busy or throttling machine slows all alike. A row times itself inside its process. Ratios are taken per note, to the
first row:

- "raw, ids": llama-cpp-python's low-level API in the process, given the token ids, with the context that edgefuse
  would make and all else as the library chooses;
- "raw, Llama.embed": its class `Llama(embedding=True)`, which gets the text and turns it into ids as well;
- "llama.cpp": edgefuse's engine, which has llama.cpp in a worker process of its own;
- "numpy": edgefuse's own engine, with the memory settings "normal" and "low".

The second table is of fresh processes that encode one note each, as `edgefuse classify` does: seconds to open and to
encode, and the most memory that was only theirs, their workers included (RssAnon, read from outside every few
milliseconds).
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack
from importlib import util
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import click
import numpy as np
from numpy.typing import NDArray

from edgefuse.datasets import open_dataset
from edgefuse.datasets.drawn import draw
from edgefuse.kits.encoders import Encoders
from edgefuse.progress import bar
from edgefuse_runtimes.contract import Memory
from edgefuse_runtimes.errors import BadInput, EdgefuseError
from edgefuse_runtimes.gguf.with_llama_cpp import CONTEXT_STEP, LlamaCppEncoder
from edgefuse_runtimes.gguf.with_numpy import GgufNumpyEncoder
from edgefuse_runtimes.machine import process_memory
from edgefuse_runtimes.processor import processor_name
from edgefuse_runtimes.spec import EncoderSpec
from edgefuse_runtimes.tokenizers import tokenize, tokenizer_of

FIRST_SEED = 2_000_000
PAUSE_SECONDS = 0.02
"""Between two calls: until then, threads of the last row may still turn in a loop, waiting for more."""
LOOK_SECONDS = 0.003

Ids = NDArray[np.int32]
Floats = NDArray[np.float32]


class Job(NamedTuple):
    """What every row is given."""

    path: Path
    spec: EncoderSpec
    threads: int
    longest: int
    """Tokens of the longest note."""


class Row(Protocol):
    """One way to encode a note."""

    def encode(self, note: str, ids: Ids) -> Floats:
        """Vector (d,)."""
        ...


class _Edgefuse:
    """One of edgefuse's engines."""

    def __init__(self, engine: type[Any], memory: Memory, job: Job) -> None:
        self._encoder = engine(job.path, job.spec, threads=job.threads, memory=memory)

    def encode(self, note: str, ids: Ids) -> Floats:
        vector: Floats = self._encoder.encode([ids])[0]
        return vector


class _RawIds:
    """llama-cpp-python's low-level API: ids in, vector out."""

    def __init__(self, job: Job) -> None:
        import llama_cpp

        self._lib, self._width = llama_cpp, job.spec.width
        llama_cpp.llama_backend_init()
        model = llama_cpp.llama_model_default_params()
        model.n_gpu_layers = 0
        self._model = llama_cpp.llama_model_load_from_file(str(job.path).encode(), model)
        context = llama_cpp.llama_context_default_params()
        context.n_ctx = context.n_batch = context.n_ubatch = -(-job.longest // CONTEXT_STEP) * CONTEXT_STEP
        context.n_seq_max = 1
        context.n_threads = context.n_threads_batch = job.threads
        context.embeddings, context.pooling_type = True, _pooling(job)
        self._context = llama_cpp.llama_init_from_model(self._model, context)

    def encode(self, note: str, ids: Ids) -> Floats:
        lib = self._lib
        lib.llama_memory_clear(lib.llama_get_memory(self._context), False)
        tokens = (lib.llama_token * len(ids))(*ids.tolist())
        assert lib.llama_decode(self._context, lib.llama_batch_get_one(tokens, len(ids))) == 0
        vector = lib.llama_get_embeddings_seq(self._context, 0)
        return np.ctypeslib.as_array(vector, (self._width,)).copy()  # (d,)


class _RawText:
    """llama-cpp-python's class: text in, vector out."""

    def __init__(self, job: Job) -> None:
        import llama_cpp

        size = -(-job.longest // CONTEXT_STEP) * CONTEXT_STEP
        self._llama = llama_cpp.Llama(
            str(job.path), embedding=True, pooling_type=_pooling(job), n_ctx=size, n_batch=size, n_ubatch=size,
            n_threads=job.threads, n_threads_batch=job.threads, verbose=False,
        )  # fmt: skip

    def encode(self, note: str, ids: Ids) -> Floats:
        return np.asarray(self._llama.embed(note), np.float32)  # (d,)


def _pooling(job: Job) -> int:
    import llama_cpp

    return int(getattr(llama_cpp, f"LLAMA_POOLING_TYPE_{job.spec.pooling.upper()}"))


RAW, WORKER, NUMPY = "raw, ids", "llama.cpp", "numpy, normal"


def row_names() -> list[str]:
    """The rows that this machine can have."""
    native = [RAW, "raw, Llama.embed", WORKER, "llama.cpp, low"] if util.find_spec("llama_cpp") else []
    return [*native, NUMPY, "numpy, low"]


def open_row(name: str, job: Job) -> Row:
    """The row `name`, ready to encode."""
    if name == RAW:
        return _RawIds(job)
    if name == "raw, Llama.embed":
        return _RawText(job)
    engine = LlamaCppEncoder if name.startswith("llama.cpp") else GgufNumpyEncoder
    return _Edgefuse(engine, "low" if name.endswith("low") else "normal", job)


_row: Row
"""Of this process, where it is a child."""


def _open_here(name: str, job: Job) -> None:
    global _row
    _row = open_row(name, job)


def _encode_here(note: str, ids: Ids) -> tuple[int, Floats]:
    """Nanoseconds and vector (d,)."""
    started = time.perf_counter_ns()
    vector = _row.encode(note, ids)
    return time.perf_counter_ns() - started, vector


def _once_here(name: str, job: Job, note: str, ids: Ids) -> tuple[float, float]:
    """Seconds to open a row and to encode one note."""
    started = time.perf_counter()
    row = open_row(name, job)
    opened = time.perf_counter()
    row.encode(note, ids)
    return opened - started, time.perf_counter() - opened


def fresh_process() -> ProcessPoolExecutor:
    """One process with nothing of this one in it; what it is told to do waits there in a row."""
    return ProcessPoolExecutor(1, get_context("spawn"))


def interleave(
    names: Sequence[str], job: Job, notes: Sequence[str], ids: Sequence[Ids]
) -> tuple[dict[str, list[int]], dict[str, Floats]]:
    """Nanoseconds and vectors (n, d) of every row; the first note warms up."""
    times: dict[str, list[int]] = {name: [] for name in names}
    vectors: dict[str, list[Floats]] = {name: [] for name in names}
    with ExitStack() as stack:
        children = {name: stack.enter_context(fresh_process()) for name in names}
        for name, child in children.items():
            child.submit(_open_here, name, job).result()
            for _ in range(2):  # numpy keeps its weights from the second call on
                child.submit(_encode_here, notes[0], ids[0]).result()
        for turn, (note, own) in enumerate(bar("notes", zip(notes, ids, strict=True), len(notes))):
            first = turn % len(names)
            for name in [*names[first:], *names[:first]]:
                time.sleep(PAUSE_SECONDS)
                nanoseconds, vector = children[name].submit(_encode_here, note, own).result()
                times[name].append(nanoseconds)
                vectors[name].append(vector)
    return times, {name: np.stack(rows) for name, rows in vectors.items()}


def most_anonymous(pid: int, done: Future[Any]) -> int:
    """The most bytes that only process `pid` and its children hold until `done`."""
    peak = 0
    while not done.done():
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        peak = max(peak, sum(process_memory(one).anon_bytes for one in (pid, *map(int, children))))
        time.sleep(LOOK_SECONDS)
    return peak


def speed_table(times: dict[str, list[int]], vectors: dict[str, Floats], tokens: Sequence[int]) -> list[str]:
    """Tokens a second, ratio of speeds to the first row, and centred cosine to numpy's vectors."""
    first = next(iter(times))
    lines = [
        "| engine | ms a note | tokens/s | speed to the first row | quartiles | centred cosine to numpy |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, own in times.items():
        low, middle, high = statistics.quantiles([a / b for a, b in zip(times[first], own, strict=True)], n=4)
        a, b = ((rows - vectors[NUMPY].mean(axis=0)).astype(np.float64) for rows in (vectors[name], vectors[NUMPY]))
        cosine = float(np.mean((a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)))
        lines.append(
            f"| {name} | {statistics.median(own) / 1e6:.1f} | {sum(tokens) / (sum(own) / 1e9):.0f} "
            f"| {middle:.2f} | {low:.2f} to {high:.2f} | {cosine:.4f} |"
        )
    return lines


def once_table(names: Sequence[str], job: Job, note: str, ids: Ids, rounds: int) -> list[str]:
    """Fresh processes that encode one note: medians of seconds, most of memory."""
    found: dict[str, list[tuple[float, float, int]]] = {name: [] for name in names}
    for turn in bar("fresh processes", range(rounds), rounds):
        first = turn % len(names)
        for name in [*names[first:], *names[:first]]:
            with fresh_process() as child:
                pid = child.submit(os.getpid).result()
                done = child.submit(_once_here, name, job, note, ids)
                peak = most_anonymous(pid, done)
                found[name].append((*done.result(), peak))
    lines = ["| engine | s to open | s for the note | RssAnon, most |", "| --- | --- | --- | --- |"]
    for name, own in found.items():
        opened, encoded = (statistics.median(once[part] for once in own) for part in (0, 1))
        lines.append(f"| {name} | {opened:.2f} | {encoded:.2f} | {max(once[2] for once in own) / 2**20:.0f} MiB |")
    return lines


def read_notes(dataset: str | None, root: Path | None, count: int) -> list[str]:
    """The first `count` different notes of a data set, or drawn ones."""
    if dataset is None:
        return [draw(FIRST_SEED + index).note for index in range(count)]
    texts = [sample.text for sample in open_dataset(dataset, root, skip_missing=True).samples]
    return list(dict.fromkeys(text for text in texts if text))[:count]


@click.command(epilog="Example: python bench/compare_gguf_engines.py --encoders E --dataset ham10000 --root HAM10000")
@click.option("--encoders", type=click.Path(path_type=Path), required=True, help="A folder made by export.")
@click.option("--dataset", help="A data set as `extract` knows it.  [default: drawn notes]")
@click.option("--root", type=click.Path(path_type=Path), help="The data set's folder.")
@click.option("--count", type=click.IntRange(min=2), default=40, show_default=True, help="Notes to time.")
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True, help="Fresh processes of a row.")
@click.option("--threads", type=click.IntRange(min=1), default=2, show_default=True)
def main(encoders: Path, dataset: str | None, root: Path | None, count: int, rounds: int, threads: int) -> None:
    """Time llama-cpp-python and both engines of edgefuse on the same notes, one a call, interleaved."""
    try:
        opened = Encoders.open(encoders)
        spec = opened.text
        if spec.format != "gguf" or spec.tokenization is None:
            raise BadInput(f"The text encoder of {encoders} is no GGUF file; give a folder with a LLaMA.")
        tokenizer = tokenizer_of(spec, opened.file)
        notes = read_notes(dataset, root, count)
        ids = [tokenize(tokenizer, spec.tokenization, note).ids for note in notes]
        tokens = [len(own) for own in ids]
        job = Job(opened.file(spec.file), spec, threads, max(tokens))
        names = row_names()
        heading = (
            f"{processor_name()}, {threads} thread(s), {len(notes)} notes of {min(tokens)} to {max(tokens)} tokens"
        )
        lines = [heading, "", *speed_table(*interleave(names, job, notes, ids), tokens)]
        lines += ["", *once_table(names, job, notes[0], ids[0], rounds)]
    except EdgefuseError as error:
        click.echo(f"compare_gguf_engines: {error}", err=True)
        sys.exit(error.exit_code)
    click.echo("\n".join(lines))


if __name__ == "__main__":
    main()
