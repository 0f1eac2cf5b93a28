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
    w_t, w_i = alignment.widths["text"], alignment.widths["image"]
    joined = np.empty((len(chosen), w_t + w_i), np.float32) if memory is None else memory
    for start in range(0, len(chosen), ROWS_AT_A_TIME):
        some = chosen[start : start + ROWS_AT_A_TIME]  # (m,)
        into = joined[start : start + len(some)]  # (m, w_t + w_i)
        into[:, :w_t], into[:, w_t:] = apply(alignment, table.text[some], table.image[some])
    units = 1 / float(alignment.text.scale), 1 / float(alignment.image.scale)
    return Rows(joined, w_t, table.labels[chosen], units)


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
