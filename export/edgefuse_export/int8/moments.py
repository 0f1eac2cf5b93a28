"""What passes through a graph when it runs on calibration samples: ranges and second moments, channel by channel."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefuse_export.int8.wiring import Wiring, write
from edgefuse_export.resources import session_options
from edgefuse_export.sources import importable

Doubles = NDArray[np.float64]

TOGETHER = 1024
"""Tokens that are added up at a time: one large product costs less than many small ones."""


@dataclass(frozen=True)
class Moments:
    """Of the tokens x (k,) that one value held."""

    count: int
    total: Doubles
    """Sum of x (k,)."""
    second: NDArray[Any] | None
    """Sum of x x^T (k, k), where it was asked for."""
    low: Doubles
    """Least value of each channel (k,)."""
    high: Doubles
    """Largest value of each channel (k,)."""

    def moved(self, scale: Doubles, shift: Doubles) -> Moments:
        """Of (x - shift) / scale instead of x; both (k,)."""
        second = self.second
        if second is not None:
            cross = np.outer(self.total, shift)  # (k, k)
            second = (second - cross - cross.T + self.count * np.outer(shift, shift)) / np.outer(scale, scale)
        return Moments(
            self.count,
            (self.total - self.count * shift) / scale,
            second,
            (self.low - shift) / scale,
            (self.high - shift) / scale,
        )


def observe(
    wiring: Wiring, values: Sequence[str], samples: Iterable[NDArray[Any]], *, ranges: Sequence[str] = ()
) -> dict[str, Moments]:
    """The moments of the named values (..., k) over all samples, each a batch of one for the graph's input.

    Of `ranges`, more names, no second moments are kept.
    """
    names = [*values, *(name for name in ranges if name not in values)]
    session = session_of(wiring, names)
    taken = session.get_inputs()[0].name
    found: dict[str, Moments] = {}
    waiting: list[list[NDArray[np.float32]]] = []  # per sample, per name: (t, k)

    def add_up() -> None:
        for place, name in enumerate(names):
            tokens = np.concatenate([arrays[place] for arrays in waiting])  # (sum of t, k)
            found[name] = _joined(found.get(name), _moments(tokens, with_second=place < len(values)))
        waiting.clear()

    for sample in samples:
        outputs = session.run(names, {taken: sample})
        waiting.append([array.reshape(-1, array.shape[-1]) for array in outputs])
        if sum(len(arrays[0]) for arrays in waiting) >= TOGETHER:
            add_up()
    if waiting:
        add_up()
    return found


def session_of(wiring: Wiring, also: Sequence[str] = ()) -> Any:
    """A session of onnxruntime on a graph, with more of its values as outputs."""
    ort = importable("onnxruntime", "export")
    return ort.InferenceSession(
        write(wiring, also).SerializeToString(), session_options(), providers=["CPUExecutionProvider"]
    )


def _moments(tokens: NDArray[np.float32], *, with_second: bool) -> Moments:
    second = tokens.T @ tokens if with_second else None  # (k, k)
    low, high = tokens.min(axis=0).astype(np.float64), tokens.max(axis=0).astype(np.float64)
    return Moments(len(tokens), tokens.sum(axis=0, dtype=np.float64), second, low, high)


def _joined(a: Moments | None, b: Moments) -> Moments:
    if a is None:
        return b if b.second is None else dataclasses.replace(b, second=b.second.astype(np.float64))
    if a.second is not None and b.second is not None:
        np.add(a.second, b.second, out=a.second)  # in place: these are the large ones
    return Moments(a.count + b.count, a.total + b.total, a.second, np.minimum(a.low, b.low), np.maximum(a.high, b.high))
