"""One cell of a sweep: one fused head, trained on a table's training rows and judged on its validation rows."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from edgefuse.embeddings.table import Table
from edgefuse.heads import Fusion
from edgefuse.training import align
from edgefuse.training.aligned import aligned_rows, architecture_of, rows_to_learn, training_rows
from edgefuse.training.recipe import generators
from edgefuse.training.trainer import Rows, Settings, Trained, train_members
from edgefuse_runtimes.alignment import Alignment


class Cell(NamedTuple):
    """What is different from cell to cell."""

    fusion: Fusion
    shift: float
    """lambda"""
    seed: int


@dataclass(frozen=True)
class Result:
    """How the head of a cell did on the validation rows, at its best epoch."""

    cell: Cell
    accuracy: float
    macro_f1: float
    epoch: int
    seconds: float


@dataclass(frozen=True)
class Aligned:
    """The rows that all cells of one shift read."""

    alignment: Alignment
    training: Rows
    validation: Rows


def matching_of(table: Table, method: align.Method, text_components: int | None = None) -> align.Matching:
    """The matching of a table's training rows, the same for all cells."""
    return align.match(*training_rows(table), method, text_components)


def aligned(table: Table, matching: align.Matching, shift: float) -> Aligned:
    """Fit the alignment for one shift and apply it."""
    alignment = align.fit(*training_rows(table), matching, shift)
    validation = aligned_rows(table, alignment, np.flatnonzero(table.splits == "validation"))
    return Aligned(alignment, rows_to_learn(table, alignment), validation)


def run(table: Table, rows: Aligned, cell: Cell, settings: Settings) -> Result:
    """Train and judge one cell."""
    started = time.monotonic()
    done = train_cell(table, rows, cell, settings)
    return Result(cell, done.figures.accuracy, done.figures.macro_f1, done.epoch, time.monotonic() - started)


def train_cell(table: Table, rows: Aligned, cell: Cell, settings: Settings) -> Trained:
    """Train one cell: the fused head that `train_head` trains for this shift and seed."""
    architecture = architecture_of(table, rows.alignment, cell.fusion, settings)
    return train_members(
        architecture, rows.training, rows.validation, settings, generators(cell.seed, 0, settings.members)
    )
