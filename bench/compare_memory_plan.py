"""What the memory plan predicts beside what processes take: python bench/compare_memory_plan.py --help

Each encoder runs with each engine and memory setting in a process of its own, which encodes one sample, or with --kept
many. Its anonymous memory, that of its workers included, is read from /proc every few milliseconds; the highest reading
is compared. The ratio counts the bytes of the weights on both sides, as somebody does who asks whether a kit fits on a
device. It ends with exit code 1 if a ratio is further from 1 than --tolerance, and names it.
"""

from __future__ import annotations

import json
import select
import subprocess
import sys
from collections.abc import Iterator
from importlib import util
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np

from edgefuse.answering.memory import ways_to_run
from edgefuse.kits.encoders import Encoders
from edgefuse_runtimes.contract import Batch
from edgefuse_runtimes.encoder import open_encoder
from edgefuse_runtimes.encoder_facts import encoder_facts
from edgefuse_runtimes.errors import EdgefuseError
from edgefuse_runtimes.machine import cpu_model, process_memory
from edgefuse_runtimes.memory_plan import MIB, PROCESS, Way, need
from edgefuse_runtimes.spec import EncoderSpec
from edgefuse_runtimes.worker import SAMPLES_EACH

INTERVAL = 0.003
"""Seconds between two readings."""
KEPT_TIMES = 2
"""Calls of an encoder that stays open: the numpy engine of GGUF files keeps its layers from the second one on."""
NOTES = 4
"""In each of these calls: several pass a layer together."""


def run_one(task: dict[str, Any]) -> None:
    """In the child: open the encoder and its tokenizer as `classify` does, encode one sample, end."""
    import edgefuse.answering.classifier  # noqa: F401 - it counts, as in every answer
    from edgefuse_runtimes.tokenizers import tokenizer_of

    spec, folder = EncoderSpec.from_json(task["spec"]), Path(task["folder"])
    settings = {name: task[name] for name in ("engine", "memory", "threads", "side_by_side")}
    with open_encoder(spec, folder, **settings) as encoder:
        held = tokenizer_of(spec, lambda name: folder / name) if spec.modality == "text" else None
        for _ in range(task["times"]):
            encoder.encode(samples(spec, task["samples"]))
        print(type(held).__name__)


def samples(spec: EncoderSpec, count: int) -> Batch:
    """So many of the longest samples that the encoder takes."""
    if spec.preprocess is not None:
        return np.zeros((count, 3, spec.preprocess.crop, spec.preprocess.crop), np.float32)
    assert spec.tokenization is not None
    ids = np.random.default_rng(0).integers(1, 250, spec.tokenization.max_tokens).astype(np.int32)  # (t,)
    return [ids] * count


def measured(spec: EncoderSpec, folder: Path, way: Way, threads: int, *, kept: bool) -> int:
    """The most anonymous memory, in bytes, that a process with this encoder and its workers held."""
    task = {"spec": spec.to_json(), "folder": str(folder), "engine": way.engine, "memory": way.memory}
    count = SAMPLES_EACH * way.side_by_side if spec.modality == "image" else NOTES
    task |= {"threads": threads, "side_by_side": way.side_by_side > 1}
    task |= {"times": KEPT_TIMES if kept else 1, "samples": count if kept else 1}
    command = [sys.executable, __file__, "--child", json.dumps(task)]
    highest = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        while not select.select([process.stdout], [], [], INTERVAL)[0]:
            highest = max(highest, sum(process_memory(pid).anon_bytes for pid in _family(process.pid)))
        process.stdout.read()  # else the child could find nobody to print to
    if process.returncode:
        raise click.ClickException(f"{way.engine} ended with exit code {process.returncode} on {spec.file}.")
    return highest


def _family(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *map(int, children)]


class Compared(NamedTuple):
    """One encoder file run in one way."""

    name: str
    ratio: float
    row: str


def compared(encoders: Encoders, threads: int, *, kept: bool) -> Iterator[Compared]:
    """Each encoder file and way of running it."""
    for spec in (encoders.image, encoders.text, *encoders.alternatives):
        facts = encoder_facts(spec, encoders.file)
        count = threads if kept and spec.modality == "image" else 1
        for way in ways_to_run(spec.format, "auto", "auto", side_by_side=count):
            expected = PROCESS + need(facts, way, kept=kept).anonymous
            found = measured(spec, encoders.folder, way, threads, kept=kept)
            ratio = (expected + facts.weight_bytes) / (found + facts.weight_bytes)
            row = (
                f"{spec.file:<18}{spec.precision:<8}{facts.weight_bytes / MIB:>8.0f}  {way.engine:<12}{way.memory:<7}"
                f"{way.side_by_side:>9}{expected / MIB:>10.0f}{found / MIB:>10.0f}{ratio:>8.2f}"
            )
            yield Compared(f"{encoders.folder.name}/{spec.file} by {way.engine}, memory {way.memory}", ratio, row)


@click.command(epilog="Example: python bench/compare_memory_plan.py E")
@click.argument("folders", metavar="E...", nargs=-1, type=click.Path(path_type=Path))
@click.option("--threads", type=click.IntRange(min=1), default=2, show_default=True)
@click.option("--kept", is_flag=True, help="Encode many samples, as for a folder or a table, instead of one.")
@click.option("--tolerance", type=click.FloatRange(min=0), default=0.15, show_default=True, help="Largest |ratio - 1|.")
@click.option("--child", hidden=True)
def main(folders: tuple[Path, ...], threads: int, kept: bool, tolerance: float, child: str | None) -> None:
    """Compare predicted with measured anonymous memory (MiB) for the encoders folders E, on the longest sample."""
    if child is not None:
        run_one(json.loads(child))
        return
    click.echo(
        f"{cpu_model().rpartition('model name: ')[2]}, {threads} thread(s), {'many samples' if kept else 'one sample'}"
    )
    for module in ("onnxruntime", "llama_cpp"):
        if util.find_spec(module) is None:
            click.echo(f"{module} is not installed and is left out.", err=True)
    heading = (
        f"{'file':<18}{'':<8}{'weights':>8}  {'engine':<12}{'memory':<7}{'at once':>9}{'predicted':>10}{'measured':>10}"
        f"{'ratio':>8}"
    )
    found: list[Compared] = []
    try:
        for folder in folders:
            click.echo(f"\n{folder.name}\n{heading}")
            for one in compared(Encoders.open(folder), threads, kept=kept):
                found.append(one)
                click.echo(one.row)
    except EdgefuseError as error:
        click.echo(f"compare_memory_plan: {error}", err=True)
        sys.exit(error.exit_code)
    outside = [one for one in found if abs(one.ratio - 1) > tolerance]
    click.echo(f"\n{len(found) - len(outside)} of {len(found)} within {tolerance:.0%}")
    for one in outside:
        click.echo(f"outside: {one.name}, {one.ratio:.2f}")
    sys.exit(1 if outside else 0)


if __name__ == "__main__":
    main()
