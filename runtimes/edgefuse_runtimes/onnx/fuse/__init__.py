"""Chains of nodes that the numpy engine does better in one step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgefuse_runtimes.onnx.fuse.activations import gelu, swish
from edgefuse_runtimes.onnx.fuse.attention import attention
from edgefuse_runtimes.onnx.fuse.integers import integer_attention, integer_linear, with_levels
from edgefuse_runtimes.onnx.fuse.linear import gemm, linear
from edgefuse_runtimes.onnx.fuse.links import Fused, Fuser, links_of
from edgefuse_runtimes.onnx.fuse.norms import layer_norm, spelt_out_norm
from edgefuse_runtimes.onnx.graph import Node
from edgefuse_runtimes.onnx.simplify import drop_unused
from edgefuse_runtimes.onnx.tensor import Array

FUSERS = (gelu, swish, spelt_out_norm, layer_norm, attention, integer_attention, linear, gemm, integer_linear)
"""Each looks for one kind of chain; later ones see what earlier ones put in."""


def fuse(
    nodes: Sequence[Node], constants: Mapping[str, Array], keep: Sequence[str]
) -> tuple[list[Node], dict[str, Array]]:
    """The nodes with every known chain in one, and the constants with those that the new nodes need.

    A new node stands where the last of its chain stood. A replaced node stays too where something else takes what it
    gives. The values named in `keep` are given by the same names, and nothing is there that they do not need.
    """
    nodes, known = list(nodes), dict(constants)
    for fuser in FUSERS:
        found = _find(fuser, nodes, known, keep)
        while found:  # two chains may end in one node, and only one of them gets it
            for fused in found.values():
                known.update(fused.constants)
            nodes = [found[node.outputs[0]].node if node.outputs[0] in found else node for node in nodes]
            nodes = drop_unused(nodes, keep)
            found = _find(fuser, nodes, known, keep)
    return drop_unused(with_levels(nodes), keep), known


def _find(fuser: Fuser, nodes: Sequence[Node], constants: Mapping[str, Array], keep: Sequence[str]) -> dict[str, Fused]:
    """What the fuser finds, by the output of the last node of the chain."""
    links = links_of(nodes, constants, keep)
    found: dict[str, Fused] = {}
    for node in nodes:
        fused = fuser(node, links)
        if fused is not None:
            found.setdefault(fused.node.outputs[0], fused)
    return found
