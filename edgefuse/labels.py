"""Labels as text: one class of a row, or, in a multilabel data set, the classes that hold, joined by "|"."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

SEPARATOR = "|"


def names_of(label: str, *, multilabel: bool) -> tuple[str, ...]:
    """The classes that a label names: itself, or those that it joins, each once; "" joins none."""
    if not multilabel:
        return (label,)
    return tuple(dict.fromkeys(name.strip() for name in label.split(SEPARATOR) if name.strip()))


def to_numbers(labels: Sequence[str], classes: Sequence[str], *, multilabel: bool) -> NDArray[np.int64]:
    """Class numbers (n,) of n labels; of multilabel ones 0 and 1 (n, K), where column k stands for `classes[k]`."""
    number = {name: index for index, name in enumerate(classes)}
    if not multilabel:
        return np.array([number[label] for label in labels], np.int64)
    holds = np.zeros((len(labels), len(classes)), np.int64)  # (n, K)
    for row, label in enumerate(labels):
        holds[row, [number[name] for name in names_of(label, multilabel=True)]] = 1
    return holds


def to_text(numbers: NDArray[np.int64], classes: Sequence[str]) -> list[str]:
    """The labels of class numbers (n,), or of multilabel 0 and 1 (n, K); inverse of `to_numbers`."""
    if numbers.ndim == 1:
        return [classes[number] for number in numbers.tolist()]
    return [SEPARATOR.join(classes[k] for k in row.nonzero()[0].tolist()) for row in numbers]
