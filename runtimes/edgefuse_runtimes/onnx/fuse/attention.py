"""Attention: scores, softmax and the mean of the values that it weighs."""

from __future__ import annotations

from edgefuse_runtimes.onnx.fuse.links import Fused, Links, fused, other
from edgefuse_runtimes.onnx.graph import Node


def attention(node: Node, links: Links) -> Fused | None:
    """MatMul -> maybe times a number, + mask -> Softmax -> MatMul."""
    if node.operator != "MatMul" or any(name in links.constants for name in node.inputs):
        return None
    return _attention("Attention", node, node.inputs, [], [], links)


def integer_attention(node: Node, links: Links) -> Fused | None:
    """The same with a MatMulInteger -> Cast -> times a scale before."""
    if node.operator != "MatMulInteger" or any(name in links.constants for name in node.inputs[:2]):
        return None
    quantize = links.giver.get(node.inputs[2]) if len(node.inputs) == 3 else None
    if quantize is None or quantize.operator != "DynamicQuantizeLinear" or quantize.outputs[2] != node.inputs[2]:
        return None
    cast = links.only_taker(node.outputs[0], "Cast")
    if cast is None or cast.attributes.get("to") != 1:
        return None
    return _attention("IntegerAttention", cast, node.inputs[:2], [node.inputs[2]], [], links)


def _attention(
    operator: str, scores: Node, sides: tuple[str, ...], zero: list[str], then: list[str], links: Links
) -> Fused | None:
    operands: list[str] = []
    while True:
        value = scores.outputs[0]
        taker = links.only_taker(value, "Add", "Mul", "Softmax")
        if taker is None:
            return None
        if taker.operator == "Softmax":
            break
        then.append(taker.operator)
        operands.append(other(taker, value))
        scores = taker
    last = links.only_taker(taker.outputs[0], "MatMul")
    if last is None or taker.attributes.get("axis", -1) != -1 or last.inputs[0] != taker.outputs[0]:
        return None
    return Fused(fused(operator, last, [*sides, last.inputs[1], *zero, *operands], then=tuple(then)))
