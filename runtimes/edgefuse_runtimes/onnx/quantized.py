"""Products of 8-bit integers, exact, although they are done in floating point, where the fast BLAS is."""

from __future__ import annotations

import numpy as np

from edgefuse_runtimes.onnx.tensor import Array

CENTER = 128
"""A uint8 less this lies in -128..127."""

EXACT = 1 << 24
"""float32 holds every integer up to here, so a sum of products whose sizes add up to no more is exact in any
order of summing."""


def dynamic_quantize_linear(x: Array) -> tuple[Array, Array, Array]:
    """x as uint8 q, with one scale (float32) and zero point (uint8) for all: x ~ (q - zero) scale."""
    scale, zero = _scale_and_zero(x)
    return (_quantize(x, scale, zero) + zero).astype(np.uint8), scale, zero.astype(np.uint8)


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


def centred_quantize(x: Array) -> tuple[Array, Array, Array]:
    """`dynamic_quantize_linear` with q - CENTER for q; it and the zero point are whole numbers in float32."""
    scale, zero = _scale_and_zero(x)
    q = _quantize(x, scale, zero)
    q += zero - np.float32(CENTER)
    return q, scale, zero


def quantized_linear(
    x: Array,
    scale: Array,
    zero: Array,
    weight: Array,
    columns: Array,
    weight_scale: Array,
    bias: Array | None = None,
    *,
    depth: int,
) -> Array:
    """Linear layer on integers: ((q - zero) weight) (scale weight_scale) + bias.

    The integer product is the exact one, rounded to float32 once, as a cast from int32 would: x = q - CENTER,
    so (q - zero) weight = x weight + (CENTER - zero) columns, and both terms are exact.

    Args:
        x: what `centred_quantize` gives of the input, (..., k), like `scale` () and `zero` ().
        weight: int8, or the same numbers in float32, (k, n).
        columns: sum of each column of `weight`, float32 (n,).
        weight_scale: float32 () or (n,).
        bias: float32 (n,).
        depth: `exact_depth` of the weight.
    """
    correction = (np.float32(CENTER) - zero) * columns  # (n,)
    if depth >= len(weight):
        y = np.matmul(x, weight.astype(np.float32, copy=False))  # (..., n)
        y += correction
    else:
        total = correction.astype(np.float64)  # (n,)
        for start in range(0, len(weight), depth):
            part = weight[start : start + depth].astype(np.float32, copy=False)  # (depth, n)
            total = total + np.matmul(x[..., start : start + depth], part)  # (..., n)
        y = total.astype(np.float32)  # (..., n)
    y *= scale * weight_scale
    if bias is not None:
        y += bias
    return np.asarray(y)


def exact_depth(weight: Array) -> int:
    """How many rows of an int8 weight (k, n) a float32 product may sum over and be exact for every input."""
    heaviest = np.abs(weight.astype(np.int32)).sum(axis=0).max(initial=0)  # of any column
    return len(weight) if CENTER * int(heaviest) <= EXACT else EXACT // CENTER // 128


def _scale_and_zero(x: Array) -> tuple[Array, Array]:
    """Scale () and zero point () of x, both float32: 0..255 covers its range, which always includes 0."""
    low = np.minimum(x.min(initial=0), np.float32(0))  # ()
    high = np.maximum(x.max(initial=0), np.float32(0))  # ()
    scale = (high - low) / np.float32(255)  # ()
    if scale == 0:
        scale = np.float32(1)
    zero = np.rint(np.clip(-low / scale, 0, 255))  # ()
    return np.asarray(scale), np.asarray(zero)


def _quantize(x: Array, scale: Array, zero: Array) -> Array:
    """Whole numbers q - zero as float32, with q in 0..255."""
    q = np.divide(x, scale)
    np.rint(q, out=q)
    return np.clip(q, -zero, 255 - zero, out=q)
