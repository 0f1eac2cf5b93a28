"""Any data set as one CSV file, whose columns the user names."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from edgefuse.datasets.adapter import Adapter
from edgefuse.datasets.csv_file import Row, read_header, read_rows
from edgefuse.datasets.sample import Sample
from edgefuse.datasets.template import Template
from edgefuse_runtimes.errors import BadInput

MISSING = "not recorded"


@dataclass(frozen=True)
class Columns:
    """Which column is what. None: the column of that very name, if there is one."""

    image: str = "image"
    text: str | None = None
    label: str | None = None
    id: str | None = None
    group: str | None = None
    split: str | None = None
    subgroups: tuple[str, ...] = ()


def adapter_of(path: Path, columns: Columns = Columns(), *, labelled: bool = True) -> Adapter:
    """How the table `path` is read, whose `image` cells are paths under the root.

    Without an id column, a row's id is its image cell; without a group column, or where its cell is empty, a row is a
    group of its own. With `labelled` false, the column `label` may be missing too: "" is the label.

    Raises:
        BadInput: the file is missing or no UTF-8 CSV, or lacks a column that `columns` names.
    """
    header = read_header(path)
    text, label = columns.text or "text", columns.label or "label"
    roles = {columns.image, label, columns.id or "id", columns.group or "group", columns.split or "split"}

    def read(root: Path, template: Template) -> list[Sample]:
        needed = [columns.image, *template.fields, *((label,) if labelled else ()), *_named(columns)]
        rows = read_rows(path, required=list(dict.fromkeys(needed)))
        return [_sample(path, number, row, root, template, columns) for number, row in enumerate(rows, start=1)]

    return replace(
        ADAPTER,
        fields={text: "the note"} | {name: "as it stands in the table" for name in header if name not in roles},
        leaks={label: "it is the label"},
        template=f"{{{text}}}",
        label=f"the column {label}",
        group=f"the column {columns.group or 'group'}; an empty cell: the row alone",
        subgroups=columns.subgroups,
        read=read,
    )


def _named(columns: Columns) -> list[str]:
    given = (columns.label, columns.id, columns.group, columns.split, *columns.subgroups)
    return [name for name in given if name is not None]


def _sample(path: Path, number: int, row: Row, root: Path, template: Template, columns: Columns) -> Sample:
    id_column = columns.id or "id"
    for name in (columns.image, id_column):
        if row.get(name) == "":
            raise BadInput(f"Row {number} of {path} has an empty cell in the column {name}; fill or remove it.")
    name = row.get(id_column, row[columns.image])
    text = columns.text or "text"
    words = {column: cell or ("" if column == text else MISSING) for column, cell in row.items()}
    return Sample(
        id=name,
        image=root / row[columns.image],
        text=template.fill(words),
        label=row.get(columns.label or "label", ""),
        group=row.get(columns.group or "group", "") or f"row of {name}",
        split=row.get(columns.split or "split", ""),
        subgroups={column: row[column] or MISSING for column in columns.subgroups},
    )


def _read(root: Path, template: Template) -> list[Sample]:
    return adapter_of(root / "table.csv").read(root, template)


ADAPTER = Adapter(
    title="any pictures with notes and labels, listed in a CSV file whose columns you name",
    layout=(
        "TABLE.csv    one row a picture; give its path as --dataset, or name it table.csv in --root",
        "<image>      the pictures, beside the table or under --root",
    ),
    fields={"text": "the note", "<column>": "any other column, as it stands in the table"},
    leaks={"label": "it is the label"},
    template="{text}",
    missing=MISSING,
    label="the column label, or --label-column",
    group="the column group, or --group-column; an empty cell: the row alone",
    licence="not stated; known to the table's owner",
    citation="known to the table's owner",
    read=_read,
)
