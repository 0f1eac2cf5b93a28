"""Products of 8-bit integers, exact, although they are done in floating point, where the fast BLAS is."""

from __future__ import annotations

import numpy as np

from edgefuse_runtimes.onnx.tensor import Array

EXACT = 1 << 24
"""float32 holds every integer up to here, so a sum of products whose sizes add up to no more is exact in any
order of summing."""

ROWS = 64
"""Rows of a weight that are counted together; EXACT holds their products whatever they are."""


def dynamic_quantize_linear(x: Array) -> tuple[Array, Array, Array]:
    """x as uint8 q, with one scale (float32) and zero point (uint8) for all: x ~ (q - zero) scale."""
    q, scale, zero = dynamic_levels(x, np.empty(x.shape, np.float32))
    q += zero
    return q.astype(np.uint8), scale, zero.astype(np.uint8)


def matmul_integer(a: Array, b: Array, a_zero: Array | None = None, b_zero: Array | None = None) -> Array:
    """(a - a_zero) (b - b_zero) in int32; zero points are (), or one per row of a and per column of b."""
    # The product of two 8-bit numbers less their zero points is at most 255 * 255, and float64 holds sums up to 2^53.
    exact = np.dtype(np.float32 if a.shape[-1] * 255 * 255 <= EXACT else np.float64)
    left: Array = a.astype(exact)  # (..., m, k)
    right: Array = b.astype(exact)  # (..., k, n)
    if a_zero is not None:
        left -= a_zero[..., None] if a_zero.ndim else a_zero
    if b_zero is not None:
        right -= b_zero
    product = np.matmul(left, right)  # (..., m, n)
    return np.asarray(product.astype(np.int32))  # (..., m, n)


def quantize_linear(x: Array, scale: Array, zero: Array | None = None, *, axis: int = 1, saturate: int = 1) -> Array:
    """x / scale + zero as whole numbers of the type of `zero` (uint8 where there is none), cut at its limits.

    Scale and zero point are (), or one per entry of `axis`.
    """
    q = levels(x, scale, zero, np.empty(x.shape, x.dtype), axis=axis)
    if zero is not None:
        q += _along(zero, x, axis)
    return q.astype(np.uint8 if zero is None else zero.dtype)


def levels(x: Array, scale: Array, zero: Array | None, out: Array, *, axis: int) -> Array:
    """`quantize_linear` less its zero point, as whole numbers in a type of floats, into `out`."""
    limits = np.iinfo(np.uint8 if zero is None else zero.dtype)
    shift = np.float32(0) if zero is None else _along(zero, x, axis).astype(out.dtype)
    np.divide(x, _along(scale, x, axis), out=out)
    np.rint(out, out=out)
    return np.clip(out, limits.min - shift, limits.max - shift, out=out)


def _along(values: Array, x: Array, axis: int) -> Array:
    """Values (), or one for each entry of an axis of x, so that they broadcast with x."""
    return values.reshape([-1 if i == axis % x.ndim else 1 for i in range(x.ndim)]) if values.ndim else values


def dequantize_linear(
    x: Array, scale: Array, zero: Array | None = None, *, axis: int = 1, block_size: int = 0
) -> Array:
    """(x - zero) scale; scale and zero point are (), or one per entry of `axis`."""
    along = [1] * x.ndim
    if scale.ndim:
        along[axis] = -1
    centred = x.astype(scale.dtype)
    if zero is not None:
        centred -= zero.astype(scale.dtype).reshape(along if zero.ndim else ())
    return np.asarray(centred * scale.reshape(along if scale.ndim else ()))


def dynamic_levels(x: Array, out: Array) -> tuple[Array, Array, Array]:
    """q - zero of `dynamic_quantize_linear` as whole numbers in float32, into `out`; and scale and zero (), float32."""
    low = np.minimum(x.min(initial=0), np.float32(0))  # ()
    high = np.maximum(x.max(initial=0), np.float32(0))  # ()
    scale = (high - low) / np.float32(255)  # ()
    if scale == 0:
        scale = np.float32(1)
    zero = np.rint(np.clip(-low / scale, 0, 255))  # ()
    np.divide(x, scale, out=out)
    np.rint(out, out=out)
    if not (np.rint(low / scale) >= -zero and np.rint(high / scale) <= 255 - zero):  # or NaN
        np.clip(out, -zero, 255 - zero, out=out)
    return out, np.asarray(scale), np.asarray(zero)


def exact_parts(weight: Array) -> tuple[int, ...]:
    """Rows at which the parts of an int8 weight (k, n) begin that float32 can each multiply exactly.

    The sizes of no column of a part add up to more than EXACT / 255, so no sum on the way to its product with whole
    numbers of -255..255 is larger than EXACT.
    """
    starts = [0]
    sums = np.zeros(weight.shape[1], np.int64)  # (n,)
    for start in range(0, len(weight), ROWS):
        more = np.abs(weight[start : start + ROWS].astype(np.int16)).sum(axis=0, dtype=np.int64)  # (n,)
        if (sums + more).max(initial=0) > EXACT // 255:
            starts.append(start)
            sums[:] = 0
        sums += more
    return tuple(starts)
