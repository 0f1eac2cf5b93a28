"""Notes as token ids: what every engine of a GGUF file checks and how it groups them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from edgefuse_runtimes.contract import Batch
from edgefuse_runtimes.errors import BadInput

Ids = NDArray[np.int32]


def check_notes(batch: Batch, vocabulary: int) -> list[Ids]:
    """The notes of `batch`, each (t,) int32 with t > 0 and ids below `vocabulary`.

    Raises:
        BadInput: a note without tokens, or with an id that the vocabulary lacks.
    """
    notes = [np.asarray(note, np.int32) for note in batch]
    for index, note in enumerate(notes):
        if note.ndim != 1 or not len(note):
            raise BadInput(f"Note {index} of the batch has no tokens; a text encoder needs at least one.")
        if note.min() < 0 or note.max() >= vocabulary:
            raise BadInput(
                f"Note {index} of the batch has a token id outside the encoder's {vocabulary} words; "
                "use the tokenizer of the same file."
            )
    return notes


def groups(lengths: Sequence[int], limit: int) -> Iterator[list[int]]:
    """Indices of notes, shortest first, in groups of at most `limit` tokens (a longer note stands alone)."""
    group: list[int] = []
    tokens = 0
    for index in sorted(range(len(lengths)), key=lambda index: lengths[index]):
        if group and tokens + lengths[index] > limit:
            yield group
            group, tokens = [], 0
        group.append(index)
        tokens += lengths[index]
    if group:
        yield group
