"""Linear layers with what follows them."""

from __future__ import annotations

import numpy as np

from edgefuse_runtimes.onnx.fuse.links import Fused, Links, fused, other
from edgefuse_runtimes.onnx.graph import Node


def linear(node: Node, links: Links) -> Fused | None:
    """MatMul by a constant matrix -> maybe + bias, activation, + residual, ..."""
    if node.operator != "MatMul" or node.inputs[0] in links.constants or not _is_matrix(node.inputs[1], links):
        return None
    last, then, operands = following(node, links)
    return Fused(fused("Linear", last, [*node.inputs, *operands], then=then))


def gemm(node: Node, links: Links) -> Fused | None:
    """Gemm of a value with a constant matrix, which may be turned, and a bias -> maybe more."""
    plain = {"alpha": 1.0, "beta": 1.0, "transA": 0}
    if node.operator != "Gemm" or any(node.attributes.get(name, value) != value for name, value in plain.items()):
        return None
    if node.inputs[0] in links.constants or not _is_matrix(node.inputs[1], links):
        return None
    weight = links.constants[node.inputs[1]]  # (k, n) or (n, k)
    turned = weight.T if node.attributes.get("transB") else weight  # (k, n)
    last, then, operands = following(node, links)
    name = f"{node.inputs[1]} of {node.outputs[0]}"
    bias = [name for name in node.inputs[2:] if name]
    new = fused("Linear", last, [node.inputs[0], name, *bias, *operands], then=("Add",) * len(bias) + then)
    return Fused(new, {name: turned})


def following(node: Node, links: Links) -> tuple[Node, tuple[str, ...], list[str]]:
    """What can be done in place to what a node gives: the last node of the chain, `then` and operands for `finish`."""
    then: list[str] = []
    operands: list[str] = []
    while True:
        value = node.outputs[0]
        taker = links.only_taker(value, "Add", "Mul", "Activation")
        if taker is None or (taker.operator == "Activation" and taker.inputs[0] != value):
            return node, tuple(then), operands
        then += taker.attributes["then"] if taker.operator == "Activation" else [taker.operator]
        operands += taker.inputs[1:] if taker.operator == "Activation" else [other(taker, value)]
        node = taker


def _is_matrix(name: str, links: Links) -> bool:
    array = links.constants.get(name)
    return array is not None and array.ndim == 2 and array.dtype == np.float32
