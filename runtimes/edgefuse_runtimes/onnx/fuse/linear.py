"""Linear layers, on floats and on integers, with what follows them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgefuse_runtimes.onnx.fuse.links import Fused, Links, fused, other
from edgefuse_runtimes.onnx.fused import DOMAIN
from edgefuse_runtimes.onnx.graph import Node
from edgefuse_runtimes.onnx.quantized import heaviest_column


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


def quantized_linear(node: Node, links: Links) -> Fused | None:
    """MatMulInteger by a constant -> Cast -> times both scales -> maybe more, as quantize_dynamic writes it."""
    if node.operator != "MatMulInteger" or len(node.inputs) < 3:
        return None
    quantize = links.giver.get(node.inputs[0])
    weight = links.constants.get(node.inputs[1])
    weight_zero = links.constants.get(node.inputs[3]) if len(node.inputs) > 3 else np.zeros((), np.int8)
    if quantize is None or quantize.operator != "DynamicQuantizeLinear" or quantize.outputs[2] != node.inputs[2]:
        return None
    if weight is None or weight.ndim != 2 or weight.dtype != np.int8 or weight_zero is None or weight_zero.any():
        return None
    cast = links.only_taker(node.outputs[0], "Cast")
    times = cast and links.only_taker(cast.outputs[0], "Mul")
    if cast is None or times is None or cast.attributes.get("to") != 1:
        return None
    scales = links.giver.get(other(times, cast.outputs[0]))
    if scales is None or scales.operator != "Mul" or quantize.outputs[1] not in scales.inputs:
        return None
    weight_scale = links.constants.get(other(scales, quantize.outputs[1]))
    if weight_scale is None or weight_scale.shape not in ((), weight.shape[1:]):
        return None
    last, then, operands = following(times, links)
    inputs = [*quantize.outputs, node.inputs[1], other(scales, quantize.outputs[1]), *operands]
    return Fused(fused("QuantizedLinear", last, inputs, heaviest=heaviest_column(weight), then=then))


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


def with_levels(nodes: Sequence[Node]) -> list[Node]:
    """Beside each DynamicQuantizeLinear that gives to a QuantizedLinear the step Levels, which gives it floats."""
    wanted = {node.inputs[0] for node in nodes if node.operator == "QuantizedLinear"}
    result = []
    for node in nodes:
        result.append(node)
        if node.operator == "DynamicQuantizeLinear" and node.outputs[0] in wanted:
            result.append(Node("Levels", DOMAIN, node.name, node.inputs, tuple(map(_float, node.outputs)), {}))
        elif node.operator == "QuantizedLinear":
            inputs = (*map(_float, node.inputs[:3]), *node.inputs[3:])
            result[-1] = Node(node.operator, node.domain, node.name, inputs, node.outputs, node.attributes)
    return result


def _float(name: str) -> str:
    return f"{name} as float"


def _is_matrix(name: str, links: Links) -> bool:
    array = links.constants.get(name)
    return array is not None and array.ndim == 2 and array.dtype == np.float32
