"""Vectors of many samples from an open encoder, and what they took."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

import numpy as np
from numpy.typing import NDArray

from edgefuse.ahead import ahead
from edgefuse.embeddings.cost import Spent, spent
from edgefuse_runtimes.contract import Encoder
from edgefuse_runtimes.image import Picture, read_picture
from edgefuse_runtimes.spec import Preprocess

Floats = NDArray[np.float32]
Tokens = NDArray[np.int32]
"""(t,): the token ids of one note."""
Portion = Sequence[Picture] | Sequence[Tokens]
"""Samples of one modality that are encoded in one go: pictures, or tokenised notes."""

PORTION_SAMPLES = 16
"""A few at a time: an engine may share work between notes, and the bar still moves."""

DECODED_AHEAD = 8
"""Pictures that may wait decoded (0.6 MB each at 224 x 224) while another is encoded."""


@dataclass(frozen=True)
class Encoded:
    """The vectors of a portion, and what they took."""

    vectors: Floats
    """(m, d)"""
    spent: Spent


def encode_portions(encoder: Encoder, portions: Sequence[Portion]) -> Iterator[Encoded]:
    """The portions' vectors, in order."""
    vectors = _vectors(encoder, portions)
    for portion in portions:
        started = time.perf_counter()
        rows = np.stack(list(islice(vectors, len(portion))))  # (m, d)
        yield Encoded(rows, spent(encoder, len(portion), time.perf_counter() - started))


def _vectors(encoder: Encoder, portions: Sequence[Portion]) -> Iterator[Floats]:
    if encoder.spec.modality == "image":
        return picture_vectors(encoder, chain.from_iterable(portions))  # type: ignore[arg-type]  # pictures, then
    return chain.from_iterable(encoder.encode(portion) for portion in portions)  # type: ignore[arg-type]  # token ids


def picture_vectors(encoder: Encoder, pictures: Iterable[Picture]) -> Iterator[Floats]:
    """Vectors (d,) of pictures in order; the next ones are decoded while one is encoded."""
    assert encoder.spec.preprocess is not None
    for pixels in prepared(pictures, encoder.spec.preprocess):
        yield encoder.encode(pixels[None])[0]


def prepared(pictures: Iterable[Picture], preprocess: Preprocess) -> Iterator[Floats]:
    """Encoder inputs (3, H, W) of pictures in order, made ahead of their use."""

    def read(picture: Picture) -> Floats:
        return read_picture(picture, preprocess)  # (3, H, W)

    yield from ahead(read, pictures, workers=1, depth=DECODED_AHEAD)


def note_vectors(encoder: Encoder, tokens: Sequence[Tokens]) -> Iterator[Floats]:
    """Vectors (d,) of tokenised notes in order."""
    for start in range(0, len(tokens), PORTION_SAMPLES):
        yield from encoder.encode(tokens[start : start + PORTION_SAMPLES])  # (<= 16, d)
