"""Chains of nodes that the numpy engine does better in one step: GELU, and the linear layer on integers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgefuse_runtimes.onnx.graph import Node
from edgefuse_runtimes.onnx.quantized import exact_depth
from edgefuse_runtimes.onnx.tensor import Array


@dataclass(frozen=True)
class _Links:
    """Who gives and who takes each value."""

    constants: Mapping[str, Array]
    giver: Mapping[str, Node]
    takers: Mapping[str, Sequence[Node]]
    kept: frozenset[str]

    def only_taker(self, name: str, operator: str) -> Node | None:
        """The node of this operator that alone takes the value, if it is so."""
        takers = self.takers.get(name, ())
        is_alone = len(takers) == 1 and name not in self.kept and takers[0].operator == operator
        return takers[0] if is_alone else None

    def number(self, name: str) -> float | None:
        """The value of a constant that is one number."""
        array = self.constants.get(name)
        return (
            float(array.item()) if array is not None and array.shape in ((), (1,)) and array.dtype.kind == "f" else None
        )


def fuse(
    nodes: Sequence[Node], constants: Mapping[str, Array], keep: Sequence[str]
) -> tuple[list[Node], dict[str, Array]]:
    """The nodes with every known chain in one, and the constants with those that the new nodes need.

    The replaced nodes stay where something else takes what they give; the values named in `keep` stay.
    """
    added: dict[str, Array] = {}
    for replacement in (_gelu, _quantized_linear):
        links = _links(nodes, {**constants, **added}, keep)
        replaced: dict[str, Node] = {}  # by output
        for node in nodes:
            found = replacement(node, links)
            if found is not None:
                new, new_constants = found
                added.update(new_constants)
                replaced[new.outputs[0]] = new
        nodes = [replaced.get(node.outputs[0], node) for node in nodes]
    return _with_centred_quantize(nodes), {**constants, **added}


def _links(nodes: Iterable[Node], constants: Mapping[str, Array], keep: Sequence[str]) -> _Links:
    giver: dict[str, Node] = {}
    takers: dict[str, list[Node]] = {}
    for node in nodes:
        giver.update(dict.fromkeys(node.outputs, node))
        for name in node.inputs:
            takers.setdefault(name, []).append(node)
    return _Links(constants, giver, takers, frozenset(keep))


Found = tuple[Node, dict[str, Array]] | None


def _gelu(node: Node, links: _Links) -> Found:
    """x / sqrt 2 -> Erf -> + 1 -> times x -> / 2, as PyTorch's exporter writes it."""
    if node.operator != "Erf":
        return None
    before = links.giver.get(node.inputs[0])
    if before is None or before.operator not in ("Div", "Mul"):
        return None
    x, factor = before.inputs[0], links.number(before.inputs[1])
    expected = np.sqrt(2) if before.operator == "Div" else np.sqrt(0.5)
    plus = links.only_taker(node.outputs[0], "Add")
    times = plus and links.only_taker(plus.outputs[0], "Mul")
    half = times and links.only_taker(times.outputs[0], "Mul")
    if factor is None or plus is None or times is None or half is None or abs(factor - expected) > 1e-6:
        return None
    one = links.number(_other(plus, node.outputs[0]))
    if one != 1 or _other(times, plus.outputs[0]) != x or links.number(_other(half, times.outputs[0])) != 0.5:
        return None
    return Node("Gelu", "", half.name, (x,), half.outputs, {}), {}


def _quantized_linear(node: Node, links: _Links) -> Found:
    """MatMulInteger -> Cast -> times both scales -> maybe + bias, as quantize_dynamic writes it."""
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
    scales = links.giver.get(_other(times, cast.outputs[0]))
    if scales is None or scales.operator != "Mul" or quantize.outputs[1] not in scales.inputs:
        return None
    weight_scale = _other(scales, quantize.outputs[1])
    if weight_scale not in links.constants or links.constants[weight_scale].shape not in (
        (),
        weight.shape[1:],
    ):
        return None
    last, bias = times, ""
    plus = links.only_taker(times.outputs[0], "Add")
    if plus is not None:
        name = _other(plus, times.outputs[0])
        if name in links.constants and links.constants[name].shape == weight.shape[1:]:
            last, bias = plus, name
    columns = f"{node.inputs[1]} summed"
    inputs = (*quantize.outputs, node.inputs[1], columns, weight_scale, *((bias,) if bias else ()))
    new = Node("QuantizedLinear", "edgefuse", last.name, inputs, last.outputs, {"depth": exact_depth(weight)})
    return new, {columns: weight.sum(axis=0, dtype=np.float32)}


def _with_centred_quantize(nodes: Sequence[Node]) -> list[Node]:
    """Each DynamicQuantizeLinear beside its centred twin, which the fused linear layers take."""
    result = []
    for node in nodes:
        result.append(node)
        if node.operator == "DynamicQuantizeLinear":
            outputs = tuple(_centred(name) for name in node.outputs)
            result.append(Node("CentredQuantize", "edgefuse", node.name, node.inputs, outputs, {}))
        elif node.operator == "QuantizedLinear":
            inputs = tuple(_centred(name) for name in node.inputs[:3]) + node.inputs[3:]
            result[-1] = Node(node.operator, node.domain, node.name, inputs, node.outputs, node.attributes)
    return result


def _centred(name: str) -> str:
    return f"{name} centred"


def _other(node: Node, name: str) -> str:
    """The input of a node with two that is not `name`."""
    return node.inputs[1] if node.inputs[0] == name else node.inputs[0]
