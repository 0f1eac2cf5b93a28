"""Products of 8-bit integers, made products of whole numbers in float32 from the rounding on: no casts in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edgefuse_runtimes.onnx.fuse.attention import scores_to_values
from edgefuse_runtimes.onnx.fuse.linear import following
from edgefuse_runtimes.onnx.fuse.links import Fused, Links, fused, links_of
from edgefuse_runtimes.onnx.fused import DOMAIN
from edgefuse_runtimes.onnx.graph import Node
from edgefuse_runtimes.onnx.quantized import exact_parts

MOVES = ("Reshape", "Transpose")
"""What may lie between the rounding and the product, and takes any type."""

TWINS = {"DynamicQuantizeLinear": "DynamicLevels", "QuantizeLinear": "Levels"}
"""What rounds -> what gives the same less its zero point in float32."""

SIDES = {"IntegerLinear": 1, "IntegerAttention": 2}
"""How many first inputs of these are integers."""


def integer_linear(node: Node, links: Links) -> Fused | None:
    """MatMulInteger by a constant -> Cast -> maybe times scales, + bias, activation, ..."""
    cast = _cast(node, links)
    if cast is None or not _is_rounded(node.inputs[0], node.inputs[2:3], links):
        return None
    weight = links.constants.get(node.inputs[1])
    if weight is None or weight.ndim != 2 or weight.dtype != np.int8 or not _are_zeros(node.inputs[3:4], links):
        return None
    last, then, operands = following(cast, links)
    inputs = [*node.inputs[:2], *operands]
    return Fused(fused("IntegerLinear", last, inputs, parts=exact_parts(weight), then=then))


def integer_attention(node: Node, links: Links) -> Fused | None:
    """MatMulInteger of two values -> Cast -> times a scale, ... -> Softmax -> MatMul."""
    cast = _cast(node, links)
    if cast is None or not _is_rounded(node.inputs[0], node.inputs[2:3], links):
        return None
    if not _is_rounded(node.inputs[1], node.inputs[3:4], links):
        return None
    return scores_to_values("IntegerAttention", cast, node.inputs[:2], links)


def with_levels(nodes: Sequence[Node]) -> list[Node]:
    """The nodes, and beside each that rounds and moves integers for a fused product a twin that gives it floats."""
    links = links_of(nodes, {}, ())
    wanted: set[str] = set()
    for node in nodes:
        for name in node.inputs[: SIDES.get(node.operator, 0)]:
            while name not in wanted:
                wanted.add(name)
                if links.giver[name].operator in MOVES:
                    name = links.giver[name].inputs[0]
    # A scale is the same beside integers and floats: from the twin, nothing may need the integers any more.
    scales = {
        name for node in nodes if node.operator in TWINS and node.outputs[0] in wanted for name in node.outputs[1:2]
    }
    result = []
    for node in nodes:
        floats = scales | {*node.inputs[: SIDES.get(node.operator, 0)]}
        result.append(replace(node, inputs=tuple(_float(name) if name in floats else name for name in node.inputs)))
        if node.outputs[0] not in wanted:
            continue
        outputs = tuple(map(_float, node.outputs))
        if node.operator in MOVES:
            result.append(replace(node, inputs=(_float(node.inputs[0]), *node.inputs[1:]), outputs=outputs))
        else:
            result.append(Node(TWINS[node.operator], DOMAIN, node.name, node.inputs, outputs, node.attributes))
    return result


def _float(name: str) -> str:
    return f"{name} as float"


def _cast(node: Node, links: Links) -> Node | None:
    """The node that alone takes an integer product, and makes it float32."""
    cast = links.only_taker(node.outputs[0], "Cast") if node.operator == "MatMulInteger" else None
    return cast if cast is not None and cast.attributes.get("to") == 1 else None


def _is_rounded(name: str, zero: Sequence[str], links: Links) -> bool:
    """Whether a value was rounded to 8 bits here and maybe moved, and `zero` names the zero point that it has."""
    node = links.giver.get(name)
    while node is not None and node.operator in MOVES:
        name = node.inputs[0]
        node = links.giver.get(name)
    if node is None or name != node.outputs[0]:
        return False
    if node.operator == "DynamicQuantizeLinear":
        return [*zero] == [*node.outputs[2:3]]
    own = node.inputs[2:3]
    is_8_bit = all(name in links.constants and links.constants[name].dtype.itemsize == 1 for name in own)
    is_same = [*zero] == [*own] or (_are_zeros(zero, links) and _are_zeros(own, links))
    return node.operator == "QuantizeLinear" and is_8_bit and is_same


def _are_zeros(names: Sequence[str], links: Links) -> bool:
    """Whether the constants of these names hold nothing but 0."""
    return all(not name or (name in links.constants and not links.constants[name].any()) for name in names)
