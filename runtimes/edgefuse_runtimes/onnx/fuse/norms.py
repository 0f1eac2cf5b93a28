"""Layer norms, as one node or spelt out."""

from __future__ import annotations

import numpy as np

from edgefuse_runtimes.onnx.fuse.links import Fused, Links, fused, other
from edgefuse_runtimes.onnx.graph import Node


def layer_norm(node: Node, links: Links) -> Fused | None:
    """LayerNormalization over the last axis, with scale and bias."""
    if node.operator != "LayerNormalization" or node.attributes.get("axis", -1) != -1 or len(node.inputs) != 3:
        return None
    if not all(_is_row(name, links) for name in node.inputs[1:]):
        return None
    return Fused(fused("LayerNorm", node, node.inputs, epsilon=node.attributes.get("epsilon", 1e-5)))


def spelt_out_norm(node: Node, links: Links) -> Fused | None:
    """ReduceMean -> Sub -> Pow 2 -> ReduceMean -> + epsilon -> Sqrt -> Div -> times scale -> + bias.

    So exporters write a layer norm for operator sets before 17, which have none.
    """
    if node.operator != "Sub" or _mean_of(node.inputs[1], links) != node.inputs[0]:
        return None
    centred = node.outputs[0]
    powers = [taker for taker in links.takers.get(centred, ()) if taker.operator == "Pow"]
    if len(powers) != 1 or powers[0].inputs[0] != centred or links.number(powers[0].inputs[1]) != 2:
        return None
    mean = links.only_taker(powers[0].outputs[0], "ReduceMean")
    plus = mean and _mean_of(mean.outputs[0], links) and links.only_taker(mean.outputs[0], "Add")
    root = plus and links.only_taker(plus.outputs[0], "Sqrt")
    ratio = root and links.only_taker(root.outputs[0], "Div")
    scaled = ratio and links.only_taker(ratio.outputs[0], "Mul")
    last = scaled and links.only_taker(scaled.outputs[0], "Add")
    if not mean or not plus or not root or not ratio or not scaled or not last:
        return None
    epsilon = links.number(other(plus, mean.outputs[0]))
    scale, bias = other(scaled, ratio.outputs[0]), other(last, scaled.outputs[0])
    if epsilon is None or ratio.inputs[0] != centred or not _is_row(scale, links) or not _is_row(bias, links):
        return None
    return Fused(fused("LayerNorm", last, [node.inputs[0], scale, bias], epsilon=epsilon))


def _mean_of(name: str, links: Links) -> str | None:
    """What a value is the mean of over the last axis, which is kept."""
    node = links.giver.get(name)
    if node is None or node.operator != "ReduceMean" or not node.attributes.get("keepdims", 1):
        return None
    axes = links.constants.get(node.inputs[1]) if len(node.inputs) > 1 else np.array(node.attributes.get("axes", ()))
    return node.inputs[0] if axes is not None and axes.tolist() == [-1] else None


def _is_row(name: str, links: Links) -> bool:
    array = links.constants.get(name)
    return array is not None and array.ndim == 1 and array.dtype == np.float32
