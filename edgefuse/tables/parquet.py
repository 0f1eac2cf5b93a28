"""The layout of Parquet: a row with `image` and `text` as lists of float32, or the numbered columns of a CSV table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefuse.embeddings.table import SHARD_ROWS, Table
from edgefuse.extras import importable
from edgefuse.progress import Progress, silent
from edgefuse.tables.columns import Columns
from edgefuse.tables.complaints import Complaints
from edgefuse.tables.description import exported, read_exported
from edgefuse.tables.lines import NOT_NUMBERS, Floats, finite
from edgefuse.tables.numbered import NUMBERED, matches, places_of
from edgefuse.tables.source import Record, Rows, Source
from edgefuse.tables.writing import CELLS, cells_of, rows_of
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import new_file

KEY = b"edgefuse"
"""Of the file's metadata that holds the description."""
EXTRA = "parquet"
VECTORS = ("image", "text")


@contextmanager
def read(path: Path, columns: Columns, *, multilabel: bool = False, progress: Progress = silent) -> Iterator[Source]:
    """Open a Parquet file; it is read a few hundred rows at a time.

    Raises:
        BadInput: here or while it is read: pyarrow is missing, it is no such file, or rows have a fault.
    """
    parquet = importable("pyarrow.parquet", EXTRA)
    if not path.is_file():
        raise BadInput(f"There is no table at {path}; check the path.")
    with _readable(path):
        file = parquet.ParquetFile(path)
    with file:
        names = list(file.schema_arrow.names)
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise BadInput(f"{path} has the column {twice!r} more than once; rename or remove one.")
        vectors = _places(names, path)
        used = {place for places in vectors.values() for place in places}
        others = [name for place, name in enumerate(names) if place not in used]
        description = read_exported((file.schema_arrow.metadata or {}).get(KEY, b"").decode(), path)
        subgroups = columns.subgroups or tuple(name for name in description.get("subgroups", ()) if name in others)
        chosen = replace(columns, subgroups=subgroups).among(others, path)
        complaints = Complaints(path)
        rows = Rows(chosen, complaints, multilabel=multilabel or bool(description.get("multilabel")))
        wanted = [chosen.id, chosen.label, chosen.group, chosen.split, *chosen.subgroups]
        kept = list(dict.fromkeys(name for name in wanted if name is not None))
        batches = progress(f"reading {path.name}", _batches(file, path), -(-file.metadata.num_rows // SHARD_ROWS))
        yield Source(
            _records(batches, kept, vectors, rows, complaints),
            chosen.split is not None,
            chosen.subgroups,
            description,
        )


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn what pyarrow complains of into our sentence."""
    arrow = importable("pyarrow", EXTRA)
    try:
        yield
    except (arrow.ArrowException, OSError) as error:
        raise BadInput(f"{path} cannot be read as Parquet ({str(error).splitlines()[0]}); write it again.") from error


def _batches(file: Any, path: Path) -> Iterator[Any]:
    with _readable(path):
        yield from file.iter_batches(SHARD_ROWS)


def _places(names: list[str], path: Path) -> dict[str, list[int]]:
    """Where each modality's numbers are: one column of lists, or numbered columns."""
    for prefixes in NUMBERED.values():
        if matches(names, prefixes):
            return {
                "image": places_of(names, prefixes.image, path),
                "text": places_of(names, prefixes.text, path),
            }
    if set(VECTORS) <= set(names):
        return {modality: [names.index(modality)] for modality in VECTORS}
    raise BadInput(f"{path} has neither the columns image and text nor numbered ones such as image_0 and text_1.")


def _records(
    batches: Iterator[Any], names: list[str], vectors: dict[str, list[int]], rows: Rows, complaints: Complaints
) -> Iterator[Record]:
    widths: dict[str, int] = {}
    number = 0
    for batch in batches:
        cells = {name: batch.column(name).to_pylist() for name in names}
        image, text = (_rows_of(batch, vectors[modality]) for modality in VECTORS)
        for k in range(batch.num_rows):
            number += 1
            row = rows.make({name: "" if v[k] is None else str(v[k]) for name, v in cells.items()}, number)
            pictured = _vector(image[k], row.id, complaints, widths, "image")
            noted = _vector(text[k], row.id, complaints, widths, "text")
            if pictured is not None and noted is not None:
                yield Record(row, pictured, noted)
    complaints.check()


def _rows_of(batch: Any, places: list[int]) -> list[Any]:
    """For each row of a batch its numbers (d,), or None where a list is missing."""
    columns = [batch.column(place) for place in places]
    kinds = importable("pyarrow", EXTRA).types
    are_lists = (kinds.is_list, kinds.is_large_list, kinds.is_fixed_size_list)
    if len(columns) == 1 and any(known(columns[0].type) for known in are_lists):
        values = (scalar.values for scalar in columns[0])
        return [None if one is None else one.to_numpy(zero_copy_only=False) for one in values]
    return list(np.column_stack([column.to_numpy(zero_copy_only=False) for column in columns]))  # (m, d)


def _vector(
    values: NDArray[Any] | None, name: str, complaints: Complaints, widths: dict[str, int], modality: str
) -> Floats | None:
    if values is None or values.dtype.kind not in "fiu":
        complaints.add(NOT_NUMBERS, name)
        return None
    width = widths.setdefault(modality, len(values))
    if len(values) != width or not width:
        complaints.add(f"have a list of another length than the first one's {width} under {modality!r}", name)
        return None
    return finite(values.astype(np.float64), name, complaints)


def write(table: Table, path: Path, progress: Progress = silent) -> None:
    """Write the table as one Parquet file, whole or not at all.

    Raises:
        BadInput: pyarrow is missing, or a subgroup has the name of another column.
    """
    arrow, parquet = importable("pyarrow", EXTRA), importable("pyarrow.parquet", EXTRA)
    clash = {*table.subgroups} & {*VECTORS, "split"}
    if clash:
        raise BadInput(f"The subgroup {min(clash)!r} has the name of another column; choose another --layout.")
    widths = {"image": table.image.shape[1], "text": table.text.shape[1]}
    fields = [(name, arrow.string()) for name in (*CELLS, *table.subgroups, "split")]
    fields += [(modality, arrow.list_(arrow.float32(), widths[modality])) for modality in VECTORS]
    schema = arrow.schema(fields, metadata={KEY: json.dumps(exported(table)).encode()})
    rows = progress(f"writing {path.name}", rows_of(table), len(table.ids))
    with new_file(path) as file, parquet.ParquetWriter(file, schema) as writer:
        while part := list(islice(rows, SHARD_ROWS)):
            lines = [[*cells_of(row), row.split] for row, _, _ in part]
            columns = [arrow.array(column, arrow.string()) for column in zip(*lines, strict=True)]
            for modality, vectors in zip(VECTORS, zip(*(vectors for _, *vectors in part), strict=True), strict=True):
                flat = arrow.array(np.concatenate(vectors))  # (m * d,)
                columns.append(arrow.FixedSizeListArray.from_arrays(flat, widths[modality]))
            writer.write_batch(arrow.record_batch(columns, schema=schema))
