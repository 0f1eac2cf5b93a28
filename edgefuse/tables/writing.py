"""A table's rows as lines of CSV files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgefuse.embeddings.table import Row, Table, shards
from edgefuse.labels import to_text
from edgefuse_runtimes.files import new_file

Floats = NDArray[np.float32]

CELLS = ("id", "label", "group")
"""What stands before the subgroups and the vectors of a row; `split` stands last, as in the published tables."""


def rows_of(table: Table) -> Iterator[tuple[Row, Floats, Floats]]:
    """Every row with its vectors (d_i,) and (d_t,), read a shard at a time."""
    labels = to_text(table.labels, table.classes)
    for span in shards(len(labels)):
        part = slice(span.start, span.stop)
        for k, image, text in zip(span, table.image[part], table.text[part], strict=True):  # (m, d_i), (m, d_t)
            subgroups = tuple(str(values[k]) for values in table.subgroups.values())
            yield Row(str(table.ids[k]), labels[k], str(table.groups[k]), str(table.splits[k]), subgroups), image, text


def cells_of(row: Row) -> list[str]:
    """The row's cells under `CELLS` and the subgroups."""
    return [row.id, row.label, row.group, *row.subgroups]


def numbers_text(vector: Floats, separator: str) -> str:
    """Numbers (d,) in decimals that read back as the same float32.

    Nine digits are within 5e-9 of a number, half the distance between two float32 is 3e-8 and more: rounding to a
    double first, as readers do, changes nothing.
    """
    return separator.join(["%.9g"] * len(vector)) % tuple(vector.tolist())


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write a file, whole or not at all."""
    with new_file(path) as file:
        for text in lines:
            file.write(f"{text}\n".encode())
