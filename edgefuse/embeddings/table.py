"""The embedding table: a folder of vectors that the encoders gave for a data set, row by row.

`table.json` says what made the vectors, `rows.csv` what the rows are, and `image-0000.npy`, `text-0000.npy`
and so on hold the vectors of `SHARD_ROWS` rows each, the last of the rest; `views-0000.npy` those of several
views of their pictures, if there are any. Description and rows are written first, a shard under its final name only
when it is whole: what is missing is what remains to be computed.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgefuse.embeddings.cost import read_cost
from edgefuse.embeddings.mapped import MappedRows, VectorKind, parts, read_shard
from edgefuse.labels import names_of, to_numbers
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import read_versioned, write_bytes, write_json

Floats = NDArray[np.float32]
Strings = NDArray[np.str_]

SCHEMA = 1
SHARD_ROWS = 256


class Row(NamedTuple):
    """One line of `rows.csv`."""

    id: str
    label: str
    group: str
    split: str
    """One of `splits.PARTS`."""
    subgroups: tuple[str, ...] = ()
    """A value for each of the table's subgroup columns."""


COLUMNS = ("id", "label", "group", "split")
"""Of `rows.csv`; any others are the subgroups, by name."""


@dataclass(frozen=True)
class Table:
    """A complete embedding table; row k of every member is the same sample."""

    folder: Path
    ids: Strings
    """(n,)"""
    labels: NDArray[np.int64]
    """(n,) class numbers: row k has the label `classes[labels[k]]`; multilabel: (n, K), 1 where a class holds"""
    groups: Strings
    """(n,)"""
    splits: Strings
    """(n,) of `splits.PARTS`: the training rows are `splits == "train"`"""
    image: Floats | MappedRows
    """(n, d_i); of an opened table mapped: `image[rows]` reads some into memory, `image[:]` all"""
    text: Floats | MappedRows
    """(n, d_t); likewise"""
    classes: tuple[str, ...]
    """In the order of a head's outputs."""
    encoders: dict[str, dict[str, Any]]
    """`Encoders.identity` of what made the vectors."""
    dataset: dict[str, Any]
    """The data set's name and licence, whether it is the drawn example, and where they are not as usual its `leaks`
    (fields in the notes that tell the label) and its `split` ("paper" or "time")."""
    split_seed: int | None
    """None: the data set brought its split along."""
    subgroups: dict[str, Strings] = field(default_factory=dict)
    """(n,) by name: what figures are also given for apart, such as "sex"."""
    multilabel: bool = False
    """Whether any number of classes may hold for a row."""
    views: Floats | MappedRows | None = None
    """(n * v, d_i): v views of each row's picture, in turn, for heads to learn from; None: there are none."""
    cost: dict[str, Any] = field(default_factory=dict)
    """What the encoders took, see `edgefuse.embeddings.cost`; {} where it is not known. No part of the digest."""

    @property
    def view_count(self) -> int:
        """Of views of each picture to learn from."""
        return 0 if self.views is None else len(self.views) // len(self.ids)

    @property
    def leaks(self) -> tuple[str, ...]:
        """Fields in the notes that tell the label."""
        return tuple(self.dataset.get("leaks", ()))


def shards(count: int) -> list[range]:
    """Row numbers of every shard of a table with `count` rows."""
    return [range(start, min(start + SHARD_ROWS, count)) for start in range(0, count, SHARD_ROWS)]


def shard_path(folder: Path, kind: VectorKind, number: int) -> Path:
    """Where shard `number` of one kind of vectors is, or will be."""
    return folder / f"{kind}-{number:04d}.npy"


def write_description(
    folder: Path, description: dict[str, Any], rows: Sequence[Row], subgroups: Sequence[str] = ()
) -> None:
    """Write `table.json` (`description` with schema, number of rows and their hash), then `rows.csv`.

    `subgroups` names the values that each row has in its member of this name.
    """
    lines = [[*COLUMNS, *subgroups], *([row.id, row.label, row.group, row.split, *row.subgroups] for row in rows)]
    data = "".join(f"{csv_line(cells)}\n" for cells in lines).encode()
    facts = {"rows": len(rows), "rows_sha256": hashlib.sha256(data).hexdigest()}
    write_json(folder / "table.json", {"schema": SCHEMA} | description | facts)
    write_bytes(folder / "rows.csv", data)


