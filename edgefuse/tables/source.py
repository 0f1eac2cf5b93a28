"""What every layout's reader gives: rows with their vectors, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgefuse.embeddings.table import Row
from edgefuse.tables.columns import Columns
from edgefuse.tables.complaints import Complaints

Floats = NDArray[np.float32]


class Record(NamedTuple):
    """One row of somebody's table."""

    row: Row
    """Its split as it was found; "": none."""
    image: Floats
    """(d_i,)"""
    text: Floats
    """(d_t,)"""


@dataclass(frozen=True)
class Source:
    """An open table of another layout."""

    records: Iterator[Record]
    """Read once. Rows with a fault are passed over, and told by a BadInput at the end."""
    has_split: bool
    subgroups: tuple[str, ...]
    """Names of the values that rows have in their member of this name."""
    description: dict[str, Any] = field(default_factory=dict)
    """What edgefuse said of the table when it exported it; {} where it did not."""


class Rows:
    """Makes rows of cells, and complains of those without an id of their own or a label."""

    def __init__(self, columns: Columns, complaints: Complaints, *, multilabel: bool, stems: bool = False) -> None:
        """Nothing is read yet.

        Args:
            columns: the columns to read.
            complaints: told what is wrong.
            multilabel: whether a label may be empty.
            stems: whether an id ends before its first dot.
        """
        self._columns, self._complaints, self._multilabel, self._stems = columns, complaints, multilabel, stems
        self._ids: set[str] = set()

    def make(self, cells: dict[str, str], number: int) -> Row:
        """The row `number` (from 1) of the table."""
        columns = self._columns
        name = str(number) if columns.id is None else cells[columns.id].strip()
        name = stem(name) if self._stems else name
        self.check_id(name, f"row {number}")
        label = cells[columns.label].strip() if columns.label else ""
        if not label and not self._multilabel:
            self._complaints.add("have no label", name)
        group = cells[columns.group].strip() if columns.group else ""
        part = cells[columns.split].strip() if columns.split else ""
        return Row(name, label, group or name, part, tuple(cells[column].strip() for column in columns.subgroups))

    def check_id(self, name: str, place: str) -> None:
        """Complain of an id that is empty or was there before; `place` says where the row is."""
        if not name:
            self._complaints.add("have no id", place)
        elif name in self._ids:
            self._complaints.add("have an id that another row has", name)
        self._ids.add(name)


def stem(name: str) -> str:
    """An id without what follows its first dot, such as a file's ending."""
    return name.partition(".")[0]
