"""From the last hidden states of one sample to its vector: the same code for every engine."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgefuse_runtimes.spec import Pooling

Floats = NDArray[np.float32]


def pool(hidden: Floats, pooling: Pooling) -> Floats:
    """One vector (d,) from the hidden states (t, d); with "none", `hidden` is the vector already (d,)."""
    vector: Floats
    match pooling:
        case "cls":
            vector = hidden[0]  # (d,)
        case "last":
            vector = hidden[-1]  # (d,)
        case "mean":
            vector = hidden.mean(axis=0, dtype=np.float32)  # (d,)
        case "none":
            vector = hidden  # (d,)
    return vector


def l2_normalize(rows: Floats) -> Floats:
    """Every row (..., d) divided by its length; a zero row stays zero."""
    length = np.linalg.norm(rows, axis=-1, keepdims=True)  # (..., 1)
    normalized: Floats = rows / np.maximum(length, np.float32(1e-12))  # (..., d)
    return normalized
