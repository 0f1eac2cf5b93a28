"""The patch convolution on integers: what it takes is whole numbers already, the pixels before they were normalised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefuse.extras import importable
from edgefuse_export.int8 import rounding
from edgefuse_export.int8.moments import Doubles
from edgefuse_export.int8.wiring import Wiring, add_constant, add_node, replace_value, takers
from edgefuse_runtimes.spec import Preprocess

BRIGHTEST = 255
"""The largest value of a pixel."""

WIDEST = 4096
"""Values of a patch beyond which the convolution stays: rounding would take the square of that in memory, its cube in
time. The widest known, CLIP's of 32 pixels, has 3072.
"""


@dataclass(frozen=True)
class Patches:
    """A convolution that cuts the graph's input (1, C, H, W) into patches, and the moves of what it gives."""

    convolution: Any
    moves: tuple[Any, ...]
    """A Reshape to (1, n, t) and a Transpose to (1, t, n)."""
    weight: NDArray[np.float32]
    """(n, C, side, side)."""
    bias: NDArray[np.float32]
    """(n,)."""


def find_patches(wiring: Wiring) -> Patches | None:
    """The only reader of the input, if it is a convolution whose windows lie side by side."""
    readers = takers(wiring, wiring.input.name)
    if len(readers) != 1 or readers[0].op_type != "Conv" or readers[0].input[0] != wiring.input.name:
        return None
    convolution = readers[0]
    weight = wiring.constants.get(convolution.input[1])
    if weight is None or weight[0].size > WIDEST or weight.shape[2] != weight.shape[3]:
        return None
    sides = [dim.dim_value for dim in wiring.input.type.tensor_type.shape.dim[2:]]
    if any(side <= 0 or side % weight.shape[2] for side in sides):
        return None  # a convolution leaves out what is no whole window
    settings = {attribute.name: list(attribute.ints) for attribute in convolution.attribute}
    groups = next((attribute.i for attribute in convolution.attribute if attribute.name == "group"), 1)
    if groups != 1 or settings.get("strides") != list(weight.shape[2:]):
        return None
    if any(settings.get("pads", [])) or set(settings.get("dilations", [1])) != {1} or weight.shape[2] % 2:
        return None
    bias = wiring.constants.get(convolution.input[2]) if len(convolution.input) > 2 else np.zeros(len(weight), "f")
    reshape = takers(wiring, convolution.output[0])
    turn = takers(wiring, reshape[0].output[0]) if [node.op_type for node in reshape] == ["Reshape"] else []
    perms = [list(attribute.ints) for node in turn for attribute in node.attribute if attribute.name == "perm"]
    if bias is None or [node.op_type for node in turn] != ["Transpose"] or perms != [[0, 2, 1]]:
        return None
    return Patches(convolution, (*reshape, *turn), weight, bias)


def use_pixels(
    wiring: Wiring, patches: Patches, preprocess: Preprocess, samples: Sequence[NDArray[np.float32]]
) -> None:
    """Replace the convolution by a product of pixels and int8 weights.

    The input is (p / 255 - mean) / std of whole pixels p, so p comes back exactly, and the product loses nothing but
    what the weights V, which take up scale and shift per channel, are rounded by. That is made up for (GPTQ) by what
    calibration pictures vary by; what they have in common, m, goes into the bias: p V + b = p V' + b + m (V - V').

    Args:
        wiring: the graph.
        patches: what `find_patches` found in it.
        preprocess: how pixels became the input.
        samples: inputs (1, C, H, W) that stand for what it will meet.
    """
    onnx = importable("onnx", "export")
    width, channels, side, _ = patches.weight.shape
    scale = 1 / (BRIGHTEST * np.array(preprocess.std, np.float64))  # (C,): input = pixel scale + shift
    shift = -np.array(preprocess.mean, np.float64) / np.array(preprocess.std, np.float64)  # (C,)
    weight = patches.weight.astype(np.float64)  # (n, C, side, side)
    bias = patches.bias + (weight * shift[:, None, None]).sum(axis=(1, 2, 3))  # (n,)
    per_pixel = (weight * scale[:, None, None]).reshape(width, -1).T  # (C side side, n)
    mean, second = _moments_of_pixels(samples, side, scale, shift)
    column = rounding.scales(per_pixel)  # (n,)
    levels = rounding.compensated(per_pixel, column, second)  # (C side side, n)
    bias += mean @ (per_pixel - levels * column)

    height, breadth = (size // side for size in samples[0].shape[2:])
    axes = (channels, height, side, breadth, side)
    offset = add_constant(wiring, (-shift).astype(np.float32)[:, None, None], "pixels.shift")
    (lifted,) = add_node(wiring, "Add", [wiring.input.name, offset])
    step = add_constant(wiring, scale.astype(np.float32), "pixels.scale")
    none = add_constant(wiring, np.zeros(channels, np.uint8), "pixels.zero")
    (pixels,) = add_node(wiring, "QuantizeLinear", [lifted, step, none], axis=1)
    (cut,) = add_node(wiring, "Reshape", [pixels, _shape(wiring, axes)])
    (turned,) = add_node(wiring, "Transpose", [cut], perm=[1, 3, 0, 2, 4])  # (h, w, C, side, side)
    (rows,) = add_node(wiring, "Reshape", [turned, _shape(wiring, (1, height * breadth, len(per_pixel)))])
    (whole,) = add_node(wiring, "MatMulInteger", [rows, add_constant(wiring, levels, "patches.levels")])
    (floats,) = add_node(wiring, "Cast", [whole], to=onnx.TensorProto.FLOAT)
    factor = add_constant(wiring, column.astype(np.float32), "patches.scale")
    (scaled,) = add_node(wiring, "Mul", [floats, factor])
    (y,) = add_node(wiring, "Add", [scaled, add_constant(wiring, bias.astype(np.float32), "patches.bias")])
    last = patches.moves[-1].output[0]
    for node in (patches.convolution, *patches.moves):
        wiring.nodes.remove(node)
    replace_value(wiring, last, y)  # (1, t, n)


def _moments_of_pixels(
    samples: Sequence[NDArray[np.float32]], side: int, scale: Doubles, shift: Doubles
) -> tuple[Doubles, Doubles]:
    """Mean (k,) of patches of pixels, k = C side side, and the sum of (p - mean)(p - mean)^T (k, k)."""
    patches = np.concatenate([_cut(_pixels(sample[0], scale, shift), side) for sample in samples])  # (t, k)
    mean = patches.mean(axis=0, dtype=np.float64)  # (k,)
    centred = patches - mean.astype(np.float32)  # (t, k)
    return mean, (centred.T @ centred).astype(np.float64)


def _pixels(sample: NDArray[np.float32], scale: Doubles, shift: Doubles) -> NDArray[np.float32]:
    """Whole pixels (C, H, W) of an input (C, H, W)."""
    whole = np.rint((sample - shift[:, None, None]) / scale[:, None, None])
    return np.clip(whole, 0, BRIGHTEST).astype(np.float32)


def _cut(pixels: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Patches (t, C side side) of a picture (C, H, W)."""
    channels, height, width = pixels.shape
    cut = pixels.reshape(channels, height // side, side, width // side, side)
    return np.ascontiguousarray(cut.transpose(1, 3, 0, 2, 4)).reshape(-1, channels * side * side)


def _shape(wiring: Wiring, shape: tuple[int, ...]) -> str:
    return add_constant(wiring, np.array(shape, np.int64), "shape")
