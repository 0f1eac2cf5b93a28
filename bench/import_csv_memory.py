"""How much memory and time an import of a large CSV file takes: python bench/import_csv_memory.py --help

A table of the joined layout with LLaMA-2's and DINOv2's widths (text_1 ... text_4096, image_0 ... image_767) is written
until it has the wanted size, then imported by `edgefuse embeddings import` in a fresh process, whose peak is read when
it ends. A table of a tenth of the size is imported first: where memory is bounded, both take the same. The files are
removed.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import numpy as np

from edgefuse.card import machine_words
from edgefuse.progress import ticking
from edgefuse.tables.writing import numbers_text

TEXT, IMAGE = 4096, 768

CODE = """
import resource, sys
from edgefuse.cli import main
main(["embeddings", "import", sys.argv[1], "--output", sys.argv[2]], standalone_mode=False)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def write_table(path: Path, size: int) -> int:
    """Write rows until the file has `size` bytes; gives their number."""
    rng, rows = np.random.default_rng(0), 0
    with path.open("w") as file, ticking("writing the table"):
        names = [*(f"text_{k}" for k in range(1, TEXT + 1)), *(f"image_{k}" for k in range(IMAGE))]
        file.write(",".join(["id", "label", *names, "split"]) + "\n")
        while file.tell() < size:
            numbers = rng.normal(0, 1, TEXT + IMAGE).astype(np.float32)  # (d,)
            part = ("train", "train", "validation", "test")[rows % 4]
            file.write(f"row-{rows},{'ab'[rows // 4 % 2]},{numbers_text(numbers, ',')},{part}\n")
            rows += 1
    return rows


def measure(path: Path, folder: Path) -> tuple[float, int]:
    """Seconds and peak bytes of a process that imports `path` as `folder`."""
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(path), str(folder)], check=True, stdout=subprocess.PIPE, text=True
    )
    return time.perf_counter() - started, int(done.stdout.split()[-1]) * 1024


@click.command(epilog="Example: python bench/import_csv_memory.py --megabytes 1000")
@click.option("--megabytes", type=click.IntRange(min=1), default=1000, show_default=True, help="Size of the file.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where there is room for twice of it.")
def main(megabytes: int, folder: Path | None) -> None:
    """Import a CSV file of some size and a tenth of it, and print what each took."""
    click.echo(f"{machine_words()}\n\n| file | rows | seconds | peak RSS |\n| --- | --- | --- | --- |")
    for size in (megabytes / 10, megabytes):
        with tempfile.TemporaryDirectory(dir=folder) as work:
            path = Path(work) / "table.csv"
            rows = write_table(path, int(size * 1e6))
            seconds, peak = measure(path, Path(work) / "V")
        click.echo(f"| {size:.0f} MB | {rows} | {seconds:.1f} | {peak / 2**20:.0f} MiB |")


if __name__ == "__main__":
    main()
