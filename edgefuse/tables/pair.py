"""The layout of two files: pictures as `ImageName,0,1,...`; labels, and notes as lists in the column `embeddings`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from edgefuse.embeddings.table import Table, csv_line
from edgefuse.progress import Progress, silent
from edgefuse.tables.columns import Columns
from edgefuse.tables.complaints import Complaints
from edgefuse.tables.lines import Floats, Lines, header_of, open_lines, vector, vector_of_list
from edgefuse.tables.numbered import picker, places_of
from edgefuse.tables.source import Record, Rows, Source, stem
from edgefuse.tables.writing import CELLS, cells_of, numbers_text, rows_of, write_lines
from edgefuse_runtimes.errors import BadInput

LIST = "embeddings"
NAME = "ImageName"
SUFFIXES = ("-image.csv", "-text.csv")
"""Of the two files that edgefuse writes, in place of ".csv"."""


def is_image_file(names: Sequence[str]) -> bool:
    """Whether a table with these columns holds the pictures' vectors."""
    return "0" in names and LIST not in names


def in_order(paths: Sequence[Path]) -> tuple[Path, Path]:
    """Of two files the pictures', then the notes'.

    Raises:
        BadInput: they are no such pair.
    """
    headers = [header_of(path) for path in paths]
    order = sorted(range(len(paths)), key=lambda k: not is_image_file(headers[k]))
    if len(paths) != 2 or not is_image_file(headers[order[0]]) or LIST not in headers[order[1]]:
        raise BadInput(
            f"{', '.join(map(str, paths))} are no pair: one file has the columns {NAME},0,1,..., the other the labels "
            f"and a column {LIST!r}; name these two."
        )
    return paths[order[0]], paths[order[1]]


@contextmanager
def read(
    image_path: Path,
    text_path: Path,
    columns: Columns,
    scratch: Path,
    *,
    multilabel: bool = False,
    progress: Progress = silent,
) -> Iterator[Source]:
    """Open both files; rows come in the order of the notes' file, joined on the ids before their first dot.

    Args:
        image_path: of the pictures' vectors, which are laid down in `scratch` first.
        text_path: of labels and notes' vectors.
        columns: of the notes' file.
        scratch: a folder with room for the pictures' vectors; nothing is left in it.
        multilabel: whether a label may be empty.
        progress: shows the reading.

    Raises:
        BadInput: here or while it is read: these are no such files, or rows have a fault.
    """
    with (
        tempfile.TemporaryFile(dir=scratch) as spool,
        open_lines(image_path, progress) as image_lines,
        open_lines(text_path, progress) as (header, lines),
    ):
        image, places = _lay_down(image_path, *image_lines, spool)
        others = {name: place for place, name in enumerate(header) if name != LIST}
        chosen = columns.among(list(others), text_path)
        if chosen.id is None:
            raise BadInput(f"{text_path} has no column that names its pictures; name it with --id.")
        complaints = Complaints(text_path)
        rows = Rows(chosen, complaints, multilabel=multilabel, stems=True)
        records = _records(lines, header, others, rows, image, places, complaints, image_path)
        yield Source(records, chosen.split is not None, chosen.subgroups)


def _lay_down(path: Path, header: list[str], lines: Lines, spool: BinaryIO) -> tuple[Floats, dict[str, int]]:
    """The pictures' vectors (n, d_i), mapped from the file `spool`, and the row of each id."""
    places = places_of(header, "", path)
    names = [name for place, name in enumerate(header) if place not in set(places)]
    if NAME not in names and len(names) != 1:
        raise BadInput(f"{path} has no column {NAME!r} that names its pictures; rename the one that does.")
    key = header.index(NAME if NAME in names else names[0])
    complaints, pick = Complaints(path), picker(places)
    rows = Rows(Columns(), complaints, multilabel=True)
    row_of: dict[str, int] = {}
    for place, cells in lines:
        if len(cells) != len(header):
            complaints.add(f"have another number of cells than its header ({len(header)})", f"line {place}")
            continue
        name = stem(cells[key].strip())
        rows.check_id(name, f"line {place}")
        values = vector(pick(cells), name, complaints)
        if values is not None:
            row_of[name] = len(row_of)
            spool.write(values.tobytes())
    complaints.check()
    spool.flush()
    if not row_of:
        raise BadInput(f"{path} has no rows; give one with pictures' vectors.")
    return np.memmap(spool, np.float32, "r", shape=(len(row_of), len(places))), row_of


def _records(
    lines: Lines,
    header: list[str],
    others: dict[str, int],
    rows: Rows,
    image: Floats,
    row_of: dict[str, int],
    complaints: Complaints,
    image_path: Path,
) -> Iterator[Record]:
    list_at, width, joined = header.index(LIST), 0, set()
    for number, (place, cells) in enumerate(lines, start=1):
        if len(cells) != len(header):
            complaints.add(f"have another number of cells than its header ({len(header)})", f"line {place}")
            continue
        row = rows.make({name: cells[at] for name, at in others.items()}, number)
        values = vector_of_list(cells[list_at], row.id, complaints)
        joined.add(row.id)
        if row.id not in row_of:
            complaints.add(f"have no picture's vector in {image_path}", row.id)
        elif values is not None:
            width = width or len(values)
            if len(values) != width or not width:
                complaints.add(f"have a list of another length than the first one's {width}", row.id)
            else:
                yield Record(row, np.array(image[row_of[row.id]]), values)
    complaints.check()
    alone = Complaints(image_path)
    for name in row_of:
        if name not in joined:
            alone.add(f"have no row of their id in {complaints.path}", name)
    alone.check()


def paths_to_write(path: Path) -> tuple[Path, Path]:
    """The files that `write` makes of the name `path`: the pictures', the notes'."""
    first, second = (path.with_name(path.stem + suffix) for suffix in SUFFIXES)
    return first, second


def write(table: Table, path: Path, progress: Progress = silent) -> None:
    """Write the two files beside `path`, each whole or not at all.

    Raises:
        BadInput: two ids are the same before their first dot, or a subgroup is called "embeddings".
    """
    stems = [stem(name) for name in table.ids.tolist()]
    if len(set(stems)) < len(stems) or "" in stems:
        raise BadInput(f"Ids of {table.folder} are the same before their first dot, so no pair of files can be joined.")
    if LIST in table.subgroups:
        raise BadInput(f"A subgroup of {table.folder} is called {LIST!r}; choose another --layout.")
    image_path, text_path = paths_to_write(path)

    def image_lines() -> Iterator[str]:
        yield csv_line([NAME, *map(str, range(table.image.shape[1]))])
        for row, image, _ in rows_of(table):
            yield f"{csv_line([row.id])},{numbers_text(image, ',')}"

    def text_lines() -> Iterator[str]:
        yield csv_line([*CELLS, *table.subgroups, LIST, "split"])
        for row, _, text in rows_of(table):
            yield csv_line([*cells_of(row), f"[{numbers_text(text, ', ')}]", row.split])

    for one, lines in ((image_path, image_lines()), (text_path, text_lines())):
        write_lines(one, progress(f"writing {one.name}", lines, len(stems) + 1))
