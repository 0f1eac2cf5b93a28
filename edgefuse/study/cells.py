"""One cell of a study: a head of one kind, trained with one seed, that answers for the test rows of one fold."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgefuse.embeddings.table import Table
from edgefuse.evaluation.predictions import Predictions, predict
from edgefuse.heads import Fusion, Head
from edgefuse.labels import to_text
from edgefuse.splits.grouped import folds
from edgefuse.study.config import Training
from edgefuse.training import referral
from edgefuse.training.recipe import check_rows, train_head
from edgefuse_runtimes.arrays import read_arrays
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import write_bytes

COLUMNS = ("ids", "labels", "groups")
NAMED = ("subgroups", "probabilities", "unscaled", "thresholds")
"""The members of Predictions that are arrays, and those that are arrays by name."""


class Cell(NamedTuple):
    """What differs from cell to cell of one table."""

    fusion: Fusion
    seed: int
    """Of the folds and of the training."""
    fold: int

    @property
    def file(self) -> str:
        """The name of its file."""
        return f"{self.fusion}-seed{self.seed}-fold{self.fold}.npz"


@dataclass(frozen=True)
class Work:
    """What all cells of one table have in common."""

    table: Table
    folder: Path
    """Where their files go."""
    training: Training
    digest: str
    """`embeddings.table_digest` of the table."""

    def facts(self) -> dict[str, Any]:
        """What decides a cell beside the cell itself, as plain JSON types."""
        of = self.training
        facts = {"folds": of.folds, "shifts": of.shifts, "match": of.match, "refer_accuracy": of.refer_accuracy}
        facts |= {"text_components": of.text_components, "table_sha256": self.digest, "settings": asdict(of.settings)}
        facts |= {"average_image": True} if of.average_image else {}  # older studies go on
        return dict(json.loads(json.dumps(facts)))


@dataclass(frozen=True)
class Done:
    """A finished cell."""

    cell: Cell
    predictions: Predictions
    training: dict[str, Any]
    """`Head.training` of its head, and its `seconds_per_epoch`."""
    validation: dict[str, Any]
    """`Head.validation` of its head; empty: its file is of an edgefuse that did not keep it."""


def divided(table: Table, count: int, seed: int) -> list[Table]:
    """The table with the parts of each of `count` folds, drawn anew for each seed.

    Raises:
        BadInput: it has too few groups, or a class has no training rows in one of the folds.
    """
    labels = to_text(table.labels, table.classes)
    dealt = folds(labels, table.groups.tolist(), count, seed, multilabel=table.multilabel)
    tables = [replace(table, splits=np.array(parts), split_seed=seed) for parts in dealt]
    for number, each in enumerate(tables):
        try:
            check_rows(each)
        except BadInput as error:
            raise BadInput(f"In fold {number} of {count}, drawn with seed {seed}: {error}") from error
    return tables


def compute(work: Work, cell: Cell) -> Cell:
    """Train the cell's head, let it answer for its fold's test rows, and write its file whole."""
    of = work.training
    table = divided(work.table, of.folds, cell.seed)[cell.fold]
    head = train_head(
        table,
        fusion=cell.fusion,
        seed=cell.seed,
        settings=of.settings,
        shifts=of.shifts,
        match=of.match,
        text_components=of.text_components,
        average_image=of.average_image,
    )
    if of.refer_accuracy is not None:
        head = replace(head, referral=referral.fit(head, table, of.refer_accuracy))
    seconds = {"seconds_per_epoch": head.seconds_per_epoch, "inference_seconds": _inference(head, table)}
    done = Done(cell, predict(head, table, "test"), head.training | seconds, head.validation)
    write_cell(work.folder / cell.file, work.facts(), done)
    return cell


def _inference(head: Head, table: Table) -> float:
    """Seconds that the fused head takes for the fold's test rows, whose vectors are in memory."""
    rows = np.flatnonzero(table.splits == "test")
    text, image = table.text[rows], table.image[rows]  # (n, d_t), (n, d_i)
    started = time.perf_counter()
    head.logits("fused", text, image)
    return time.perf_counter() - started


def write_cell(path: Path, facts: Mapping[str, Any], done: Done) -> None:
    """Write one cell's file."""
    found = done.predictions
    heads = {"training": done.training, "validation": done.validation}
    words = {"facts": facts, **heads, "classes": found.classes, "task": found.task}
    arrays: dict[str, NDArray[Any]] = {
        "words": np.array(json.dumps(words)),
        **{member: getattr(found, member) for member in COLUMNS},
        **{f"{member}.{name}": values for member in NAMED for name, values in getattr(found, member).items()},
    }
    data = io.BytesIO()
    np.savez_compressed(data, **arrays)  # type: ignore[arg-type]  # its stub lets no name but allow_pickle pass
    write_bytes(path, data.getvalue())


def read_cell(path: Path, facts: Mapping[str, Any], cell: Cell) -> Done:
    """Read one cell's file.

    Raises:
        BadInput: it is damaged, or was computed from other inputs.
    """
    arrays = read_arrays(path, "remove it and run the study again")
    try:
        words = json.loads(str(arrays["words"]))
        known = words["facts"]
        members: dict[str, Any] = {member: arrays[member] for member in COLUMNS}
        members |= {member: _named(arrays, f"{member}.") for member in NAMED}
        done = Done(
            cell,
            Predictions(
                classes=tuple(words["classes"]),
                task=words["task"],
                **members,
            ),
            words["training"],
            words.get("validation", {}),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"The study's file {path} is damaged ({error}); remove it and run the study again.") from error
    changed = [name for name in facts if known.get(name) != facts[name]]
    if changed:
        raise BadInput(
            f"{path} was computed from other inputs ({', '.join(changed)} differ); "
            "choose another --output, or remove that folder to compute it anew."
        )
    return done


def _named(arrays: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
