"""Steps that stand for several nodes of the file; `fuse` puts them in. What they give lies in the program's buffers."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from edgefuse_runtimes.onnx import quantized
from edgefuse_runtimes.onnx.buffers import Take
from edgefuse_runtimes.onnx.inplace import finish
from edgefuse_runtimes.onnx.tensor import Array

DOMAIN = "edgefuse"
"""Whose operators these are: no file may hold one."""

PART = 1 << 20
"""Numbers of a stored weight that are made float32 at a time."""

SCORES = 1 << 17
"""Scores that an attention works on at a time: they fit a second-level cache."""

LEAST_ROWS = 64
"""Rows of scores that are worth a matrix product."""


def linear(x: Array, weight: Array, *operands: Array, then: Sequence[str], take: Take) -> Array:
    """x (..., k) times weight (k, n), then all that `then` names (see `finish`)."""
    y = take((*x.shape[:-1], weight.shape[1]))  # (..., n)
    _product(x.reshape(-1, x.shape[-1]), weight, y.reshape(-1, y.shape[-1]), take)
    return finish(y, then, operands, take)


def dynamic_levels(x: Array, *, take: Take) -> tuple[Array, Array, Array]:
    """DynamicQuantizeLinear, but with q - zero for q: float32 of the shape of x; scale () and zero ()."""
    return quantized.dynamic_levels(x, take(x.shape))


def fixed_levels(x: Array, scale: Array, zero: Array | None = None, *, take: Take, axis: int = 1, **_: int) -> Array:
    """QuantizeLinear, but with q - zero for q: float32 of the shape of x."""
    return quantized.levels(x, scale, zero, take(x.shape), axis=axis)


def integer_linear(
    x: Array, weight: Array, *operands: Array, parts: Sequence[int], then: Sequence[str], take: Take
) -> Array:
    """Linear layer on integers: x weight, then all that `then` names (see `finish`).

    The product is the exact one, rounded to float32 once, as a cast from int32 would.

    Args:
        x: whole numbers of -255..255 in float32, (..., k).
        weight: int8, or the same numbers in float32, (k, n).
        operands: of `then`.
        parts: `exact_parts` of the weight.
        then: what follows.
        take: gives the arrays.
    """
    y = take((*x.shape[:-1], weight.shape[1]))  # (..., n)
    rows, table = x.reshape(-1, x.shape[-1]), y.reshape(-1, y.shape[-1])  # (m, k), (m, n)
    if len(parts) == 1:
        _product(rows, weight, table, take)
    else:
        total = np.zeros(table.shape)  # (m, n), float64
        for start, end in itertools.pairwise([*parts, len(weight)]):
            _product(rows[:, start:end], weight[start:end], table, take)
            total += table
        table[...] = total
    return finish(y, then, operands, take)


def attention(queries: Array, keys: Array, values: Array, *operands: Array, then: Sequence[str], take: Take) -> Array:
    """softmax(queries keys, after all that `then` names) values: (..., t, d), (..., d, s), (..., s, e) -> (..., t, e).

    As many heads, or rows of one, at a time as fit the cache. Each head is read and written where it lies: the result
    (heads, t, e) is a view of (t, heads, e), which the next linear layer takes as it is.

    Args:
        queries: their axes, like those of keys and values, may have any order in memory.
        keys: turned, one a column.
        values: one a row.
        operands: of `then`; each broadcasts to the scores (..., t, s).
        then: what is done to the scores first (see `finish`).
        take: gives the arrays.
    """
    shape = np.broadcast_shapes(queries.shape[:-2], keys.shape[:-2], values.shape[:-2])
    *outer, heads = shape or (1,)
    (t, s), e = (queries.shape[-2], keys.shape[-1]), values.shape[-1]
    q, k, v = (np.broadcast_to(x, (*outer, heads, *x.shape[-2:])) for x in (queries, keys, values))
    extras = [x.reshape(()) if x.size == 1 else np.broadcast_to(x, (*outer, heads, t, s)) for x in operands]
    result = np.moveaxis(take((*outer, t, heads, e)), -2, -3)  # (..., heads, t, e)
    at_once = max(1, SCORES // max(1, t * s))  # heads
    rows_at_once = t if t * s <= SCORES else max(LEAST_ROWS, SCORES // s)
    room = take((min(heads, at_once) * min(t, rows_at_once) * s,))
    for i in np.ndindex(*outer):
        for some, rows in itertools.product(_slices(heads, at_once), _slices(t, rows_at_once)):
            part = q[i][some, rows]  # (h, r, d) of h heads and r rows
            scores = room[: part.shape[0] * part.shape[1] * s].reshape(*part.shape[:2], s)
            np.matmul(part, k[i][some], out=scores)  # (h, r, s)
            finish(scores, then, [x if x.size == 1 else x[i][some, rows] for x in extras], take)
            scores -= scores.max(-1, keepdims=True)
            np.exp(scores, out=scores)
            mixed = np.matmul(scores, v[i][some], out=result[i][some, rows])  # (h, r, e)
            mixed /= scores.sum(-1, keepdims=True)  # fewer numbers than the scores are
    return result if shape else result[0]


def integer_attention(
    queries: Array, keys: Array, values: Array, *operands: Array, then: Sequence[str], take: Take
) -> Array:
    """`attention` with the exact scores of whole numbers of -255..255, rounded to float32 once."""
    if queries.shape[-1] * 255 * 255 > quantized.EXACT:
        queries, keys = queries.astype(np.float64), keys.astype(np.float64)
    return attention(queries, keys, values, *operands, then=then, take=take)


def layer_norm(x: Array, scale: Array, bias: Array, *, epsilon: float, take: Take) -> Array:
    """Each row of x (..., n) with mean 0 and variance 1, then scale (n,) and bias (n,)."""
    y = take(x.shape)  # (..., n)
    width = x.shape[-1]
    mean = np.full(width, 1 / width, np.float32)  # (n,)
    np.subtract(x, np.matmul(x, mean)[..., None], out=y)
    variance = np.einsum("...i,...i->...", y, y)  # (...,)
    variance /= np.float32(width)
    variance += np.float32(epsilon)
    y *= (1 / np.sqrt(variance))[..., None]
    y *= scale
    y += bias
    return y


def activation(x: Array, *operands: Array, then: Sequence[str], take: Take) -> Array:
    """All that `then` names done to x (see `finish`)."""
    y = take(x.shape)
    np.copyto(y, x)
    return finish(y, then, operands, take)


FUSED: Mapping[str, Callable[..., Array | tuple[Array, ...]]] = {
    "Activation": activation,
    "Attention": attention,
    "DynamicLevels": dynamic_levels,
    "IntegerAttention": integer_attention,
    "LayerNorm": layer_norm,
    "IntegerLinear": integer_linear,
    "Levels": fixed_levels,
    "Linear": linear,
}
"""Operator of a node of the domain DOMAIN -> its function, which takes `take` beside inputs and attributes."""


def _product(x: Array, weight: Array, out: Array, take: Take) -> None:
    """x (m, k) times weight (k, n) into out (m, n); parts of a weight that BLAS cannot read are made ready in turn."""
    if weight.dtype == np.float32 and weight.flags.aligned:
        np.matmul(x, weight, out=out)
        return
    columns = max(1, PART // max(1, len(weight)))
    room = take((len(weight) * min(columns, weight.shape[1]),))
    for part in _slices(weight.shape[1], columns):
        ready = room[: weight[:, part].size].reshape(len(weight), -1)  # (k, columns)
        np.copyto(ready, weight[:, part])
        np.matmul(x, ready, out=out[:, part])


def _slices(total: int, step: int) -> Iterator[slice]:
    for start in range(0, total, step):
        yield slice(start, min(start + step, total))
