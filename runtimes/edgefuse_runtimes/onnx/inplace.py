"""What follows a product, done in place on a few rows at a time, so that they stay in the cache between two of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from edgefuse_runtimes.onnx.buffers import Take
from edgefuse_runtimes.onnx.tensor import Array

BLOCK = 1 << 15
"""Numbers that a chain handles at a time: with what passes inside it they fit a second-level cache of 512 KiB."""

# Q in gelu(x) = x / (1 + exp(x Q(x^2))), lowest power first: fitted by reweighted least squares over 0..6, so that
# the largest error of gelu is as small as can be, 7e-8. Q is negative everywhere: exp() goes to 0 and infinity.
GELU_COEFFICIENTS = (
    -1.5957685368175258,
    -0.07266829823699468,
    6.605340484984454e-05,
    0.00011054677259337242,
    -7.948141377518581e-06,
    2.675663879118258e-07,
    -3.627854289501193e-09,
)


def gelu(x: Array, square: Array, inner: Array) -> None:
    """x times the standard normal distribution function of x, in place and within 5e-7; uses up the other two."""
    kind = x.dtype.type
    np.multiply(x, x, out=square)
    np.multiply(square, kind(GELU_COEFFICIENTS[-1]), out=inner)
    for coefficient in GELU_COEFFICIENTS[-2:0:-1]:
        inner += kind(coefficient)
        inner *= square
    inner += kind(GELU_COEFFICIENTS[0])
    inner *= x
    _divide_by_one_plus_exp(x, inner)


def swish(x: Array, factor: Array, inner: Array) -> None:
    """x sigmoid(factor x), in place; uses up `inner`. CLIP's approximation of GELU has the factor 1.702."""
    np.multiply(x, -factor, out=inner)
    _divide_by_one_plus_exp(x, inner)


def _divide_by_one_plus_exp(x: Array, inner: Array) -> None:
    with np.errstate(over="ignore"):  # to infinity, and x to 0
        np.exp(inner, out=inner)
    inner += inner.dtype.type(1)
    x /= inner


TAKES_OPERAND: Mapping[str, bool] = {"Add": True, "Mul": True, "Swish": True, "Gelu": False}
"""What may follow a product -> whether it takes an array of its own."""


def finish(y: Array, then: Sequence[str], operands: Sequence[Array], take: Take) -> Array:
    """y (..., n) after everything in `then`, changed in place.

    Args:
        y: float32, contiguous.
        then: names in TAKES_OPERAND.
        operands: one for each name that takes one: (), (1,), (n,) or of the shape of y. Where another shape broadcasts
            with that of y, the result is a new array.
        take: gives arrays for what passes inside.
    """
    left = iter(operands)
    together: list[tuple[str, Array | None]] = []
    for name in then:
        operand = next(left) if TAKES_OPERAND[name] else None
        if operand is None or operand.shape in ((), (1,), y.shape[-1:], y.shape):
            together.append((name, operand))
            continue
        _in_blocks(y.reshape(-1, y.shape[-1]), together, take)
        y = np.ascontiguousarray(y + operand if name == "Add" else y * operand)  # the shape of both
        together = []
    _in_blocks(y.reshape(-1, y.shape[-1]), together, take)
    return y


def _in_blocks(y: Array, chain: Sequence[tuple[str, Array | None]], take: Take) -> None:
    """The chain on y (m, n), in place."""
    rows = min(len(y), max(1, BLOCK // max(1, y.shape[1])))
    room = np.empty(0, np.float32)
    if any(name in ("Gelu", "Swish") for name, _ in chain):
        room = take((2, rows, y.shape[1]))  # (2, rows, n)
    full = [
        operand.reshape(y.shape) if operand is not None and operand.size == y.size else None for _, operand in chain
    ]
    for start in range(0, len(y), rows if chain else len(y)):
        block = y[start : start + rows]  # (rows, n), or what is left
        for (name, operand), table in zip(chain, full, strict=True):
            own = operand if table is None else table[start : start + rows]  # (), (1,), (n,) or (rows, n)
            if name == "Add":
                block += own
            elif name == "Mul":
                block *= own
            elif name == "Gelu":
                gelu(block, *room[:, : len(block)])
            elif own is not None:
                swish(block, own, room[0, : len(block)])
