"""Attention: scores, softmax and the mean of the values that it weighs."""

from __future__ import annotations

from collections.abc import Sequence

from edgefuse_runtimes.onnx.fuse.links import Fused, Links, fused, other
from edgefuse_runtimes.onnx.graph import Node


def attention(node: Node, links: Links) -> Fused | None:
    """MatMul -> maybe times a number, + mask -> Softmax -> MatMul."""
    if node.operator != "MatMul" or any(name in links.constants for name in node.inputs):
        return None
    return scores_to_values("Attention", node, node.inputs, links)


def scores_to_values(operator: str, scores: Node, sides: Sequence[str], links: Links) -> Fused | None:
    """What goes from scores to the mean of values, as one node with the `sides` of the scores and the values."""
    then: list[str] = []
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
    return Fused(fused(operator, last, [*sides, last.inputs[1], *operands], then=tuple(then)))
