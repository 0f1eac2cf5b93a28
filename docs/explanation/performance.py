"""Measure the tables of performance.md beside this file: python docs/explanation/performance.py --help

What is missing in WORK is made first, with `edgefuse export`, `extract` and `train`, and kept: encoders with files in
both precisions, and heads. Needs the extras export-torch, onnxruntime, llama and openvino. Close what else runs: the
page says how much of the machine other programs took.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import click

from edgefuse_bench.peers.page import page

PAGE = Path(__file__).with_name("performance.md")
TEXTS = ("smollm2", "minilm")


def edgefuse(*arguments: object) -> None:
    """Run the command line of this environment; its failure ends the script."""
    subprocess.run([sys.executable, "-m", "edgefuse", *map(str, arguments)], check=True)


def prepare(models: Path, root: Path, work: Path, text: str) -> tuple[Path, Path]:
    """The folders of encoders and head for one text encoder."""
    encoders, table, head = (work / f"{kind}-{text}" for kind in ("dinov2", "table", "head"))
    if not encoders.exists():
        sources = ("--image-encoder", models / "dinov2", "--text-encoder", models / text)
        edgefuse("export", *sources, "--precision", "both", "--output", encoders)
    if not head.exists():
        data = ("--dataset", "ham10000", "--root", root)
        edgefuse("extract", *data, "--encoders", encoders, "--output", table)
        edgefuse("train", table, "--fusion", "early", "--output", head)
    return encoders, head


def measure(
    encoders: Path, head: Path, sources: dict[str, Path], root: Path, result: Path, more: tuple[str, ...]
) -> Any:
    """One run of `edgefuse bench peers`."""
    named = [word for name, source in sources.items() for word in (f"--{name}", source)]
    data = ("--dataset", "ham10000", "--root", root)
    edgefuse("bench", "peers", "--encoders", encoders, *named, *data, "--head", head, "--json", result, *more)
    return json.loads(result.read_bytes())


@click.command(epilog="Example: python docs/explanation/performance.py M HAM10000 WORK")
@click.argument("models", type=click.Path(path_type=Path, exists=True))
@click.argument("root", type=click.Path(path_type=Path, exists=True))
@click.argument("work", type=click.Path(path_type=Path))
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--rounds", type=click.IntRange(min=1), default=16, show_default=True)
@click.option("--count", type=click.IntRange(min=1), default=8, show_default=True, help="Samples of each round.")
def main(models: Path, root: Path, work: Path, threads: int, rounds: int, count: int) -> None:
    """Measure with the checkpoints in MODELS (dinov2, smollm2, minilm) on the HAM10000 in ROOT."""
    more = ("--threads", str(threads), "--rounds", str(rounds), "--count", str(count))
    tables = []
    for text in TEXTS:
        encoders, head = prepare(models, root, work, text)
        sources = {"image": models / "dinov2"} if text == "minilm" else {}  # once is enough: it is the same encoder
        result = work / f"peers-{text}.json"
        tables.append(page(measure(encoders, head, sources | {"text": models / text}, root, result, more)))
    made = "\n\n".join(["<!-- measured -->", *tables, "<!-- end -->"])
    PAGE.write_text(re.sub("<!-- measured -->.*<!-- end -->", lambda _: made, PAGE.read_text(), flags=re.DOTALL))


if __name__ == "__main__":
    main()
