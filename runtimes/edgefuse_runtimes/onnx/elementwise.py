"""Operators that work on each element alone. Arrays broadcast; the type of the inputs is kept."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgefuse_runtimes.onnx.buffers import new_array
from edgefuse_runtimes.onnx.inplace import finish
from edgefuse_runtimes.onnx.tensor import DTYPES, Array

BLOCK = 1 << 14
"""Elements that a chain of steps handles at a time: what passes between the steps stays in the cache."""


def divide(a: Array, b: Array) -> Array:
    """a / b; integers are divided towards zero."""
    if a.dtype.kind == "f":
        return np.asarray(np.divide(a, b))
    quotient = np.floor_divide(a, b)
    return np.asarray(np.add(quotient, (quotient < 0) & (quotient * b != a), dtype=quotient.dtype))


def power(base: Array, exponent: Array) -> Array:
    """base ** exponent in the type of the base; the exponents of norms do without the slow general power."""
    if exponent.size == 1 and base.dtype.kind == "f" and exponent.ndim <= base.ndim:
        if exponent.item() == 2:
            return np.square(base)
        if exponent.item() == 0.5:
            return np.sqrt(base)
    return np.power(base, exponent).astype(base.dtype, copy=False)


def cast(x: Array, *, to: int) -> Array:
    """Another type, by its number in TensorProto.DataType; fractions are cut off."""
    return x.astype(DTYPES[to], copy=False)


def clip(x: Array, low: Array | None = None, high: Array | None = None) -> Array:
    """Values below `low` raised to it, above `high` lowered to it."""
    y = x if low is None else np.maximum(x, low)
    return y if high is None else np.minimum(y, high)


def relu(x: Array) -> Array:
    """max(x, 0)."""
    return np.asarray(np.maximum(x, x.dtype.type(0)))


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), as a tanh that cannot overflow."""
    half = x.dtype.type(0.5)
    return np.asarray(np.tanh(x * half) * half + half)


def erf(x: Array) -> Array:
    """The error function, within 5e-7 in float32."""
    return _in_blocks(_erf_block, x)


def gelu(x: Array, *, approximate: str = "none") -> Array:
    """x times the standard normal distribution function of x; "tanh" is GPT-2's approximation of it.

    Raises:
        ValueError: an approximation of another name.
    """
    if approximate == "none":
        y = np.array(x, np.float32, order="C", ndmin=1)
        return finish(y, ("Gelu",), (), new_array).reshape(x.shape).astype(x.dtype, copy=False)
    if approximate != "tanh":
        raise ValueError(f"unknown approximation {approximate!r}")
    one, half = x.dtype.type(1), x.dtype.type(0.5)
    inner = (x + x * x * x * x.dtype.type(0.044715)) * x.dtype.type(np.sqrt(2 / np.pi))
    return np.asarray(half * x * (one + np.tanh(inner)))


def where(condition: Array, x: Array, y: Array) -> Array:
    """x where the condition holds, else y."""
    return np.where(condition, x, y)


def _in_blocks(function: Callable[[Array, Array], None], x: Array) -> Array:
    source = np.ascontiguousarray(x, np.promote_types(x.dtype, np.float32)).reshape(-1)  # (n,)
    result = np.empty_like(source)  # (n,)
    for start in range(0, source.size, BLOCK):
        function(source[start : start + BLOCK], result[start : start + BLOCK])
    return result.reshape(x.shape).astype(x.dtype, copy=False)  # the shape of x


def _erf_block(x: Array, result: Array) -> None:
    _erfc_of_positive(np.abs(x), result)  # (n,)
    np.subtract(1, result, out=result)
    np.copysign(result, x, out=result)


# Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26: |error| <= 1.5e-7.
ERFC_SCALE = 0.3275911
ERFC_COEFFICIENTS = (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)


def _erfc_of_positive(x: Array, result: Array) -> None:
    """1 - erf(x) for x >= 0, into `result`; `x` is used up."""
    kind = x.dtype.type
    t = x * kind(ERFC_SCALE)  # (n,)
    t += kind(1)
    np.reciprocal(t, out=t)
    np.multiply(t, kind(ERFC_COEFFICIENTS[0]), out=result)
    for coefficient in ERFC_COEFFICIENTS[1:]:
        result += kind(coefficient)
        result *= t
    np.square(x, out=x)
    np.negative(x, out=x)
    np.exp(x, out=x)
    result *= x
