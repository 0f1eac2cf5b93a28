"""The layout of numpy: one npz file of plain arrays, none of which is unpickled.

image (n, d_i), text (n, d_t)       float32
labels (n,)                         text; multilabel: the classes that hold, joined by "|"
ids, groups, splits (n,)            text; may be missing
subgroup.NAME (n,)                  text
description ()                      JSON: what edgefuse said of the table when it exported it
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefuse.embeddings.table import Table
from edgefuse.labels import to_text
from edgefuse.tables.columns import Columns
from edgefuse.tables.complaints import Complaints
from edgefuse.tables.description import exported, read_exported
from edgefuse.tables.lines import NOT_FINITE, Floats
from edgefuse.tables.source import Record, Rows, Source
from edgefuse_runtimes.arrays import read_arrays
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import new_file

NAMES = {"ids": "id", "labels": "label", "groups": "group", "splits": "split"}
"""Arrays, and what a row calls its member of them."""
SUBGROUP = "subgroup."


@contextmanager
def read(path: Path, *, multilabel: bool = False) -> Iterator[Source]:
    """Open an npz file.

    Raises:
        BadInput: here or while it is read: it is no such file, or rows have a fault.
    """
    arrays = read_arrays(path, "check the path, and write it with numpy.savez")
    lacking = [name for name in ("image", "text", "labels") if name not in arrays]
    if lacking:
        raise BadInput(f"{path} lacks the array {lacking[0]!r}; it holds: {', '.join(arrays) or 'nothing'}.")
    count = len(np.atleast_1d(arrays["labels"]))
    vectors = {modality: _vectors(path, modality, arrays[modality], count) for modality in ("image", "text")}
    subgroups = [name.removeprefix(SUBGROUP) for name in arrays if name.startswith(SUBGROUP)]
    cells = {
        **{short: _strings(path, name, arrays[name], count) for name, short in NAMES.items() if name in arrays},
        **{name: _strings(path, name, arrays[SUBGROUP + name], count) for name in subgroups},
    }
    description = read_exported(str(arrays["description"]) if "description" in arrays else "", path)
    columns = Columns(**{n: n if n in cells else None for n in NAMES.values()}, subgroups=tuple(subgroups))
    complaints = Complaints(path)
    rows = Rows(columns, complaints, multilabel=multilabel or bool(description.get("multilabel")))
    yield Source(
        _records(cells, vectors, count, rows, complaints), columns.split is not None, columns.subgroups, description
    )


def _records(
    cells: dict[str, list[str]], vectors: dict[str, Floats], count: int, rows: Rows, complaints: Complaints
) -> Iterator[Record]:
    for k in range(count):
        row = rows.make({name: column[k] for name, column in cells.items()}, k + 1)
        image, text = vectors["image"][k], vectors["text"][k]
        if np.isfinite(image).all() and np.isfinite(text).all():
            yield Record(row, image, text)
        else:
            complaints.add(NOT_FINITE, row.id)
    complaints.check()


def write(table: Table, path: Path) -> None:
    """Write the table as one npz file, whole or not at all."""
    labels = np.array(to_text(table.labels, table.classes))
    arrays: dict[str, NDArray[Any]] = {
        "ids": table.ids,
        "labels": labels,
        "groups": table.groups,
        "splits": table.splits,
        **{f"{SUBGROUP}{name}": values for name, values in table.subgroups.items()},
        "image": table.image[:],
        "text": table.text[:],
        "description": np.array(json.dumps(exported(table))),
    }
    with new_file(path) as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]  # its stub lets no name but allow_pickle pass


def _strings(path: Path, name: str, array: NDArray[Any], count: int) -> list[str]:
    if array.shape != (count,) or array.dtype.kind not in "Uiub":
        raise BadInput(f"The array {name!r} of {path} is not one text or whole number for each of {count} rows.")
    return [str(value) for value in array.tolist()]


def _vectors(path: Path, name: str, array: NDArray[Any], count: int) -> Floats:
    if array.ndim != 2 or len(array) != count or not array.shape[1] or array.dtype.kind not in "fiu":
        raise BadInput(f"The array {name!r} of {path} is not one vector of numbers for each of {count} rows.")
    with np.errstate(over="ignore"):
        return array.astype(np.float32, copy=False)
