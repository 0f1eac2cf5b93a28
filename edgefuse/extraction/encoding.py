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
from edgefuse_runtimes.contract import Batch, Encoder
from edgefuse_runtimes.image import Picture, read_picture
from edgefuse_runtimes.image import views as views_of
from edgefuse_runtimes.spec import Preprocess

Floats = NDArray[np.float32]
Tokens = NDArray[np.int32]
"""(t,): the token ids of one note."""
Portion = Sequence[Picture] | Sequence[Tokens]
"""Samples of one modality that are encoded in one go: pictures, or tokenised notes."""

PORTION_SAMPLES = 16
"""A few at a time: an engine may share work between samples, and the bar still moves."""

DECODED_AHEAD = 24
"""Pictures that may wait decoded (0.6 MB each at 224 x 224) while others are encoded."""


@dataclass(frozen=True)
class Encoded:
    """The vectors of a portion, and what they took."""

    vectors: Floats
    """(m, d); of views (m * views, d), those of a picture one after the other"""
    spent: Spent


def encode_portions(encoder: Encoder, portions: Sequence[Portion], views: int | None = None) -> Iterator[Encoded]:
    """The portions' vectors, in order; pictures are prepared while those before them are encoded.

    With `views` so many of each picture are encoded one by one.
    """
    batches = _batches(encoder, portions, views or 1)
    for _ in portions:
        started = time.perf_counter()
        rows = np.concatenate([encoder.encode(next(batches)) for _ in range(views or 1)])  # (m * views, d)
        yield Encoded(rows, spent(encoder, len(rows), time.perf_counter() - started))


def vectors(encoder: Encoder, samples: Portion) -> Iterator[Floats]:
    """Vectors (d,) of pictures or of tokenised notes, in order."""
    portions = [samples[start : start + PORTION_SAMPLES] for start in range(0, len(samples), PORTION_SAMPLES)]
    for encoded in encode_portions(encoder, portions):
        yield from encoded.vectors


def prepared(pictures: Iterable[Picture], preprocess: Preprocess, views: int = 1) -> Iterator[Floats]:
    """Encoder inputs (3, S, S) of pictures, or of so many views of each, in order, made ahead of their use."""

    def read(picture: Picture) -> Floats:
        return views_of(read_picture(picture, preprocess), views)  # (views, 3, S, S)

    yield from chain.from_iterable(ahead(read, pictures, workers=1, depth=DECODED_AHEAD // views))


def _batches(encoder: Encoder, portions: Sequence[Portion], views: int) -> Iterator[Batch]:
    """What the encoder is given: for each portion as many batches as there are views, each of the portion's length."""
    preprocess = encoder.spec.preprocess
    if preprocess is None:
        yield from portions  # type: ignore[misc]  # token ids, then
        return
    ready = prepared(chain.from_iterable(portions), preprocess, views)  # type: ignore[arg-type]  # pictures, then
    for portion in portions:
        for _ in range(views):
            yield np.stack(list(islice(ready, len(portion))))  # (m, 3, S, S)
