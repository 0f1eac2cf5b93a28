"""Make a graph smaller and keep what it computes: fold constants, merge equal nodes, drop unused ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.onnx.buffers import Take, new_array
from edgefuse_runtimes.onnx.graph import Node
from edgefuse_runtimes.onnx.operators import apply
from edgefuse_runtimes.onnx.tensor import Array

SMALL = 4096
"""Constants of so many bytes are compared by value when nodes are merged: shapes, axes, numbers."""

SHAPED_BY_VALUES = {
    "ConstantOfShape",
    "Expand",
    "Range",
    "ReduceL2",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceProd",
    "ReduceSum",
    "Reshape",
    "Resize",
    "Slice",
    "Split",
    "Squeeze",
    "Tile",
    "Unsqueeze",
}
"""Operators whose later inputs decide the shape of the output by their values; elsewhere shapes decide it."""


def run_node(node: Node, values: Mapping[str, Array], path: Path, take: Take = new_array) -> tuple[Array, ...]:
    """The outputs of one node on `values` by name; a fused one takes its arrays from `take`.

    Raises:
        BadInput: the inputs do not fit the operator, so the file `path` is wrong.
    """
    try:
        return apply(node, tuple(values[name] if name else None for name in node.inputs), take)
    except (ValueError, TypeError, IndexError, KeyError, ArithmeticError, MemoryError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadInput(f"{path} cannot be run: {node} fails ({reason}); export the encoder again.") from error


def fold(
    nodes: Iterable[Node], constants: Mapping[str, Array], inputs: Mapping[str, Array], path: Path
) -> tuple[list[Node], dict[str, Array]]:
    """The nodes that depend on the values of the inputs, and the constants with all that the others give.

    As the input's shape is fixed, every Shape node gives a constant too, if no shape on the way depends on
    values. The shapes are found by running the graph once, on zeros, up to the last Shape node.

    Args:
        nodes: in an order in which they can run.
        constants: by name.
        inputs: zeros of the shape and type of each input, by name; they may be broadcast from one number.
        path: the file, for messages.
    """
    nodes = list(nodes)
    known = dict(constants)
    described = dict(inputs)  # values that depend on the inputs: arrays of the right shape that take no memory
    last_shape = max((i for i, node in enumerate(nodes) if node.operator == "Shape"), default=-1)
    kept = []
    for i, node in enumerate(nodes):
        names = [name for name in node.inputs if name]
        if all(name in known for name in names) or (node.operator == "Shape" and names[0] in described):
            known.update(zip(node.outputs, _try(node, known, described, path), strict=False))
            continue
        kept.append(node)
        deciding = names[1:] if node.operator in SHAPED_BY_VALUES else []
        is_described = all(name in known or name in described for name in names)
        if i < last_shape and is_described and all(name in known for name in deciding):
            for name, result in zip(node.outputs, _try(node, known, described, path), strict=False):
                described[name] = np.broadcast_to(np.zeros((), result.dtype), result.shape)
    return kept, known


def _try(node: Node, known: Mapping[str, Array], described: Mapping[str, Array], path: Path) -> tuple[Array, ...]:
    """The outputs of a node on constants and on zeros, contiguous ones, with which BLAS is fast."""
    zeros = {name: np.zeros_like(described[name], order="C") for name in node.inputs if name in described}
    return run_node(node, {**known, **zeros}, path)


def merge_equal(nodes: Iterable[Node], constants: Mapping[str, Array], keep: Sequence[str]) -> list[Node]:
    """The first alone of nodes with equal operator, inputs and attributes, but all that give `keep`."""
    first_name = _equal_constants(constants)
    first_node: dict[Any, Node] = {}
    merged = []
    for node in nodes:
        inputs = tuple(first_name.get(name, name) for name in node.inputs)
        node = Node(node.operator, node.domain, node.name, inputs, node.outputs, node.attributes)
        attributes = tuple((name, _comparable(value)) for name, value in sorted(node.attributes.items()))
        same = first_node.setdefault((node.domain, node.operator, inputs, attributes), node)
        if same is node or len(same.outputs) != len(node.outputs) or set(node.outputs) & set(keep):
            merged.append(node)
        else:
            first_name.update(zip(node.outputs, same.outputs, strict=True))
    return merged


def drop_unused(nodes: Sequence[Node], keep: Sequence[str]) -> list[Node]:
    """The nodes that the outputs `keep` depend on."""
    needed = set(keep)
    kept = []
    for node in reversed(nodes):
        if needed & set(node.outputs):
            kept.append(node)
            needed.update(node.inputs)
    return kept[::-1]


def _equal_constants(constants: Mapping[str, Array]) -> dict[str, str]:
    """Name of each small constant -> name of the first one that is equal."""
    first: dict[Any, str] = {}
    return {
        name: first.setdefault(_comparable(array), name) for name, array in constants.items() if array.nbytes <= SMALL
    }


def _comparable(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    return value
