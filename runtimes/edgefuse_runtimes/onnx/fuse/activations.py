"""GELU and its relatives, as exporters spell them out."""

from __future__ import annotations

import numpy as np

from edgefuse_runtimes.onnx.fuse.links import Fused, Links, fused, other
from edgefuse_runtimes.onnx.graph import Node


def gelu(node: Node, links: Links) -> Fused | None:
    """x / sqrt 2 -> Erf -> + 1 -> times x -> / 2, as PyTorch's exporter writes it, or one Gelu node."""
    if node.operator == "Gelu" and node.attributes.get("approximate", "none") == "none":
        return Fused(fused("Activation", node, node.inputs, then=("Gelu",)))
    before = links.giver.get(node.inputs[0]) if node.operator == "Erf" else None
    if before is None or before.operator not in ("Div", "Mul"):
        return None
    x, factor = before.inputs[0], links.number(before.inputs[1])
    expected = np.sqrt(2) if before.operator == "Div" else np.sqrt(0.5)
    plus = links.only_taker(node.outputs[0], "Add")
    times = plus and links.only_taker(plus.outputs[0], "Mul")
    half = times and links.only_taker(times.outputs[0], "Mul")
    if factor is None or plus is None or times is None or half is None or abs(factor - expected) > 1e-6:
        return None
    one = links.number(other(plus, node.outputs[0]))
    if one != 1 or other(times, plus.outputs[0]) != x or links.number(other(half, times.outputs[0])) != 0.5:
        return None
    return Fused(fused("Activation", half, [x], then=("Gelu",)))


def swish(node: Node, links: Links) -> Fused | None:
    """Sigmoid of x, or of x times a number, -> times x."""
    times = links.only_taker(node.outputs[0], "Mul") if node.operator == "Sigmoid" else None
    if times is None:
        return None
    x = other(times, node.outputs[0])
    if node.inputs[0] == x:
        factor = f"{x} swish factor"
        return Fused(fused("Activation", times, [x, factor], then=("Swish",)), {factor: np.ones((), np.float32)})
    before = links.giver.get(node.inputs[0])
    if before is None or before.operator != "Mul" or x not in before.inputs:
        return None
    factor = other(before, x)
    return Fused(fused("Activation", times, [x, factor], then=("Swish",))) if links.number(factor) is not None else None
