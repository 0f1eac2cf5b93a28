"""Channels brought to like ranges before they share one scale of 8 bits; what is taken here is given back there.

A linear layer after x computes ((x - shift) / scale) (scale W) + (b + shift W), which is x W + b for any scale and
shift per channel (SmoothQuant, Xiao et al. 2023, arXiv 2211.10438; the shift: Wei et al. 2023, arXiv 2304.09145).
Division and shift are put into what gives x: a layer norm, or the values of an attention, whose weights add up to one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgefuse_export.int8.blocks import (
    Attention,
    FeedForward,
    Linear,
    Norm,
    bias_of,
    norm_parameters,
    own_norm,
    set_linear,
    set_norm,
    weight_of,
)
from edgefuse_export.int8.moments import Doubles, Moments
from edgefuse_export.int8.wiring import Wiring, add_constant, add_node

_LEAST = 1e-5
"""Ranges below count as this, so that a channel that is always the same is not blown up."""


def balance_norm(wiring: Wiring, norm: Norm, linears: Sequence[Linear], moments: Moments, strength: float) -> Moments:
    """Balance what a layer norm gives to `linears`, or a copy of it where it is shared; the moments afterwards."""
    norm = own_norm(wiring, norm, linears) if norm.shared else norm
    weights = np.concatenate([weight_of(wiring, linear) for linear in linears], axis=1)  # (k, n)
    scale, shift = balance(moments, weights, strength)
    gain, offset = norm_parameters(wiring, norm)
    set_norm(wiring, norm, _single(gain / scale), _single((offset - shift) / scale))
    for linear in linears:
        _take_back(wiring, linear, scale, shift)
    return moments.moved(scale, shift)


def balance_values(wiring: Wiring, attention: Attention, moments: Moments, strength: float) -> Moments:
    """Balance what an attention gives to its output layer, by its values; the moments afterwards."""
    scale, shift = balance(moments, weight_of(wiring, attention.output), strength)
    value = attention.value
    set_linear(wiring, value, _single(weight_of(wiring, value) / scale),
               _single((bias_of(wiring, value) - shift) / scale))  # fmt: skip
    _take_back(wiring, attention.output, scale, shift)
    return moments.moved(scale, shift)


def balance_activation(wiring: Wiring, layer: FeedForward, moments: Moments, strength: float) -> Moments:
    """Balance what an activation gives to `layer.down`, by a product of its own; the moments afterwards.

    An activation is not linear, so nothing before it can do this. A shift would cost a step more and is left out.
    """
    scale, _ = balance(moments, weight_of(wiring, layer.down), strength, shifted=False)
    factor = add_constant(wiring, _single(1 / scale), "balance")
    layer.down.product.input[0] = add_node(wiring, "Mul", [layer.down.input, factor])[0]
    none = np.zeros_like(scale)
    _take_back(wiring, layer.down, scale, none)
    return moments.moved(scale, none)


def balance_scores(wiring: Wiring, attention: Attention, query: Moments, key: Moments) -> Moments:
    """Balance queries and keys with each other; the moments of the keys afterwards.

    A channel of the queries may grow by what the same channel of the keys shrinks by. What all keys have in common adds
    the same to every score of a query, which softmax takes away again, so it is taken out.
    """
    common = (key.low + key.high) / 2  # (k,)
    reach = np.maximum((key.high - key.low) / 2, _LEAST)  # (k,)
    other = np.maximum(np.maximum(query.high, -query.low), _LEAST)  # (k,)
    scale = np.sqrt(reach / other)  # (k,)
    queries, keys = attention.query, attention.key
    set_linear(wiring, queries, _single(weight_of(wiring, queries) * scale), _single(bias_of(wiring, queries) * scale))
    set_linear(wiring, keys, _single(weight_of(wiring, keys) / scale),
               _single((bias_of(wiring, keys) - common) / scale))  # fmt: skip
    return key.moved(scale, common)


def balance(moments: Moments, weight: Doubles, strength: float, *, shifted: bool = True) -> tuple[Doubles, Doubles]:
    """Scale and shift (k,) per channel before the weight (k, n).

    The scale is range^strength / weight^(1 - strength), where "range" is half the distance between the channel's least
    and largest value, "weight" the largest size of its row; the geometric mean of all scales is 1.
    """
    middle = (moments.low + moments.high) / 2 if shifted else np.zeros_like(moments.low)  # (k,)
    reach = np.maximum(moments.high - middle, middle - moments.low)  # (k,)
    rows = np.abs(weight).max(axis=1).astype(np.float64)  # (k,)
    scale = np.maximum(reach, _LEAST) ** strength / np.maximum(rows, _LEAST) ** (1 - strength)  # (k,)
    return scale / np.exp(np.log(scale).mean()), middle


def _take_back(wiring: Wiring, linear: Linear, scale: Doubles, shift: Doubles) -> None:
    weight, bias = weight_of(wiring, linear), bias_of(wiring, linear)
    set_linear(wiring, linear, _single(weight * scale[:, None]), _single(bias + shift @ weight))


def _single(array: Doubles) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.ascontiguousarray(array, np.float32)
