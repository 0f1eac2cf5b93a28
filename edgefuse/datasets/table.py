"""Any data set as one CSV file: the columns image, text, label, and where wanted id, group, split."""

from __future__ import annotations

from pathlib import Path

from edgefuse.datasets.csv_file import read_rows
from edgefuse.datasets.sample import Sample
from edgefuse_runtimes.errors import BadInput

LICENCE = "not stated; known to the table's owner"


def read(path: Path, root: Path, *, labelled: bool = True) -> list[Sample]:
    """The samples of the table `path`, whose `image` cells are paths under `root`.

    Without the column `id`, a row's id is its image cell; without the column `group`, or where its cell is
    empty, a row is a group of its own. With `labelled` false, the column `label` may be missing too: "" is the label.

    Raises:
        BadInput: the file is missing or no UTF-8 CSV, lacks a column, or a row lacks its image or id.
    """
    rows = read_rows(path, required=("image", "text", "label") if labelled else ("image", "text"))
    for number, row in enumerate(rows, start=1):
        for name in ("image", "id"):
            if row.get(name) == "":
                raise BadInput(f"Row {number} of {path} has an empty cell in the column {name}; fill or remove it.")
    return [
        Sample(
            id=row.get("id", row["image"]),
            image=root / row["image"],
            text=row["text"],
            label=row.get("label", ""),
            group=row.get("group", "") or f"row of {row.get('id', row['image'])}",
            split=row.get("split", ""),
        )
        for row in rows
    ]
