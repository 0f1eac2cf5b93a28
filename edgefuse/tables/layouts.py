"""The layouts by name: which one a file has, how each is opened and written."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from edgefuse.embeddings.table import Table
from edgefuse.progress import Progress, silent
from edgefuse.tables import npz, numbered, pair, parquet
from edgefuse.tables.columns import Columns
from edgefuse.tables.lines import header_of
from edgefuse.tables.numbered import NUMBERED
from edgefuse.tables.source import Source
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import require_name

LAYOUTS = (*NUMBERED, "pair", "npz", "parquet")
BINARY = {".npz": "npz", ".parquet": "parquet"}
"""Layouts that a file's ending tells."""


def detect(paths: Sequence[Path]) -> str:
    """The layout of a table in one file, or in two.

    Raises:
        BadInput: a file cannot be read, or is of no known layout.
    """
    if len(paths) == 2:
        return "pair"
    path = paths[0]
    if path.suffix.lower() in BINARY:
        return BINARY[path.suffix.lower()]
    header = header_of(path)
    for name, prefixes in NUMBERED.items():
        if numbered.matches(header, prefixes):
            return name
    if pair.is_image_file(header) or pair.LIST in header:
        raise BadInput(f"{path} is one of a pair of files; name the other one too.")
    known = "; ".join(f"{p.text}{p.first_text},... {p.image}{p.first_image},..." for p in NUMBERED.values())
    raise BadInput(f"{path} has no columns of a known layout ({known}); name one with --layout to see what it lacks.")


def open_source(
    layout: str,
    paths: Sequence[Path],
    columns: Columns,
    scratch: Path,
    *,
    multilabel: bool = False,
    progress: Progress = silent,
) -> AbstractContextManager[Source]:
    """Open the file or files of a table; `scratch` is a folder for what must be laid down in between.

    Raises:
        BadInput: they are not of the layout.
    """
    if len(paths) != (2 if layout == "pair" else 1):
        count = "two files" if layout == "pair" else "one file"
        raise BadInput(f"A table of the layout {layout} is {count}, not {len(paths)}; name the right ones.")
    if layout == "pair":
        return pair.read(*pair.in_order(paths), columns, scratch, multilabel=multilabel, progress=progress)
    if layout == "npz":
        if any((columns.label, columns.id, columns.group, columns.split)):
            raise BadInput(f"{paths[0]} has arrays with names of their own; leave out the names of columns.")
        return npz.read(paths[0], multilabel=multilabel)
    if layout == "parquet":
        return parquet.read(paths[0], columns, multilabel=multilabel, progress=progress)
    return numbered.read(paths[0], NUMBERED[layout], columns, multilabel=multilabel, progress=progress)


def export_table(table: Table, path: Path, layout: str | None = None, progress: Progress = silent) -> tuple[Path, ...]:
    """Write the table in another layout, by default what the ending of `path` says, or "joined"; gives the files.

    Raises:
        BadInput: a file exists, `path` is ".", ".." or "/", or the layout cannot hold the table.
    """
    require_name(path)
    layout = layout or BINARY.get(path.suffix.lower(), "joined")
    paths = pair.paths_to_write(path) if layout == "pair" else (path,)
    for one in paths:
        if one.exists():
            raise BadInput(f"{one} already exists; choose another output or remove it first.")
    if layout == "pair":
        pair.write(table, path, progress)
    elif layout == "npz":
        npz.write(table, path)
    elif layout == "parquet":
        parquet.write(table, path, progress)
    else:
        numbered.write(table, path, NUMBERED[layout], progress)
    return paths
