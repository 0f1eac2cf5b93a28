"""Compare the export of a LLaMA-2 folder with llama.cpp's conversion script: time, memory, and every byte written.

The folder has LLaMA-2-7B's shape, or that of fewer layers, and random float16 weights: it proves speed, memory and
equality, nothing about answers. It is made shard by shard. The conversion script is the one inside the
source distribution of llama-cpp-python, and the vocabulary the SentencePiece model of 32 000 pieces inside the wheel
mistral-common; both are fetched once.

Both exporters run as child processes, in turn, in an order that changes; ours also hashes source and result, as it
does in `edgefuse export`. Memory is the child's VmHWM, which counts the mapped pages of files too. With all 32
layers this takes 28 GB on the disk of WORK, and what it made is removed again.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np

from edgefuse_export import wheels
from edgefuse_runtimes.errors import BadInput, EdgefuseError
from edgefuse_runtimes.gguf.reader import read_gguf

CACHE = Path(__file__).resolve().parents[1] / ".cache" / "edgefuse"

VOCABULARY_WHEEL = wheels.Wheel(
    "mistral_common-1.13.1-py3-none-any.whl", "98b4d0755b8d90bf4691fa8f1b70cb3b4a8cd4dc1653c4ed08ef3d1c7d2c29af"
)
VOCABULARY_MEMBER = "mistral_common/data/tokenizer.model.v1"

WIDTH, FEED_FORWARD, HEADS, VOCABULARY, LAYERS = 4096, 11008, 32, 32000, 32
"""LLaMA-2-7B."""

LAYERS_PER_SHARD = 8

OURS = """
import sys
from pathlib import Path
from edgefuse_export.llama import export_text_encoder
export_text_encoder(Path(sys.argv[1]), Path(sys.argv[2]).parent)
"""

THEIRS = """
import os, runpy, sys
_, script, *jobs = sys.argv
sys.path.insert(0, os.path.dirname(script))
for folder, outfile, pre in zip(jobs[::3], jobs[1::3], jobs[2::3]):
    if pre:  # the script knows the way to cut words only of vocabularies that it has seen
        from conversion.base import TextModel
        TextModel.get_vocab_base_pre = lambda self, tokenizer: pre
    sys.argv = [script, folder, "--outtype", "q8_0", "--outfile", outfile]
    runpy.run_path(script, run_name="__main__")
"""

COST = """
import pathlib, time
lines = pathlib.Path("/proc/self/status").read_text().splitlines()
print(time.process_time(), next(line.split()[1] for line in lines if line.startswith("VmHWM:")))
"""


class Run(NamedTuple):
    """One export."""

    seconds: float
    processor: float
    """Seconds of all processors together: what a busy machine changes little."""
    peak: int
    """VmHWM in bytes."""


def reference_script(cache: Path = CACHE) -> Path:
    """llama.cpp's convert_hf_to_gguf.py of the installed llama-cpp-python, from its source distribution.

    Raises:
        BadInput: it is neither in the cache nor can it be downloaded.
    """
    release = version("llama-cpp-python")
    folder = cache / f"llama.cpp-{release}"
    script = folder / "convert_hf_to_gguf.py"
    if script.is_file():
        return script
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=".download.") as work:
        options = ["--no-deps", "--no-binary", "llama-cpp-python", "--no-input", "--disable-pip-version-check"]
        command = [sys.executable, "-m", "pip", "download", *options, "-d", work, f"llama-cpp-python=={release}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise BadInput(f"The source of llama-cpp-python {release} cannot be fetched ({last}).")
        root = f"llama_cpp_python-{release}/vendor/llama.cpp"
        with tarfile.open(next(Path(work).glob("*.tar.gz"))) as archive:
            parts = tuple(f"{root}/{part}" for part in ("convert_hf_to_gguf.py", "conversion/", "gguf-py/gguf/"))
            archive.extractall(work, [m for m in archive if m.name.startswith(parts)], filter="data")
        Path(work, root).replace(folder)
    return script


def sentencepiece_model(target: Path, cache: Path = CACHE) -> Path:
    """Write a real SentencePiece model of 32 000 pieces to `target`.

    Raises:
        BadInput: its wheel is neither in the cache nor can it be downloaded.
    """
    return wheels.extract(wheels.fetch(VOCABULARY_WHEEL, None, cache / "wheels"), VOCABULARY_MEMBER, target)


def write_folder(folder: Path, layers: int) -> None:
    """A `LlamaForCausalLM` folder of LLaMA-2-7B's shape with `layers` layers and random float16 weights, in shards."""
    folder.mkdir(parents=True)
    sentencepiece_model(folder / "tokenizer.model")
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "dtype": "float16",
        "hidden_size": WIDTH, "intermediate_size": FEED_FORWARD, "num_hidden_layers": layers,
        "num_attention_heads": HEADS, "num_key_value_heads": HEADS, "vocab_size": VOCABULARY,
        "max_position_embeddings": 4096, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": False,
        "bos_token_id": 1, "eos_token_id": 2,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    rng = np.random.default_rng(0)
    pool = rng.standard_normal(1 << 24, dtype=np.float32).astype(np.float16)  # a tensor is a piece of it, scaled
    shards = list(_shards(layers))
    names: dict[str, str] = {}
    for number, shapes in enumerate(shards, 1):
        file = f"model-{number:05}-of-{len(shards):05}.safetensors"
        _write_safetensors(folder / file, shapes, pool, rng)
        names |= dict.fromkeys(shapes, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": names}))


def _shards(layers: int) -> Iterator[dict[str, tuple[int, ...]]]:
    d, f = WIDTH, FEED_FORWARD
    parts: dict[str, tuple[int, ...]] = {
        "input_layernorm": (d,), "post_attention_layernorm": (d,), "self_attn.q_proj": (d, d),
        "self_attn.k_proj": (d, d), "self_attn.v_proj": (d, d), "self_attn.o_proj": (d, d),
        "mlp.gate_proj": (f, d), "mlp.up_proj": (f, d), "mlp.down_proj": (d, f),
    }  # fmt: skip
    yield {"model.embed_tokens.weight": (VOCABULARY, d), "model.norm.weight": (d,), "lm_head.weight": (VOCABULARY, d)}
    for first in range(0, layers, LAYERS_PER_SHARD):
        yield {
            f"model.layers.{layer}.{part}.weight": shape
            for layer in range(first, min(first + LAYERS_PER_SHARD, layers))
            for part, shape in parts.items()
        }


def _write_safetensors(
    file: Path, shapes: dict[str, tuple[int, ...]], pool: np.ndarray[Any, Any], rng: np.random.Generator
) -> None:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    place = 0
    for name, shape in shapes.items():
        end = place + 2 * int(np.prod(shape))
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [place, end]}
        place = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with file.open("wb") as out:
        out.write(len(text).to_bytes(8, "little") + text)
        for shape in shapes.values():
            left, scale = int(np.prod(shape)), np.float16(rng.uniform(0.01, 0.05))
            while left:
                start = int(rng.integers(0, 1 << 20))
                piece = pool[start : start + left] * scale
                out.write(piece.data)
                left -= piece.size


