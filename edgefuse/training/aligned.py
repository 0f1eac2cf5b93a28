"""A table's rows as heads read them, and the shape of the heads that do."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgefuse.embeddings.mapped import ChosenRows
from edgefuse.embeddings.table import Table
from edgefuse.training import shapes
from edgefuse.training.trainer import Rows, Settings
from edgefuse_runtimes.alignment import Alignment, apply

Floats = NDArray[np.float32]

Kind = Literal["early", "late", "image_only", "text_only"]

ROWS_AT_A_TIME = 512


def training_rows(table: Table) -> tuple[ChosenRows, ChosenRows]:
    """Text and image vectors (n, d_t) and (n, d_i) of the rows that an alignment is fitted on."""
    chosen = np.flatnonzero(table.splits == "train")
    return ChosenRows(table.text, chosen), ChosenRows(table.image, chosen)


def aligned_rows(table: Table, alignment: Alignment, chosen: NDArray[np.int64], memory: Floats | None = None) -> Rows:
    """What a head reads of the chosen rows (n,), written into `memory` (n, w_t + w_i) if there is some."""
    joined = _memory(alignment, len(chosen)) if memory is None else memory
    _align(alignment, ChosenRows(table.text, chosen), ChosenRows(table.image, chosen), joined)
    return _rows(alignment, joined, table.labels[chosen])


def rows_to_learn(table: Table, alignment: Alignment, memory: Floats | None = None) -> Rows:
    """What a head learns from: the training rows (n,), and after them each one's v views, with its note.

    Written into `memory` (n * (1 + v), w_t + w_i) if there is some.
    """
    text, image = training_rows(table)
    chosen = text.numbers  # (n,)
    if table.views is None:
        return aligned_rows(table, alignment, chosen, memory)
    again = np.repeat(chosen, table.view_count)  # (n * v,)
    views = (chosen[:, None] * table.view_count + np.arange(table.view_count)).ravel()  # (n * v,): rows of table.views
    joined = _memory(alignment, len(chosen) + len(views)) if memory is None else memory
    own, others = joined[: len(chosen)], joined[len(chosen) :]
    _align(alignment, text, image, own)
    _align(alignment, ChosenRows(table.text, again), ChosenRows(table.views, views), others)
    return _rows(alignment, joined, table.labels[np.concatenate([chosen, again])])


def _memory(alignment: Alignment, count: int) -> Floats:
    return np.empty((count, alignment.widths["text"] + alignment.widths["image"]), np.float32)


def _align(alignment: Alignment, text: ChosenRows, image: ChosenRows, joined: Floats) -> None:
    """Align rows (m, d_t) and (m, d_i), and write them side by side into `joined` (m, w_t + w_i)."""
    w_t = alignment.widths["text"]
    for start in range(0, len(joined), ROWS_AT_A_TIME):
        some = slice(start, start + ROWS_AT_A_TIME)
        joined[some, :w_t], joined[some, w_t:] = apply(alignment, text[some], image[some])


def _rows(alignment: Alignment, joined: Floats, labels: NDArray[np.int64]) -> Rows:
    units = 1 / float(alignment.text.scale), 1 / float(alignment.image.scale)
    return Rows(joined, alignment.widths["text"], labels, units)


def architecture_of(table: Table, alignment: Alignment, kind: Kind, settings: Settings) -> shapes.Architecture:
    """The head for a table's aligned rows and classes."""
    w_t, w_i = alignment.widths["text"], alignment.widths["image"]
    outputs = 1 if len(table.classes) == 2 and not table.multilabel else len(table.classes)
    hidden = settings.hidden or (64 if kind == "late" else 128)
    form = (outputs, hidden, settings.depth, settings.dropout)
    if kind == "text_only":
        return shapes.text_only(w_t, *form)
    build = {"early": shapes.early, "late": shapes.late, "image_only": shapes.image_only}[kind]
    return build(w_t, w_i, *form)
