"""Changes that leave every answer as it is, but for rounding: fewer steps, and work that nobody reads left out."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgefuse_export.int8.blocks import (
    Attention,
    Linear,
    bias_of,
    factor_of,
    find_attentions,
    find_feed_forwards,
    set_linear,
    varying,
    weight_of,
)
from edgefuse_export.int8.wiring import Wiring, add_constant, add_node, drop_unused, replace_value, takers


def fold_scales(wiring: Wiring) -> None:
    """Put the factor of the scores into the queries, and the scale after a residual branch into its linear layer."""
    for attention in find_attentions(wiring):
        _fold_factors(wiring, attention)
        _fold_layer_scale(wiring, attention.output)
    for layer in find_feed_forwards(wiring):
        _fold_layer_scale(wiring, layer.down)


def keep_first_token(wiring: Wiring) -> bool:
    """Let the last block compute its first token alone; whether it was of a kind for which that can be done.

    Keys and values of that block then need not be computed at all: with one query q per head,
    q (X Wk)^T = (q Wk^T) X^T and p (X Wv) = (p X) Wv. The bias of the keys adds the same to every score, which softmax
    takes away again; the bias of the values comes out as it is, since probabilities add up to one.

    Right only where the graph's output depends on no other token of the last block, which the caller must check.
    """
    found = find_attentions(wiring)
    last = found[-1] if found else None
    if last is None or last.masked or last.factors or last.norm is None or last.norm.shared:
        return False
    heads = _heads(wiring, last)
    residual = next(iter(takers(wiring, last.output.output)), None)
    if heads is None or residual is None or residual.op_type != "Add":
        return False
    hidden = last.query.input  # (1, t, d)
    d, width = weight_of(wiring, last.key).shape
    keys = weight_of(wiring, last.key).reshape(d, heads, -1).transpose(1, 2, 0)  # (heads, w, d)
    values = weight_of(wiring, last.value).reshape(d, heads, -1).transpose(1, 0, 2)  # (heads, d, w)
    last.query.product.input[0] = _first(wiring, hidden)  # (1, 1, d)
    queries = _reshaped(wiring, last.query.output, (heads, 1, width // heads))
    (probes,) = add_node(wiring, "MatMul", [queries, add_constant(wiring, keys, "keys")])  # (heads, 1, d)
    tokens = _reshaped(wiring, hidden, (-1, d))  # (t, d)
    (turned,) = add_node(wiring, "Transpose", [tokens], perm=[1, 0])  # (d, t)
    (scores,) = add_node(wiring, "MatMul", [_reshaped(wiring, probes, (heads, d)), turned])  # (heads, t)
    (weights,) = add_node(wiring, "Softmax", [scores], axis=1)  # (heads, t)
    (mixed,) = add_node(wiring, "MatMul", [weights, tokens])  # (heads, d)
    (mixed,) = add_node(
        wiring, "MatMul", [_reshaped(wiring, mixed, (heads, 1, d)), add_constant(wiring, values, "values")]
    )  # (heads, 1, w)
    bias = bias_of(wiring, last.output) + bias_of(wiring, last.value) @ weight_of(wiring, last.output)  # (d,)
    set_linear(wiring, last.output, weight_of(wiring, last.output), bias)
    last.output.product.input[0] = _reshaped(wiring, mixed, (1, 1, width))
    place = next(place for place, name in enumerate(residual.input) if name != last.output.output)
    residual.input[place] = _first(wiring, residual.input[place])  # (1, 1, d)
    drop_unused(wiring)
    return True


def _fold_factors(wiring: Wiring, attention: Attention) -> None:
    if not attention.factors:
        return
    factors = [factor_of(wiring, node) or 1.0 for node in attention.factors]
    product = np.float32(np.prod(factors))
    set_linear(wiring, attention.query, weight_of(wiring, attention.query) * product,
               bias_of(wiring, attention.query) * product)  # fmt: skip
    for node in attention.factors:
        _bypass(wiring, node)


def _fold_layer_scale(wiring: Wiring, linear: Linear) -> None:
    after = takers(wiring, linear.output)
    if len(after) != 1 or after[0].op_type != "Mul":
        return
    scale = next((wiring.constants[name] for name in after[0].input if name in wiring.constants), None)
    if scale is None or scale.shape != bias_of(wiring, linear).shape:
        return
    set_linear(wiring, linear, weight_of(wiring, linear) * scale, bias_of(wiring, linear) * scale)
    _bypass(wiring, after[0])


def _bypass(wiring: Wiring, node: Any) -> None:
    before = varying(wiring, node)
    wiring.nodes.remove(node)
    replace_value(wiring, node.output[0], before)


def _heads(wiring: Wiring, attention: Attention) -> int | None:
    """The number of heads, from the constant shape (1, t, heads, w), one maybe -1, that queries are brought to."""
    moves = [node for node in takers(wiring, attention.query.output) if node.op_type == "Reshape"]
    shape = wiring.constants.get(moves[0].input[1]) if moves else None
    width = bias_of(wiring, attention.query).size
    if shape is None or shape.size != 4:
        return None
    heads, each = int(shape[2]), int(shape[3])
    heads = heads if heads > 0 else width // max(each, 1)
    return heads if width % heads == 0 and each in (-1, width // heads) else None


def _first(wiring: Wiring, value: str) -> str:
    """The first token (1, 1, d) of (1, t, d)."""
    places = [add_constant(wiring, np.array([number]), name) for number, name in ((0, "from"), (1, "to"), (1, "axis"))]
    return add_node(wiring, "Slice", [value, *places])[0]


def _reshaped(wiring: Wiring, value: str, shape: tuple[int, ...]) -> str:
    return add_node(wiring, "Reshape", [value, add_constant(wiring, np.array(shape, np.int64), "shape")])[0]