def run_ours(folder: Path, target: Path) -> Run:
    """Export `folder` to the file `target`, which must be called text.gguf."""
    return _measure([sys.executable, "-c", OURS + COST, str(folder), str(target)])


def run_theirs(script: Path, *jobs: tuple[Path, Path, str]) -> Run:
    """Convert folders with llama.cpp's `script`.

    Args:
        script: the path of convert_hf_to_gguf.py.
        jobs: folder, file to write, and llama.cpp's name of how words are cut where the script cannot know, else "".
    """
    return _measure([sys.executable, "-c", THEIRS + COST, str(script), *(str(part) for job in jobs for part in job)])


def _measure(command: list[str]) -> Run:
    # Beside the package, no cache of compiled bytes and no network count for either.
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    started = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    seconds = time.monotonic() - started
    if done.returncode:
        raise BadInput(f"An exporter failed: {done.stderr.strip()[-2000:]}")
    processor, peak = done.stdout.split()[-2:]
    return Run(seconds, float(processor), int(peak) << 10)


def differing_tensors(ours: Path, theirs: Path) -> list[str]:
    """Names of the tensors that one file lacks or that differ in type, shape or a byte."""
    a, b = read_gguf(ours), read_gguf(theirs)
    names = sorted(a.tensors.keys() ^ b.tensors.keys())
    for name in a.tensors.keys() & b.tensors.keys():
        x, y = a.tensors[name], b.tensors[name]
        if (x.type, x.shape) != (y.type, y.shape) or not np.array_equal(a.raw(name), b.raw(name)):
            names.append(name)
        a.drop_pages(name)
        b.drop_pages(name)
    return names


@click.command(help=__doc__)
@click.argument("work", type=click.Path(path_type=Path))
@click.option("--layers", default=LAYERS, show_default=True, type=click.IntRange(1))
@click.option("--rounds", default=2, show_default=True, type=click.IntRange(1), help="How often each exporter runs.")
def main(work: Path, layers: int, rounds: int) -> None:
    """Run the comparison and print its table."""
    script = reference_script()
    needed = (2 * (2 * VOCABULARY * WIDTH + layers * (4 * WIDTH**2 + 3 * WIDTH * FEED_FORWARD))) * 2.2
    work.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(work).free < needed:
        raise BadInput(f"The disk of {work} has not the {needed / 1e9:.0f} GB that this needs; choose another WORK.")
    with tempfile.TemporaryDirectory(dir=work, prefix="llama.") as name:
        folder, ours, theirs = Path(name, "random-llama"), Path(name, "text.gguf"), Path(name, "reference.gguf")
        write_folder(folder, layers)
        size = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
        click.echo(f"{layers} layers, {size / 1e9:.2f} GB of random float16 weights", err=True)
        runs: dict[str, list[Run]] = {"edgefuse": [], "convert_hf_to_gguf.py": []}
        for number in range(rounds):
            order = list(runs) if number % 2 == 0 else list(runs)[::-1]
            for exporter in order:
                run = run_ours(folder, ours) if exporter == "edgefuse" else run_theirs(script, (folder, theirs, ""))
                said = f"{run.seconds:.1f} s, {run.processor:.1f} s of processors, {run.peak / 2**30:.2f} GiB"
                click.echo(f"{exporter}: {said}", err=True)
                runs[exporter].append(run)
        different = differing_tensors(ours, theirs)
        count = len(read_gguf(ours).tensors)
    click.echo("| exporter | seconds | seconds of processors | VmHWM |\n| --- | --- | --- | --- |")
    for exporter, measured in runs.items():
        seconds = ", ".join(f"{run.seconds:.1f}" for run in measured)
        processor = ", ".join(f"{run.processor:.1f}" for run in measured)
        click.echo(f"| {exporter} | {seconds} | {processor} | {max(r.peak for r in measured) / 2**30:.2f} GiB |")
    pairs = zip(runs["edgefuse"], runs["convert_hf_to_gguf.py"], strict=True)
    ratio = statistics.median(a.seconds / b.seconds for a, b in pairs)
    click.echo(f"\nTime as a part of the script's: {ratio:.2f}. Tensors that differ: {len(different)} of {count}.")


if __name__ == "__main__":
    try:
        main()
    except EdgefuseError as error:
        sys.exit(f"compare_llama_export: {error}")