def csv_line(cells: Sequence[str]) -> str:
    """One line of a CSV file, without its end; a cell with a line's end of any kind in it is quoted."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerow(cells)  # quotes what holds a character of its line's end
    return text.getvalue().removesuffix("\r\n")


def write_shard(path: Path, vectors: Floats) -> None:
    """Put one shard (m, d) at `path`, whole or not at all."""
    data = io.BytesIO()
    np.save(data, vectors.astype(np.float32, copy=False), allow_pickle=False)
    write_bytes(path, data.getvalue())


def read_description(folder: Path) -> dict[str, Any]:
    """The content of `table.json`.

    Raises:
        BadInput: the folder is no embedding table, or its description is damaged or of another schema.
    """
    return read_versioned(folder / "table.json", SCHEMA, what="no embedding table", verb="extract")


def table_digest(table: Table) -> str:
    """Hex sha256 over all that is read of a table: classes, rows, split, encoders, vectors."""
    digest = hashlib.sha256()
    facts = [table.classes, table.encoders, table.dataset, table.split_seed]
    rows = [column.tolist() for column in (table.ids, table.labels, table.groups, table.splits)]
    extra = [{name: column.tolist() for name, column in table.subgroups.items()}] if table.subgroups else []
    digest.update(json.dumps([*facts, *rows, *extra], sort_keys=True).encode())
    for vectors in (table.image, table.text, *([] if table.views is None else [table.views])):
        for part in parts(vectors):  # (m, d)
            digest.update(np.ascontiguousarray(part, np.float32).data)
    return digest.hexdigest()


def open_table(folder: Path) -> Table:
    """Read a table and check it: rows, widths and finite vectors.

    Raises:
        BadInput: no such table, or it is unfinished, damaged, or holds NaN or infinite vectors.
    """
    description = read_description(folder)
    try:
        encoders, dataset = dict(description["encoders"]), dict(description["dataset"])
        classes, seed = tuple(description["classes"]), description["split_seed"]
        widths = {modality: int(encoders[modality]["width"]) for modality in ("image", "text")}
        count, digest = int(description["rows"]), str(description["rows_sha256"])
        multilabel = bool(description.get("multilabel", False))
        views = int(description.get("views") or 0)
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{folder / 'table.json'} is damaged ({error}); extract the table again.") from error
    rows, subgroups = _read_rows(folder / "rows.csv", digest)
    used = {name for row in rows for name in names_of(row.label, multilabel=multilabel)}
    if len(rows) != count or not used <= set(classes):
        raise BadInput(f"{folder / 'table.json'} does not fit its rows.csv; extract the table again.")
    image = _map_vectors(folder, "image", rows, widths["image"])  # (n, d_i)
    text = _map_vectors(folder, "text", rows, widths["text"])  # (n, d_t)
    return Table(
        folder=folder,
        ids=np.array([row.id for row in rows]),
        labels=to_numbers([row.label for row in rows], classes, multilabel=multilabel),
        groups=np.array([row.group for row in rows]),
        splits=np.array([row.split for row in rows]),
        image=image,
        text=text,
        classes=classes,
        encoders=encoders,
        dataset=dataset,
        split_seed=seed,
        subgroups={name: np.array([row.subgroups[k] for row in rows]) for k, name in enumerate(subgroups)},
        multilabel=multilabel,
        views=_map_vectors(folder, "views", rows, widths["image"], views) if views else None,
        cost=read_cost(folder),
    )


def _read_rows(path: Path, digest: str) -> tuple[tuple[Row, ...], tuple[str, ...]]:
    """The rows, and the names of their subgroups."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(f"The rows {path} cannot be read ({error.strerror}); extract the table again.") from error
    if hashlib.sha256(data).hexdigest() != digest:
        raise BadInput(f"{path} is not the file that was extracted (sha256 differs); extract the table again.")
    header, *lines = csv.reader(io.StringIO(data.decode(), newline=""))
    rows = tuple(Row(name, label, group, part, tuple(more)) for name, label, group, part, *more in lines)
    return rows, tuple(header[len(COLUMNS) :])


def _map_vectors(folder: Path, kind: VectorKind, rows: Sequence[Row], width: int, views: int = 1) -> MappedRows:
    """The vectors (n * views, d), `views` of each row, after a look at every shard."""
    spans = shards(len(rows))
    paths = tuple(shard_path(folder, kind, number) for number in range(len(spans)))
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise BadInput(
            f"{folder} is unfinished: {len(missing)} of {len(spans)} {kind} shards are missing, "
            f"the first is {missing[0]}; run the same 'edgefuse extract' again to go on."
        )
    broken: list[str] = []
    for path, span in zip(paths, spans, strict=True):
        shard = read_shard(path)  # (m, d)
        if shard.shape != (len(span) * views, width):
            raise BadInput(
                f"The shard {path} has shape {shard.shape} in place of {(len(span) * views, width)}; "
                "remove it and extract again."
            )
        numbers = np.flatnonzero(~np.isfinite(shard).all(axis=1)) // views  # of rows in the span
        broken += [rows[span[k]].id for k in np.unique(numbers).tolist()]
    if broken:
        raise BadInput(
            f"{folder} holds NaN or infinite {kind} vectors in {len(broken)} rows ({', '.join(broken[:3])}); "
            "remove the folder and extract it again."
        )
    return MappedRows(paths, (len(rows) * views, width), SHARD_ROWS * views)
