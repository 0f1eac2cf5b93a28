"""Floats -> Q8_0 blocks: the bytes of `gguf.quants.quantize` in about a third of its time.

A block is the float16 scale of 32 values, their largest magnitude / 127, and 32 int8: value / scale, rounded to the
nearest, halves away from zero (`quantize_row_q8_0_ref` of llama.cpp's ggml-quants.c).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK_VALUES, BLOCK_BYTES = 32, 34

CHUNK_VALUES = 1 << 16
"""Values worked on at a time: what is computed on the way stays in the processor's cache."""

_SIGN = np.int32(-(1 << 31))
_SIGN_AND_HALF = np.int32(-(1 << 31) + 0x0FFFE000)
"""Where sign, exponent and fraction of a float16 lie after it was shifted by 13 bits."""
_BIAS = np.float32(2.0**112)
"""2^(127 - 15): the exponents of float32 and of float16 count from different places."""
_BELOW_HALF = np.nextafter(np.float32(0.5), np.float32(0)).view(np.int32)
"""Bits of the largest float32 below 0.5: added before cutting off, it rounds; 0.5 would lift 0.49999997 to 1."""


def quantize_q8_0(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Rows (n, columns) of finite float16 or float32, columns a multiple of 32, as uint8 (n, columns / 32 * 34)."""
    flat = values.reshape(-1)  # (n columns,)
    blocks = np.empty((flat.size // BLOCK_VALUES, BLOCK_BYTES), np.uint8)  # (b, 34)
    buffers = np.empty((2, min(CHUNK_VALUES, flat.size)), np.float32)
    for start in range(0, flat.size, CHUNK_VALUES):
        piece = flat[start : start + CHUNK_VALUES]
        first = start // BLOCK_VALUES
        _quantize(piece, blocks[first : first + len(piece) // BLOCK_VALUES], *buffers[:, : len(piece)])
    return blocks.reshape(len(values), -1)


def _quantize(piece: NDArray[Any], out: NDArray[np.uint8], x: NDArray[np.float32], y: NDArray[np.float32]) -> None:
    """Values (32 b,) to blocks (b, 34); `x` and `y` (32 b,) are overwritten."""
    _widen(piece, x)
    largest = np.abs(x, out=y)  # (32 b,)
    for _ in range(5):
        largest = np.maximum(largest[0::2], largest[1::2])  # in the end (b,)
    scale = largest / np.float32(127)  # (b,)
    with np.errstate(divide="ignore"):
        inverse = np.where(scale == 0, np.float32(0), 1 / scale)  # (b,)
    by_block = x.reshape(-1, BLOCK_VALUES)  # (b, 32)
    np.multiply(by_block, inverse[:, None], out=by_block)
    half = y.view(np.int32)
    np.bitwise_and(x.view(np.int32), _SIGN, out=half)
    np.bitwise_or(half, _BELOW_HALF, out=half)
    x += y
    out[:, :2] = scale.astype(np.float16)[:, None].view(np.uint8)
    np.copyto(out[:, 2:].view(np.int8), by_block, casting="unsafe")


def _widen(piece: NDArray[Any], x: NDArray[np.float32]) -> None:
    """Finite float16 to float32, which numpy does bit by bit without the processor's help; float32 is copied."""
    if piece.dtype != np.float16:
        x[...] = piece
        return
    bits = x.view(np.int32)
    bits[...] = piece.view(np.int16)
    np.left_shift(bits, 13, out=bits)
    np.bitwise_and(bits, _SIGN_AND_HALF, out=bits)
    x *= _BIAS
