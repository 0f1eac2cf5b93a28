"""An ONNX graph that can be rewired: its nodes, its constants as arrays, and who gives and who takes each value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from numpy.typing import NDArray

from edgefuse.extras import importable
from edgefuse_export.model_file import SMALL, named_only

Array = NDArray[Any]


@dataclass
class Wiring:
    """A graph of one input and one output; a node is an onnx.NodeProto that may be changed in place."""

    nodes: list[Any]
    constants: dict[str, Array]
    input: Any
    """onnx.ValueInfoProto, like `output`."""
    output: Any
    opset: int
    ir_version: int
    made: int = field(default=0)
    """How many values were added, which makes the names of new ones."""


def read(model: Any) -> Wiring:
    """The wiring of an onnx.ModelProto whose constants are initialisers."""
    onnx = importable("onnx", "export")
    graph = model.graph
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    (given,) = [value for value in graph.input if value.name not in constants]
    opset = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    nodes = [onnx.helper.make_node("Identity", [], []) for _ in graph.node]
    for copy, node in zip(nodes, graph.node, strict=True):
        copy.CopyFrom(node)
    return Wiring(nodes, constants, given, graph.output[0], opset, model.ir_version)


def write(wiring: Wiring, also: Sequence[str] = ()) -> Any:
    """An onnx.ModelProto of what the output needs, in an order that can be run.

    Args:
        wiring: the graph.
        also: values that become outputs too, after the graph's own.
    """
    onnx = importable("onnx", "export")
    return _model(wiring, also, lambda name, array: onnx.numpy_helper.from_array(array, name))


def write_named(wiring: Wiring, also: Sequence[str] = ()) -> tuple[Any, dict[str, Array]]:
    """The same with large constants named only, and those constants: nothing is copied, and no size is too large."""
    onnx = importable("onnx", "export")
    named: dict[str, Array] = {}

    def tensor(name: str, array: Array) -> Any:
        if array.nbytes < SMALL:
            return onnx.numpy_helper.from_array(array, name)
        named[name] = array
        return named_only(name, array)

    return _model(wiring, also, tensor), named


def copied(wiring: Wiring) -> Wiring:
    """A wiring that can be changed apart; constants, which are never changed in place, are shared."""
    onnx = importable("onnx", "export")
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in wiring.nodes]
    return replace(wiring, nodes=nodes, constants=dict(wiring.constants))


def _model(wiring: Wiring, also: Sequence[str], tensor: Callable[[str, Array], Any]) -> Any:
    onnx = importable("onnx", "export")
    nodes = in_order(wiring, [wiring.output.name, *also])
    used = {name for node in nodes for name in node.input}
    tensors = [tensor(name, array) for name, array in wiring.constants.items() if name in used]
    extra = [onnx.helper.make_empty_tensor_value_info(name) for name in also if name != wiring.output.name]
    graph = onnx.helper.make_graph(nodes, "encoder", [wiring.input], [wiring.output, *extra], tensors)
    opsets = [onnx.helper.make_opsetid("", wiring.opset)]
    return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=wiring.ir_version)


def in_order(wiring: Wiring, wanted: Sequence[str]) -> list[Any]:
    """The nodes that give the values `wanted`, each after those it takes from."""
    givers = {name: node for node in wiring.nodes for name in node.output}
    ordered: list[Any] = []
    state: dict[int, bool] = {}  # by identity: False while what it takes is put in order, True afterwards
    waiting = [givers[name] for name in reversed(wanted) if name in givers]
    while waiting:
        node = waiting[-1]
        if state.get(id(node)):
            waiting.pop()
            continue
        before = [givers[name] for name in node.input if name in givers and not state.get(id(givers[name]))]
        if not before:
            state[id(node)] = True
            ordered.append(waiting.pop())
            continue
        if id(node) in state:
            raise ValueError(f"the node {node.name!r} takes what it gives")
        state[id(node)] = False
        waiting.extend(before)
    return ordered


def drop_unused(wiring: Wiring) -> None:
    """Forget the nodes that the output does not need."""
    wiring.nodes = in_order(wiring, [wiring.output.name])


def giver(wiring: Wiring, value: str) -> Any | None:
    """The node that gives a value; None for a constant or the input."""
    return next((node for node in wiring.nodes if value in node.output), None)


def takers(wiring: Wiring, value: str) -> list[Any]:
    """The nodes that take a value."""
    return [node for node in wiring.nodes if value in node.input]


def add_constant(wiring: Wiring, array: Array, hint: str) -> str:
    """Name of a new constant; constants are never changed in place, since several nodes may share one."""
    wiring.made += 1
    name = f"{hint}.{wiring.made}"
    wiring.constants[name] = array
    return name


def add_node(wiring: Wiring, operator: str, inputs: Sequence[str], outputs: int = 1, **attributes: Any) -> list[str]:
    """Names of the values that a new node gives."""
    onnx = importable("onnx", "export")
    wiring.made += 1
    names = [f"{operator}.{wiring.made}.{place}" for place in range(outputs)]
    wiring.nodes.append(onnx.helper.make_node(operator, inputs, names, name=f"{operator}.{wiring.made}", **attributes))
    return names


def copy_node(wiring: Wiring, node: Any) -> Any:
    """A new node that does the same and gives a value of its own."""
    onnx = importable("onnx", "export")
    wiring.made += 1
    copy = onnx.helper.make_node(node.op_type, [], [])
    copy.CopyFrom(node)
    copy.name = f"{node.op_type}.{wiring.made}"
    copy.output[0] = f"{copy.name}.0"
    wiring.nodes.append(copy)
    return copy


def replace_value(wiring: Wiring, old: str, new: str) -> None:
    """Let all that took `old` take `new`, the graph's output included."""
    for node in takers(wiring, old):
        for place, name in enumerate(node.input):
            if name == old:
                node.input[place] = new
    if wiring.output.name == old:
        node = giver(wiring, new)
        assert node is not None, f"{new} is a constant"
        rename_output(wiring, node, new, old)


def rename_output(wiring: Wiring, node: Any, name: str, wanted: str) -> None:
    """Call the value `name` of `node` by the name of the graph's output; the node that gave it so far is dropped."""
    before = giver(wiring, wanted)
    if before is not None:
        wiring.nodes.remove(before)
    for taker in takers(wiring, name):
        for place, taken in enumerate(taker.input):
            if taken == name:
                taker.input[place] = wanted
    node.output[list(node.output).index(name)] = wanted
