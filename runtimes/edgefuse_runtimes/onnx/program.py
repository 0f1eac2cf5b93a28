"""A graph made ready for numpy: a list of steps, each of which knows which arrays it is the last to need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edgefuse_runtimes.contract import Memory
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.onnx.buffers import Buffers
from edgefuse_runtimes.onnx.fuse import fuse
from edgefuse_runtimes.onnx.graph import Graph, Node
from edgefuse_runtimes.onnx.operators import unsupported
from edgefuse_runtimes.onnx.simplify import drop_unused, fold, merge_equal, run_node
from edgefuse_runtimes.onnx.tensor import Array, forget_pages


@dataclass(frozen=True)
class Step:
    """One node, and the values that no later step needs."""

    node: Node
    finished: tuple[str, ...]


@dataclass(frozen=True)
class Program:
    """What `run` runs."""

    path: Path
    input: str
    output: str
    steps: tuple[Step, ...]
    constants: Mapping[str, Array]


def compile_graph(graph: Graph, shape: Sequence[int | None], memory: Memory) -> Program:
    """The program that gives the graph's first output for its one input, of the shape `shape`.

    Where a dimension is None, the program runs for any size of it; what depends on the shape is then computed at
    each run.

    With memory "normal" the weights of linear layers are made ready for BLAS once: float32 and aligned. With "low"
    they stay as they are, in the mapped file, and are made ready at each use.

    Raises:
        BadInput: the graph needs an operator that is not there (named, with its node), or cannot run.
    """
    output = graph.outputs[0].name
    nodes = [_with_counted_outputs(node) for node in drop_unused(graph.nodes, [output])]
    for node in nodes:
        reason = unsupported(node)
        if reason is not None:
            raise BadInput(
                f"{graph.path} needs {reason}, which the numpy engine does not have; "
                "use the engine onnxruntime or export the encoder again."
            )
    fixed = tuple(size for size in shape if size is not None)
    zeros = {}
    if len(fixed) == len(shape):
        zeros = {graph.inputs[0].name: np.broadcast_to(np.zeros((), graph.inputs[0].dtype), fixed)}
    with np.errstate(all="ignore"):
        nodes, constants = fold(nodes, graph.initializers, zeros, graph.path)
    nodes = merge_equal(nodes, constants, [output])
    nodes, constants = fuse(nodes, constants, [output])
    used = {name for node in nodes for name in node.inputs} | {output}
    weights = {node.inputs[1] for node in nodes if node.operator in ("Linear", "IntegerLinear")}
    others = {
        name for node in nodes for name in node.inputs if name not in node.inputs[:1] or node.operator != "Gather"
    }
    ready = {}
    for name in used & constants.keys():
        array = constants[name]
        if name in weights and memory == "normal":
            ready[name] = np.require(array, np.float32, "A")  # (k, n)
        elif name in weights or name not in others:
            ready[name] = array  # of a table only a few rows are read for a note
        else:
            ready[name] = np.require(array, requirements="A")  # else each use would copy it
        if ready[name] is not array:
            forget_pages(array)
    return Program(graph.path, graph.inputs[0].name, output, _steps(nodes, output, ready), ready)


def run(program: Program, x: Array, buffers: Buffers | None = None) -> Array:
    """The output for one input; numbers that overflow become infinite or NaN without a warning.

    Args:
        program: to be run.
        x: its input.
        buffers: memory from earlier runs to use again, not for two runs at a time.

    Raises:
        BadInput: arrays in the file do not fit together.
    """
    buffers = buffers or Buffers()
    values = {**program.constants, program.input: x}
    try:
        with np.errstate(all="ignore"):
            for step in program.steps:
                results = run_node(step.node, values, program.path, buffers.take)
                for name, result in zip(step.node.outputs, results, strict=False):
                    values[name] = result
                    buffers.hold(result)
                del results, result
                for name in step.finished:
                    if name in values:  # an output that may be left out, such as a norm's mean, is never made
                        buffers.drop(values.pop(name))
                buffers.settle()
        return np.array(values[program.output])
    finally:
        buffers.settle_all()


def _with_counted_outputs(node: Node) -> Node:
    """Split cuts into as many parts as it has outputs, which the function behind it cannot see."""
    if node.operator != "Split" or len(node.inputs) > 1 or "num_outputs" in node.attributes:
        return node
    return replace(node, attributes={**node.attributes, "num_outputs": len(node.outputs)})


def _steps(nodes: Sequence[Node], output: str, constants: Mapping[str, Array]) -> tuple[Step, ...]:
    steps: list[Step] = []
    needed_later = {output, *constants, ""}
    for node in reversed(nodes):
        names = dict.fromkeys((*node.inputs, *node.outputs))
        finished = tuple(name for name in names if name not in needed_later)
        needed_later.update(finished)
        steps.append(Step(node, finished))
    return tuple(reversed(steps))
