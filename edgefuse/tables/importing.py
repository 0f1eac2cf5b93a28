"""From somebody's table to an embedding table, a shard at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edgefuse.embeddings.table import (
    COLUMNS,
    SHARD_ROWS,
    Floats,
    Row,
    Table,
    open_table,
    shard_path,
    write_description,
    write_shard,
)
from edgefuse.kits.encoders import Encoders
from edgefuse.labels import names_of
from edgefuse.progress import Progress, silent
from edgefuse.splits.grouped import check_split, split_rows, with_validation
from edgefuse.tables.columns import USUAL, Columns
from edgefuse.tables.layouts import detect, open_source
from edgefuse.tables.source import Source
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.folders import new_folder
from edgefuse_runtimes.spec import Modality

MODALITIES: tuple[Modality, Modality] = ("image", "text")

PART_NAMES = {"training": "train", "val": "validation", "valid": "validation", "dev": "validation", "testing": "test"}
"""Other words for the parts of a split."""


@dataclass(frozen=True)
class About:
    """What a file cannot say of itself."""

    name: str | None = None
    """Of the data set; by default the file's."""
    licence: str | None = None
    encoders: Encoders | None = None
    """Those that the vectors are said to come from."""
    encoder_names: Mapping[Modality, str] = field(default_factory=dict)
    """Of encoders that are not at hand."""
    by_picture: bool = False
    """Whether a split may have a group in two parts, as the paper's has; all figures then say so."""
    leaks: tuple[str, ...] = ()
    """Fields of the notes behind the vectors that tell the label; all figures then say so."""


UNKNOWN = About()


def import_table(
    paths: Sequence[Path],
    folder: Path,
    *,
    layout: str | None = None,
    columns: Columns = USUAL,
    about: About = UNKNOWN,
    split_seed: int = 0,
    multilabel: bool = False,
    progress: Progress = silent,
) -> Table:
    """Make the embedding table `folder` out of a file, or a pair of files, of another layout.

    Rows without a split are divided as `edgefuse extract` does; of a split into training and test rows alone, the
    validation rows are taken from the training ones. No more than a shard of vectors is held.

    Raises:
        BadInput: the files are of no known layout, rows have a fault, the split cannot be used, the vectors are not
            as wide as those of the encoders, or `folder` exists.
    """
    layout = layout or detect(paths)
    with new_folder(folder) as part:
        with open_source(layout, paths, columns, part, multilabel=multilabel, progress=progress) as source:
            clash = [name for name in source.subgroups if name in COLUMNS]
            if clash:
                raise BadInput(f"A subgroup may not be called {clash[0]!r}, as a table's own column; rename it.")
            if about.by_picture and not source.has_split:
                raise BadInput(
                    f"{paths[0]} has no column of parts, so that edgefuse divides it by group; leave out --by-picture, "
                    "or name the column with --split."
                )
            rows, widths = _write_shards(source, part)
            if not rows:
                raise BadInput(f"{paths[0]} has no rows; give a table with at least one.")
            multilabel = multilabel or bool(source.description.get("multilabel"))
            dataset = source.description.get("dataset", {"name": paths[0].stem, "licence": "not given", "drawn": False})
            given = {"name": about.name, "licence": about.licence, "split": "paper" if about.by_picture else None}
            dataset |= {name: value for name, value in given.items() if value is not None}
            if about.leaks:
                dataset["leaks"] = list(dict.fromkeys([*dataset.get("leaks", []), *about.leaks]))
            if not source.has_split:
                dataset.pop("split", None)  # of the exported table; its parts are not in the file any more
            leaks = dataset.get("split") == "paper"
            rows, seed = _divided(rows, source.has_split, split_seed, multilabel=multilabel, leaks=leaks)
            if source.has_split and source.description:
                seed = source.description["split_seed"]
            description = {
                "encoders": {m: _identity(m, widths[m], about, source.description) for m in MODALITIES},
                "dataset": dataset,
                "classes": _classes(rows, multilabel, source.description),
                **({"multilabel": True} if multilabel else {}),
                "split_seed": seed,
                "imported": {"layout": layout, "files": [path.name for path in paths]},
            }
        write_description(part, description, rows, source.subgroups)
    return open_table(folder)


def _write_shards(source: Source, folder: Path) -> tuple[list[Row], dict[Modality, int]]:
    """Write all vectors; gives the rows and the widths."""
    rows: list[Row] = []
    widths: dict[Modality, int] = {}
    held: dict[Modality, list[Floats]] = {modality: [] for modality in MODALITIES}

    def flush() -> None:
        number = (len(rows) - 1) // SHARD_ROWS
        for modality in MODALITIES:
            stacked = np.stack(held[modality])  # (m, d)
            widths[modality] = stacked.shape[1]
            write_shard(shard_path(folder, modality, number), stacked)
            held[modality].clear()

    for record in source.records:
        rows.append(record.row)
        held["image"].append(record.image)
        held["text"].append(record.text)
        if len(rows) % SHARD_ROWS == 0:
            flush()
    if held["image"]:
        flush()
    return rows, widths


def _divided(
    rows: Sequence[Row], has_split: bool, seed: int, *, multilabel: bool, leaks: bool
) -> tuple[list[Row], int | None]:
    """The rows with their parts, and the seed that decided them; None where the file did."""
    labels, groups = [row.label for row in rows], [row.group for row in rows]
    if has_split:
        groups = [row.id for row in rows] if leaks else groups
        found = [row.split.lower() for row in rows]
        parts = [PART_NAMES.get(part, part) for part in found]
        if "validation" not in parts and {"train", "test"} <= set(parts):
            parts = with_validation(parts, labels, groups, seed, multilabel=multilabel)
        check_split(parts, groups, [row.id for row in rows])
    else:
        parts = split_rows(labels, groups, seed, multilabel=multilabel)
    divided = [row._replace(split=part) for row, part in zip(rows, parts, strict=True)]
    return divided, None if has_split else seed


def _classes(rows: Sequence[Row], multilabel: bool, description: Mapping[str, Any]) -> list[str]:
    """The labels that occur, sorted; in the order of the exported table where these are the same."""
    used = sorted({name for row in rows for name in names_of(row.label, multilabel=multilabel)})
    known = description.get("classes", [])
    return list(known) if sorted(known) == used else used


def _identity(modality: Modality, width: int, about: About, description: Mapping[str, Any]) -> dict[str, Any]:
    """What is said of the encoder that made the vectors; marked, since nothing here proves it."""
    if about.encoders is not None:
        identity = about.encoders.identity[modality]
        if identity["width"] != width:
            raise BadInput(
                f"The {modality} vectors are {width} wide, those of the encoder in {about.encoders.folder} "
                f"{identity['width']}; they are not its vectors."
            )
    elif modality in about.encoder_names or not description:
        identity = {"name": about.encoder_names.get(modality, "not named"), "width": width}
    else:
        identity = description["encoders"][modality] | {"width": width}
    return identity | {"imported": True}
