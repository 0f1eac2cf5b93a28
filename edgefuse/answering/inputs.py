"""A sample between its files and its answer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Inputs:
    """A sample that was read and is ready for the encoders."""

    name: str | None
    """Of the picture."""
    pixels: NDArray[np.float32] | None
    """(1, 3, H, W), or None: no picture was given."""
    note: str | None
    """None: no note was given."""
    decode_ms: float
    """What reading and preparing the picture took."""
    remarks: tuple[str, ...] = ()
    """What the answer must say about reading it."""


@dataclass(frozen=True)
class Seen:
    """A picture that was encoded beside others."""

    vectors: NDArray[np.float32]
    """(1, d_i)"""
    load_ms: float
    image_ms: float
    """Its share of the time that all took together."""
