"""Products of 8-bit integers, exact, although they are done in floating point, where the fast BLAS is."""

from __future__ import annotations

import numpy as np

from edgefuse_runtimes.onnx.tensor import Array

EXACT = 1 << 24
"""float32 holds every integer up to here, so a sum of products whose sizes add up to no more is exact in any
order of summing."""


def dynamic_quantize_linear(x: Array) -> tuple[Array, Array, Array]:
    """x as uint8 q, with one scale (float32) and zero point (uint8) for all: x ~ (q - zero) scale."""
    q, scale, zero = whole_numbers(x, np.empty(x.shape, np.float32))
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
    along = [1] * x.ndim
    if scale.ndim:
        along[axis] = -1
    kind = np.dtype(np.uint8) if zero is None else zero.dtype
    q = np.rint(x / scale.reshape(along if scale.ndim else ()))
    if zero is not None:
        q += zero.astype(x.dtype).reshape(along if zero.ndim else ())
    limits = np.iinfo(kind)
    return np.asarray(np.clip(q, limits.min, limits.max, out=q).astype(kind))


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


def whole_numbers(x: Array, out: Array) -> tuple[Array, Array, Array]:
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


def heaviest_column(weight: Array) -> int:
    """The most that the sizes of a column of an int8 weight (k, n) add up to.

    Times the largest input, it is more than any sum on the way to a product.
    """
    sums = np.zeros(weight.shape[1], np.int64)  # (n,)
    for start in range(0, len(weight), 128):  # int16 holds the sizes of so few, and of 256
        sums += np.abs(weight[start : start + 128].astype(np.int16)).sum(axis=0, dtype=np.int16)
    return int(sums.max(initial=0))
