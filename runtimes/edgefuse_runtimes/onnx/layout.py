"""Operators that make, move, cut and join arrays without computing with their values. Most give views."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from edgefuse_runtimes.onnx.tensor import Array


def constant(
    *,
    value: Array | None = None,
    value_float: float | None = None,
    value_floats: Sequence[float] | None = None,
    value_int: int | None = None,
    value_ints: Sequence[int] | None = None,
) -> Array:
    """The array that stands in the file.

    Raises:
        ValueError: there is none.
    """
    if value is not None:
        return value
    if value_float is not None or value_floats is not None:
        return np.array(value_float if value_float is not None else value_floats, np.float32)
    if value_int is not None or value_ints is not None:
        return np.array(value_int if value_int is not None else value_ints, np.int64)
    raise ValueError("no value")


def constant_of_shape(shape: Array, *, value: Array | None = None) -> Array:
    """One number (default: float32 0) everywhere in an array of this shape."""
    number = np.zeros(1, np.float32) if value is None else value  # (1,)
    return np.broadcast_to(number.reshape(()), tuple(shape.tolist()))  # shape


def shape_of(x: Array, *, start: int = 0, end: int | None = None) -> Array:
    """The shape, or dimensions start..end of it, as int64 (n,)."""
    return np.array(x.shape[slice(start, end)], np.int64)  # (n,)


def value_range(start: Array, limit: Array, delta: Array) -> Array:
    """start, start + delta, ... before limit (n,)."""
    values: Array = np.arange(start.item(), limit.item(), delta.item()).astype(start.dtype)  # (n,)
    return values


def reshape(x: Array, shape: Array, *, allowzero: int = 0) -> Array:
    """The same values in another shape; 0 keeps a dimension unless `allowzero`, -1 is what is left."""
    sizes = shape.tolist()
    if not allowzero:
        sizes = [x.shape[i] if size == 0 else size for i, size in enumerate(sizes)]
    return x.reshape(sizes)  # shape


def flatten(x: Array, *, axis: int = 1) -> Array:
    """Two dimensions: those before `axis`, and the others."""
    return x.reshape(math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))  # (rows, columns)


def transpose(x: Array, *, perm: Sequence[int] | None = None) -> Array:
    """Axes in another order; reversed by default."""
    return x.transpose(perm)


def unsqueeze(x: Array, axes: Array) -> Array:
    """New axes of size 1 at these places of the result."""
    return np.expand_dims(x, tuple(axes.tolist()))


def squeeze(x: Array, axes: Array | None = None) -> Array:
    """These axes, or all, of size 1 taken out."""
    return x.squeeze(None if axes is None else tuple(axes.tolist()))


def expand(x: Array, shape: Array) -> Array:
    """Broadcast to `shape`, or to what `shape` and the shape of x broadcast to."""
    return np.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(shape.tolist())))


def tile(x: Array, repeats: Array) -> Array:
    """Repeated along each axis."""
    return np.tile(x, repeats.tolist())


def concat(*parts: Array, axis: int) -> Array:
    """Joined along an axis."""
    return np.concatenate(parts, axis=axis)


def split(x: Array, sizes: Array | None = None, *, axis: int = 0, num_outputs: int = 0) -> tuple[Array, ...]:
    """Cut along an axis, at the given sizes or into equal parts, the last maybe smaller."""
    if sizes is None:
        step = -(-x.shape[axis] // num_outputs)
        cuts = np.arange(1, num_outputs) * step  # (num_outputs - 1,)
    else:
        if sizes.sum() != x.shape[axis]:
            raise ValueError(f"sizes {sizes.tolist()} of a dimension of {x.shape[axis]}")
        cuts = np.cumsum(sizes)[:-1]  # (num_outputs - 1,)
    return tuple(np.split(x, cuts, axis))


def cut(x: Array, starts: Array, ends: Array, axes: Array | None = None, steps: Array | None = None) -> Array:
    """Slice: from start to before end by step, on each of the axes."""
    where = [slice(None)] * x.ndim
    for i, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        where[i if axes is None else int(axes[i])] = slice(start, end, 1 if steps is None else int(steps[i]))
    return x[tuple(where)]


def gather(x: Array, indices: Array, *, axis: int = 0) -> Array:
    """Entries of x at `indices` along an axis, which the axes of `indices` replace."""
    if x.flags.aligned:
        return np.asarray(x.take(indices, axis))
    return np.asarray(x[(slice(None),) * (axis % x.ndim) + (indices,)])  # take() would copy all of x


def arg_max(x: Array, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Array:
    """Place of the largest value along an axis, the first (or last) of equal ones, as int64."""
    if not select_last_index:
        return np.asarray(np.argmax(x, axis, keepdims=bool(keepdims)))
    return np.asarray(x.shape[axis] - 1 - np.argmax(np.flip(x, axis), axis, keepdims=bool(keepdims)))


def triangle(x: Array, k: Array | None = None, *, upper: int = 1) -> Array:
    """The upper or lower triangle of the last two axes, from diagonal k on; zero elsewhere."""
    diagonal = 0 if k is None else int(k.item())
    return np.triu(x, diagonal) if upper else np.tril(x, diagonal)
