"""The attentions and feed-forward layers of a transformer, found in its graph by how they are wired."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from edgefuse_export.int8.wiring import Array, Wiring, add_constant, copy_node, giver, takers

MOVES = ("Reshape", "Transpose")
"""Operators that move values and do not change them."""

_ACTIVATION = ("Add", "Mul", "Div", "Erf", "Sigmoid", "Tanh", "Gelu", "Pow", "Split", "Slice")
"""Operators between the two linear layers of a feed-forward layer."""


@dataclass(frozen=True)
class Linear:
    """x W + b: a MatMul with constant weights W (k, n), and the Add of its bias b (n,)."""

    product: Any
    plus: Any

    @property
    def input(self) -> str:
        """What it takes."""
        return str(self.product.input[0])

    @property
    def output(self) -> str:
        """What it gives."""
        return str(self.plus.output[0])


@dataclass(frozen=True)
class Norm:
    """The scale and the shift per channel (d,) at the end of a layer norm."""

    scale: Any
    """The node that multiplies by the scale: a LayerNormalization, or the Mul of one in pieces."""
    shift: Any
    """The same LayerNormalization, or the Add of one in pieces."""
    shared: bool
    """Whether others than the linear layers in question take from it."""

    @property
    def output(self) -> str:
        """What it gives."""
        return str(self.shift.output[0])


@dataclass(frozen=True)
class Attention:
    """softmax(query key^T) value, and the linear layer after it."""

    query: Linear
    key: Linear
    value: Linear
    output: Linear
    scores: Any
    """The MatMul of queries and keys."""
    mix: Any
    """The MatMul of probabilities and values."""
    masked: bool
    """Whether something is added to the scores."""
    norm: Norm | None
    """The layer norm that query, key and value take from."""
    factors: tuple[Any, ...] = field(default=())
    """Nodes that multiply queries or keys by one number."""


@dataclass(frozen=True)
class FeedForward:
    """Two linear layers and an activation between them."""

    up: Linear
    down: Linear
    norm: Norm | None
    """The layer norm that `up` takes from."""


def find_attentions(wiring: Wiring) -> list[Attention]:
    """All attentions, in the order of the graph."""
    found = [_attention(wiring, node) for node in wiring.nodes if node.op_type == "Softmax"]
    return [attention for attention in found if attention is not None]


def find_feed_forwards(wiring: Wiring) -> list[FeedForward]:
    """All feed-forward layers, in the order of the graph."""
    found = [_feed_forward(wiring, node) for node in wiring.nodes if is_product(wiring, node)]
    return [layer for layer in found if layer is not None]


def is_product(wiring: Wiring, node: Any) -> bool:
    """Whether a node is a MatMul with constant weights (k, n)."""
    weight = wiring.constants.get(node.input[1]) if node.op_type == "MatMul" else None
    return weight is not None and weight.ndim == 2


def weight_of(wiring: Wiring, linear: Linear) -> Array:
    """W (k, n)."""
    return wiring.constants[linear.product.input[1]]


def bias_of(wiring: Wiring, linear: Linear) -> Array:
    """b (n,)."""
    return wiring.constants[linear.plus.input[constant_place(wiring, linear.plus)]]


def set_linear(wiring: Wiring, linear: Linear, weight: Array, bias: Array) -> None:
    """Give a linear layer other numbers, without touching constants that other nodes may share."""
    hint = linear.product.name or "linear"
    linear.product.input[1] = add_constant(wiring, weight, f"{hint}.weight")
    linear.plus.input[constant_place(wiring, linear.plus)] = add_constant(wiring, bias, f"{hint}.bias")


def norm_parameters(wiring: Wiring, norm: Norm) -> tuple[Array, Array]:
    """Scale and shift (d,) of a layer norm."""
    return wiring.constants[norm.scale.input[_scale_place(wiring, norm)]], wiring.constants[
        norm.shift.input[_shift_place(wiring, norm)]
    ]


def own_norm(wiring: Wiring, norm: Norm, linears: Sequence[Linear]) -> Norm:
    """A copy of a shared layer norm that `linears` alone take from."""
    copies = {id(node): copy_node(wiring, node) for node in (norm.scale, norm.shift)}
    scale, shift = copies[id(norm.scale)], copies[id(norm.shift)]
    if scale is not shift:
        shift.input[list(shift.input).index(norm.scale.output[0])] = scale.output[0]
    for linear in linears:
        linear.product.input[0] = shift.output[0]
    return Norm(scale, shift, shared=False)


def set_norm(wiring: Wiring, norm: Norm, scale: Array, shift: Array) -> None:
    """Give a layer norm another scale and shift (d,)."""
    hint = norm.shift.name or "norm"
    scale_place, shift_place = _scale_place(wiring, norm), _shift_place(wiring, norm)
    norm.scale.input[scale_place] = add_constant(wiring, scale, f"{hint}.scale")
    norm.shift.input[shift_place] = add_constant(wiring, shift, f"{hint}.shift")


def linear_of(wiring: Wiring, product: Any) -> Linear | None:
    """The linear layer whose MatMul is `product`; None where no bias (n,) is added to it alone."""
    after = takers(wiring, product.output[0])
    if len(after) != 1 or after[0].op_type != "Add":
        return None
    width = wiring.constants[product.input[1]].shape[1]
    other = next(name for name in after[0].input if name != product.output[0])
    bias = wiring.constants.get(other)
    return Linear(product, after[0]) if bias is not None and bias.shape == (width,) else None


def number(wiring: Wiring, name: str) -> float | None:
    """The value of a constant that is one number."""
    array = wiring.constants.get(name)
    return float(array.reshape(())) if array is not None and array.size == 1 else None


def _attention(wiring: Wiring, softmax: Any) -> Attention | None:
    scores, masked = giver(wiring, softmax.input[0]), False
    if scores is not None and scores.op_type == "Add":
        masked = True
        before = [giver(wiring, name) for name in scores.input]
        scores = next((node for node in before if node is not None and node.op_type in ("MatMul", "Mul", "Div")), None)
    factors: list[Any] = []
    while scores is not None and scores.op_type in ("Mul", "Div") and factor_of(wiring, scores) is not None:
        factors.append(scores)
        scores = giver(wiring, varying(wiring, scores))
    after = takers(wiring, softmax.output[0])
    if scores is None or scores.op_type != "MatMul" or len(after) != 1 or after[0].op_type != "MatMul":
        return None
    mix = after[0]
    query = _projection(wiring, scores.input[0], factors)
    key = _projection(wiring, scores.input[1], factors)
    value = _projection(wiring, mix.input[1], [])
    output = _following(wiring, mix.output[0])
    if query is None or key is None or value is None or output is None or mix.input[0] != softmax.output[0]:
        return None
    if not query.input == key.input == value.input:
        return None
    norm = _norm(wiring, query.input, [query.product, key.product, value.product])
    return Attention(query, key, value, output, scores, mix, masked, norm, tuple(factors))


def _projection(wiring: Wiring, name: str, factors: list[Any]) -> Linear | None:
    """The linear layer that a value comes from, through moves and, where they may be noted, factors."""
    node = giver(wiring, name)
    while node is not None:
        if node.op_type in MOVES:
            node = giver(wiring, node.input[0])
        elif node.op_type in ("Mul", "Div") and factor_of(wiring, node) is not None:
            factors.append(node)
            node = giver(wiring, varying(wiring, node))
        elif node.op_type == "Add":
            products = [giver(wiring, taken) for taken in node.input]
            product = next((one for one in products if one is not None and is_product(wiring, one)), None)
            return linear_of(wiring, product) if product is not None else None
        else:
            return None
    return None


def _following(wiring: Wiring, name: str) -> Linear | None:
    """The linear layer that alone takes a value, through moves."""
    after = takers(wiring, name)
    while len(after) == 1 and after[0].op_type in MOVES:
        after = takers(wiring, after[0].output[0])
    return linear_of(wiring, after[0]) if len(after) == 1 and is_product(wiring, after[0]) else None


def _feed_forward(wiring: Wiring, product: Any) -> FeedForward | None:
    down = linear_of(wiring, product)
    sources = {linear.product.name: linear for linear in _sources(wiring, product.input[0])}
    if down is None or len(sources) != 1:
        return None
    (up,) = sources.values()
    return FeedForward(up, down, _norm(wiring, up.input, [up.product]))


def _sources(wiring: Wiring, name: str) -> Iterator[Linear]:
    """Linear layers whose outputs, through an activation, make a value; none where it is made of something else."""
    seen, waiting, found = set(), [name], []
    while waiting:
        value = waiting.pop()
        node = giver(wiring, value)
        if value in wiring.constants or value in seen:
            continue
        seen.add(value)
        if node is None:
            return
        products = [giver(wiring, taken) for taken in node.input] if node.op_type == "Add" else []
        product = next((one for one in products if one is not None and is_product(wiring, one)), None)
        linear = linear_of(wiring, product) if product is not None else None
        if linear is not None and linear.output == value and value != name:
            found.append(linear)
        elif node.op_type in _ACTIVATION:
            waiting.extend(node.input)
        else:
            return
    yield from found


def _norm(wiring: Wiring, name: str, allowed: list[Any]) -> Norm | None:
    """The layer norm that gives a value; it is shared where others than the nodes `allowed` take it."""
    node = giver(wiring, name)
    if node is None:
        return None
    shared = bool({id(taker) for taker in takers(wiring, name)} - {id(one) for one in allowed})
    if node.op_type == "LayerNormalization":
        return Norm(node, node, shared) if len(node.input) > 2 and node.input[2] in wiring.constants else None
    if node.op_type != "Add" or not _is_vector(wiring, node):
        return None
    scale = giver(wiring, varying(wiring, node))
    if scale is None or scale.op_type != "Mul" or not _is_vector(wiring, scale):
        return None
    return Norm(scale, node, shared) if len(takers(wiring, scale.output[0])) == 1 else None


def _is_vector(wiring: Wiring, node: Any) -> bool:
    constants = [wiring.constants[name] for name in node.input if name in wiring.constants]
    return len(constants) == 1 and constants[0].ndim == 1 and constants[0].size > 1


def factor_of(wiring: Wiring, node: Any) -> float | None:
    """What a Mul or Div multiplies by, if it is one number."""
    if node.op_type == "Div":
        divisor = number(wiring, node.input[1])
        return 1 / divisor if divisor else None
    return next((value for value in (number(wiring, name) for name in node.input) if value is not None), None)


def varying(wiring: Wiring, node: Any) -> str:
    """The input of a node that is no constant."""
    return next(str(name) for name in node.input if name not in wiring.constants)


def constant_place(wiring: Wiring, node: Any) -> int:
    """Which input of a node is a constant, the first of them."""
    return next(place for place, name in enumerate(node.input) if name in wiring.constants)


def _scale_place(wiring: Wiring, norm: Norm) -> int:
    return 1 if norm.scale.op_type == "LayerNormalization" else constant_place(wiring, norm.scale)


def _shift_place(wiring: Wiring, norm: Norm) -> int:
    return 2 if norm.shift.op_type == "LayerNormalization" else constant_place(wiring, norm.shift)
