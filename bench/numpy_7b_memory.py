"""Measure what a file of LLaMA-2-7B's shape costs the numpy engine: python bench/numpy_7b_memory.py WORK

The file has random Q8_0 weights: it proves memory and speed, nothing about answers. It takes 7.2 GB on the disk of
WORK and is removed again. Each memory setting encodes one note of random ids in a fresh process. RssAnon is what only
that process holds, read from outside every few milliseconds; VmHWM also counts the pages of the mapped file, which
the system takes back when it needs them.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import click
import numpy as np
from numpy.typing import NDArray

from edgefuse.extras import importable
from edgefuse.progress import bar
from edgefuse_runtimes.contract import Memory
from edgefuse_runtimes.errors import DoesNotFit, EdgefuseError
from edgefuse_runtimes.gguf.with_numpy import GgufNumpyEncoder
from edgefuse_runtimes.machine import process_memory
from edgefuse_runtimes.processor import processor_name
from edgefuse_runtimes.spec import EncoderSpec, Tokenization
from fresh_process import fresh_process, most_anonymous

WIDTH, FEED_FORWARD, HEADS, VOCABULARY, LAYERS = 4096, 11008, 32, 32000, 32
"""LLaMA-2-7B."""

BLOCK, BLOCK_BYTES = 32, 34


def shapes(layers: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Every tensor's name and shape, in the order of the file."""
    d, f = WIDTH, FEED_FORWARD
    yield "token_embd", (VOCABULARY, d)
    for layer in range(layers):
        parts: dict[str, tuple[int, ...]] = {
            "attn_norm": (d,), "attn_q": (d, d), "attn_k": (d, d), "attn_v": (d, d), "attn_output": (d, d),
            "ffn_norm": (d,), "ffn_gate": (f, d), "ffn_up": (f, d), "ffn_down": (d, f),
        }  # fmt: skip
        yield from ((f"blk.{layer}.{part}", shape) for part, shape in parts.items())
    yield "output_norm", (d,)
    yield "output", (VOCABULARY, d)


def write_random_llama(path: Path, layers: int) -> None:
    """A GGUF file of LLaMA-2-7B's shape with random Q8_0 weights, one tensor in memory at a time."""
    gguf = importable("gguf", "export")
    writer = gguf.GGUFWriter(path, "llama")
    sizes = {
        "block_count": layers, "context_length": 4096, "embedding_length": WIDTH, "feed_forward_length": FEED_FORWARD,
        "attention.head_count": HEADS, "attention.head_count_kv": HEADS,
    }  # fmt: skip
    for key, value in sizes.items():
        writer.add_uint32(f"llama.{key}", value)
    writer.add_float32("llama.attention.layer_norm_rms_epsilon", 1e-5)
    q8_0, f32 = gguf.GGMLQuantizationType.Q8_0, gguf.GGMLQuantizationType.F32
    for name, shape in shapes(layers):
        if len(shape) == 1:
            writer.add_tensor_info(f"{name}.weight", shape, np.dtype(np.float32), 4 * shape[0], raw_dtype=f32)
        else:
            stored = (shape[0], shape[1] // BLOCK * BLOCK_BYTES)
            size = stored[0] * stored[1]
            writer.add_tensor_info(f"{name}.weight", stored, np.dtype(np.uint8), size, raw_dtype=q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    rng = np.random.default_rng(0)
    for _, shape in bar("writing tensors", list(shapes(layers)), 9 * layers + 3):
        writer.write_tensor_data(np.ones(shape, np.float32) if len(shape) == 1 else random_rows(rng, *shape))
    writer.close()


def random_rows(rng: np.random.Generator, rows: int, columns: int) -> NDArray[np.uint8]:
    """Q8_0 rows (rows, bytes of a row) that keep the variance of what they are multiplied by."""
    blocks = np.empty((rows * columns // BLOCK, BLOCK_BYTES), np.uint8)
    blocks[:, :2] = np.array([1 / np.sqrt(columns) / 73], np.float16).view(np.uint8)  # 73: spread of -127 to 127
    blocks[:, 2:] = rng.integers(-127, 128, (len(blocks), BLOCK), np.int8).view(np.uint8)
    return blocks.reshape(rows, -1)


def encode_one(path: Path, memory: Memory, threads: int, ids: NDArray[np.int32]) -> tuple[float, int]:
    """Encode one note: seconds, VmHWM of this process in bytes."""
    spec = EncoderSpec(
        modality="text", format="gguf", file=path.name, sha256="", bytes=path.stat().st_size, precision="q8_0",
        width=WIDTH, pooling="last", normalize=False, tokenization=Tokenization(4096, True, True),
    )  # fmt: skip
    started = time.perf_counter()
    with GgufNumpyEncoder(path, spec, threads=threads, memory=memory) as encoder:
        encoder.encode([ids])
        return time.perf_counter() - started, process_memory().peak_rss_bytes


@click.command(help=__doc__)
@click.argument("work", type=click.Path(path_type=Path))
@click.option("--layers", default=LAYERS, show_default=True, type=click.IntRange(1))
@click.option("--tokens", default=40, show_default=True, type=click.IntRange(1), help="Of the note.")
@click.option("--threads", default=2, show_default=True, type=click.IntRange(1))
def main(work: Path, layers: int, tokens: int, threads: int) -> None:
    """Write the file, measure, remove it."""
    needed = sum(int(np.prod(shape)) for _, shape in shapes(layers)) * BLOCK_BYTES // BLOCK * 1.01
    work.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(work).free < needed:
        raise DoesNotFit(f"The disk of {work} has not the {needed / 1e9:.1f} GB that this needs; choose another WORK.")
    with tempfile.TemporaryDirectory(dir=work, prefix="random-7b.") as folder:
        path = Path(folder, "text.gguf")
        write_random_llama(path, layers)
        ids = np.random.default_rng(1).integers(0, VOCABULARY, tokens).astype(np.int32)
        sizes = f"{layers} layers, {path.stat().st_size / 1e9:.2f} GB, {tokens} tokens"
        head = f"{processor_name()}, {threads} thread(s), {sizes}"
        click.echo(f"{head}\n\n| memory | seconds | RssAnon, most | VmHWM |\n| --- | --- | --- | --- |")
        for memory in get_args(Memory):
            with fresh_process() as child:
                pid = child.submit(os.getpid).result()
                done = child.submit(encode_one, path, memory, threads, ids)
                anonymous = most_anonymous(pid, done)
                seconds, peak = done.result()
            click.echo(f"| {memory} | {seconds:.1f} | {anonymous / 2**20:.0f} MiB | {peak / 2**20:.0f} MiB |")


if __name__ == "__main__":
    try:
        main()
    except EdgefuseError as error:
        sys.exit(f"numpy_7b_memory: {error}")
