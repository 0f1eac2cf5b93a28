"""Layouts with one column for each number: `text_1,text_2,...,image_0,image_1,...` and the like."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

from edgefuse.embeddings.table import Table, csv_line
from edgefuse.progress import Progress, silent
from edgefuse.tables.columns import Columns
from edgefuse.tables.complaints import Complaints
from edgefuse.tables.lines import Lines, open_lines, vector
from edgefuse.tables.source import Record, Rows, Source
from edgefuse.tables.writing import CELLS, cells_of, numbers_text, rows_of, write_lines
from edgefuse_runtimes.errors import BadInput

Pick = Callable[[Sequence[str]], Sequence[str]]
"""Takes a vector's cells out of a row's."""


@dataclass(frozen=True)
class Prefixes:
    """What the names of a layout's columns begin with, and the number of the first where edgefuse writes them."""

    text: str
    first_text: int
    image: str
    first_image: int


NUMBERED = {
    "joined": Prefixes("text_", 1, "image_", 0),
    "clip": Prefixes("text_embedding_", 0, "image_embedding_", 0),
    "emb": Prefixes("text_emb_", 0, "img_emb_", 0),
}
"""The layouts in the wild: of DINOv2 beside LLaMA-2 vectors, of CLIP's, and of later work."""


def matches(names: Sequence[str], prefixes: Prefixes) -> bool:
    """Whether a table with these columns is of the layout."""
    return all(any(map(_column(prefix).fullmatch, names)) for prefix in (prefixes.text, prefixes.image))


def places_of(names: Sequence[str], prefix: str, path: Path) -> list[int]:
    """Where the columns `prefix` + number are, in the order of their numbers.

    Raises:
        BadInput: there is none, a number is missing or there twice, or the first is neither 0 nor 1.
    """
    found: dict[int, int] = {}
    for place, name in enumerate(names):
        if _column(prefix).fullmatch(name):
            number = int(name[len(prefix) :])
            if number in found:
                raise BadInput(f"{path} has both the columns {names[found[number]]} and {name}; remove one.")
            found[number] = place
    first = min(1, *found) if found else 0
    lacking = next((number for number in range(first, first + max(1, len(found))) if number not in found), None)
    if lacking is not None:
        raise BadInput(
            f"{path} lacks the column {prefix}{lacking} (it has {len(found)} columns of this kind); "
            "add it, or name another --layout."
        )
    return [found[number] for number in sorted(found)]


def picker(places: Sequence[int]) -> Pick:
    """What takes the cells at `places` out of a row."""
    first, count = places[0], len(places)
    if count == 1 or list(places) == list(range(first, first + count)):
        return itemgetter(slice(first, first + count))
    return itemgetter(*places)


@contextmanager
def read(
    path: Path, prefixes: Prefixes, columns: Columns, *, multilabel: bool = False, progress: Progress = silent
) -> Iterator[Source]:
    """Open a file of a numbered layout.

    Raises:
        BadInput: here or while it is read: it is no such file, or rows have a fault.
    """
    with open_lines(path, progress) as (header, lines):
        image, text = (places_of(header, prefix, path) for prefix in (prefixes.image, prefixes.text))
        vectors = {*image, *text}
        others = {name: place for place, name in enumerate(header) if place not in vectors}
        chosen = columns.among(list(others), path)
        complaints = Complaints(path)
        rows = Rows(chosen, complaints, multilabel=multilabel)
        records = _records(lines, len(header), others, rows, picker(image), picker(text), complaints)
        yield Source(records, chosen.split is not None, chosen.subgroups)


def _records(
    lines: Lines,
    cells_expected: int,
    others: dict[str, int],
    rows: Rows,
    image: Pick,
    text: Pick,
    complaints: Complaints,
) -> Iterator[Record]:
    for number, (place, cells) in enumerate(lines, start=1):
        if len(cells) != cells_expected:
            complaints.add(f"have another number of cells than its header ({cells_expected})", f"line {place}")
            continue
        row = rows.make({name: cells[at] for name, at in others.items()}, number)
        pictured, noted = vector(image(cells), row.id, complaints), vector(text(cells), row.id, complaints)
        if pictured is not None and noted is not None:
            yield Record(row, pictured, noted)
    complaints.check()


def write(table: Table, path: Path, prefixes: Prefixes, progress: Progress = silent) -> None:
    """Write the table as `path`, whole or not at all.

    Raises:
        BadInput: a subgroup's name is that of a vector's column.
    """
    text = [f"{prefixes.text}{prefixes.first_text + k}" for k in range(table.text.shape[1])]
    image = [f"{prefixes.image}{prefixes.first_image + k}" for k in range(table.image.shape[1])]
    names = [*CELLS, *table.subgroups]
    clash = {*names} & {*text, *image}
    if clash:
        raise BadInput(f"The subgroup {min(clash)!r} has the name of a vector's column; choose another --layout.")

    def lines() -> Iterator[str]:
        yield csv_line([*names, *text, *image, "split"])
        for row, pictured, noted in rows_of(table):
            yield f"{csv_line(cells_of(row))},{numbers_text(noted, ',')},{numbers_text(pictured, ',')},{row.split}"

    write_lines(path, progress(f"writing {path.name}", lines(), len(table.ids) + 1))


def _column(prefix: str) -> re.Pattern[str]:
    return re.compile(re.escape(prefix) + r"[0-9]{1,7}")
