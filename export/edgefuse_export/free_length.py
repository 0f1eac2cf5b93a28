"""Graphs of notes of any length, made plain: what does not depend on the length becomes a constant.

A traced model computes the shape of every Reshape from the shape of its input, a dozen nodes each time, though only
one number in it, the length, ever changes; and one number may be left open in a Reshape.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefuse.extras import importable
from edgefuse_export.model_file import save, session

_EXTRA = "export"
_LENGTHS = (5, 7)
"""Of two notes on which the graph is tried; what differs between them is the length, or comes from it."""


def fix_reshapes(source: Path, target: Path) -> None:
    """Write the graph of `source` with a constant shape in each Reshape that has at most one free size.

    Args:
        source: a graph of token ids (1, tokens), with `tokens` free.
        target: gets the same graph without the nodes that are no longer needed.
    """
    onnx = importable("onnx", _EXTRA)
    model = onnx.load(source)
    graph = model.graph
    constants = {tensor.name for tensor in graph.initializer}
    constants |= {name for node in graph.node if node.op_type == "Constant" for name in node.output}
    computed = [node for node in graph.node if node.op_type == "Reshape" and node.input[1] not in constants]
    shapes = [_shapes(model, [node.output[0] for node in computed], length) for length in _LENGTHS]
    for node, first, second in zip(computed, *shapes, strict=True):
        differs = first != second
        if differs.sum() <= 1:
            name = f"{node.output[0]} shape"
            graph.initializer.append(onnx.numpy_helper.from_array(np.where(differs, -1, first), name))
            node.input[1] = name
    _drop_unused(graph)
    save(model, target)


def _shapes(model: Any, names: list[str], length: int) -> list[NDArray[np.int64]]:
    """The shapes of the values inside the graph under `names`, for a note of `length` tokens."""
    onnx = importable("onnx", _EXTRA)
    probed = onnx.ModelProto()
    probed.CopyFrom(model)
    del probed.graph.output[:]
    probed.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    running = session(probed)
    found = running.run(names, {running.get_inputs()[0].name: np.zeros((1, length), np.int64)}) if names else []
    return [np.array(value.shape, np.int64) for value in found]


def _drop_unused(graph: Any) -> None:
    """Leave the nodes and weights that the outputs depend on, in place."""
    needed = {value.name for value in graph.output}
    kept = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(node.input)
    weights = [tensor for tensor in graph.initializer if tensor.name in needed]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(kept[::-1])
    graph.initializer.extend(weights)
