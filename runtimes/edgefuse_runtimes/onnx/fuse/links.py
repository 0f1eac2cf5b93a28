"""Who gives and who takes each value of a graph, and what a found chain is replaced by."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from edgefuse_runtimes.onnx.fused import DOMAIN
from edgefuse_runtimes.onnx.graph import Node
from edgefuse_runtimes.onnx.tensor import Array


@dataclass(frozen=True)
class Links:
    """The graph, to be walked both ways."""

    constants: Mapping[str, Array]
    giver: Mapping[str, Node]
    takers: Mapping[str, Sequence[Node]]
    kept: frozenset[str]

    def only_taker(self, name: str, *operators: str) -> Node | None:
        """The node that alone, and once, takes the value, if it is one of these operators."""
        takers = self.takers.get(name, ())
        is_alone = len(takers) == 1 and name not in self.kept and takers[0].operator in operators
        return takers[0] if is_alone else None

    def number(self, name: str) -> float | None:
        """The value of a constant that is one number."""
        array = self.constants.get(name)
        is_number = array is not None and array.shape in ((), (1,)) and array.dtype.kind == "f"
        return float(array.item()) if array is not None and is_number else None


@dataclass(frozen=True)
class Fused:
    """A node that stands for a chain, and the constants it needs beside those of the file."""

    node: Node
    constants: Mapping[str, Array] = field(default_factory=dict)


Fuser = Callable[[Node, Links], Fused | None]
"""Finds the chain that begins, or has its mark, at a node."""


def links_of(nodes: Iterable[Node], constants: Mapping[str, Array], keep: Sequence[str]) -> Links:
    """The links between nodes; the values named in `keep` are needed after all of them."""
    giver: dict[str, Node] = {}
    takers: dict[str, list[Node]] = {}
    for node in nodes:
        giver.update(dict.fromkeys(node.outputs, node))
        for name in node.inputs:
            takers.setdefault(name, []).append(node)
    return Links(constants, giver, takers, frozenset(keep))


def fused(operator: str, last: Node, inputs: Sequence[str], **attributes: object) -> Node:
    """A node of our own that gives what the last node of a chain gave."""
    return Node(operator, DOMAIN, last.name, tuple(inputs), last.outputs, attributes)


def other(node: Node, name: str) -> str:
    """The input of a node with two that is not `name`."""
    return node.inputs[1] if node.inputs[0] == name else node.inputs[0]
