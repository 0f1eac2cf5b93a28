"""The small heads that turn two aligned vectors into probabilities, ready for the device.

A head is one or two branches, each one or more layers of Linear -> ReLU; the branches' outputs are joined and go
through one Linear. In training each layer ends in a BatchNorm; after training it is a constant scale and offset per
unit, which is folded into the Linear after it, so none is left here. Dropout does nothing after training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.spec import Modality

Floats = NDArray[np.float32]
Arrays = Mapping[str, NDArray[Any]]
"""Named arrays of an npz file."""

Task = Literal["binary", "multiclass", "multilabel"]
"""One of two classes holds (one logit), one of three or more does, or any number of classes (a logit each)."""
TASKS: tuple[Task, ...] = get_args(Task)

INPUTS: dict[str, tuple[Modality, ...]] = {
    "text+image": ("text", "image"),
    "text": ("text",),
    "image": ("image",),
}
"""What a branch may read, by its name in `head.npz`; both: concatenated, text first."""


MOST_BRANCHES = 64
"""Of a head: a file that claims more is no head."""


class Layer(NamedTuple):
    """Linear -> ReLU."""

    weight: Floats  # (h, d), as torch stores a Linear
    bias: Floats  # (h,)


@dataclass(frozen=True)
class Branch:
    """Layers over one modality, or over both joined."""

    reads: tuple[Modality, ...]
    layers: tuple[Layer, ...]

    @property
    def width(self) -> int:
        """Of its output."""
        return len(self.layers[-1].bias)


@dataclass(frozen=True)
class Head:
    """Early fusion: one branch that reads both; late fusion: one branch each; a baseline: one branch.

    Of several members there are so many times as many, see `mean_of`.
    """

    branches: tuple[Branch, ...]
    weight: Floats
    """(C, sum of h): the last Linear with the BatchNorms folded in."""
    bias: Floats
    """(C,)"""


def logits(head: Head, vectors: Mapping[Modality, Floats]) -> Floats:
    """Logits (C,) of one sample or (n, C) of n, from the aligned vectors (d,) or (n, d)."""
    hidden = [_branch(branch, vectors) for branch in head.branches]  # each (..., h)
    joined = np.concatenate(hidden, axis=-1)  # (..., sum of h)
    return joined @ head.weight.T + head.bias  # (..., C)


def mean_of(members: Sequence[Head]) -> Head:
    """The one head whose logits are the mean of those of its members, which have the same number of logits."""
    share = np.float32(1 / len(members))
    return Head(
        branches=tuple(branch for member in members for branch in member.branches),
        weight=np.concatenate([member.weight for member in members], axis=1) * share,
        bias=np.sum([member.bias for member in members], axis=0) * share,
    )


def probabilities(logits: Floats, temperature: float = 1.0, *, multilabel: bool = False) -> Floats:
    """Class probabilities (..., K): softmax of logits / temperature; one logit stands for the second of two.

    multilabel: the sigmoid of each, so that they do not add up to 1.
    """
    scaled = logits / np.float32(temperature)  # (..., C)
    if multilabel:
        return sigmoid(scaled)
    if scaled.shape[-1] == 1:
        scaled = np.concatenate([np.zeros_like(scaled), scaled], axis=-1)  # (..., 2): sigmoid as a softmax
    powers: Floats = np.exp(scaled - scaled.max(axis=-1, keepdims=True))  # (..., K)
    total: Floats = powers.sum(axis=-1, keepdims=True)  # (..., 1)
    return powers / total


def sigmoid(x: Floats) -> Floats:
    """1 / (1 + exp(-x)), without overflow for any x."""
    power: Floats = np.exp(-np.abs(x))
    total: Floats = 1 + power
    part: Floats = np.where(x < 0, power, np.ones_like(x))
    return part / total


def to_arrays(head: Head) -> dict[str, NDArray[Any]]:
    """Named arrays for an npz file; `from_arrays` reads them back."""
    arrays: dict[str, NDArray[Any]] = {"weight": head.weight, "bias": head.bias}
    for index, branch in enumerate(head.branches):
        arrays[f"branch{index}.reads"] = np.array("+".join(branch.reads))
        for depth, layer in enumerate(branch.layers):
            name = _layer_name(index, depth)
            arrays[f"{name}.weight"], arrays[f"{name}.bias"] = layer
    return arrays


def from_arrays(arrays: Arrays, widths: Mapping[Modality, int], classes: int, *, multilabel: bool = False) -> Head:
    """A head for aligned vectors of these widths and so many classes; inverse of `to_arrays`.

    Raises:
        BadInput: an array is missing, not finite, or of a wrong shape or kind.
    """
    count = sum(name.endswith(".reads") for name in arrays)
    if not 1 <= count <= MOST_BRANCHES:
        raise BadInput(f"The head has {count} branches in place of 1 to {MOST_BRANCHES}; train the head again.")
    branches = tuple(_read_branch(arrays, index, widths) for index in range(count))
    hidden = sum(branch.width for branch in branches)
    one_logit = classes == 2 and not multilabel and np.size(arrays.get("bias", ())) == 1
    outputs = 1 if one_logit else classes
    return Head(branches, float_array(arrays, "weight", (outputs, hidden)), float_array(arrays, "bias", (outputs,)))


def float_array(arrays: Arrays, name: str, shape: tuple[int, ...]) -> Floats:
    """The array `name`, which must be float32, finite and of this shape.

    Raises:
        BadInput: it is not.
    """
    array = arrays.get(name)
    if array is None:
        raise BadInput(f"The head lacks the array {name!r}; train the head again.")
    if array.dtype != np.float32 or array.shape != shape:
        raise BadInput(
            f"The head's array {name!r} is {array.dtype} {array.shape} in place of float32 {shape}; "
            "train the head again."
        )
    floats = array.astype(np.float32, copy=False)
    if not np.isfinite(floats).all():
        raise BadInput(f"The head's array {name!r} holds NaN or infinite numbers; train the head again.")
    return floats


def _branch(branch: Branch, vectors: Mapping[Modality, Floats]) -> Floats:
    read = [vectors[modality] for modality in branch.reads]
    values = read[0] if len(read) == 1 else np.concatenate(read, axis=-1)  # (..., d)
    for layer in branch.layers:
        values = np.maximum(values @ layer.weight.T + layer.bias, np.float32(0))  # (..., h)
    return values


def _layer_name(branch: int, depth: int) -> str:
    """Of a branch's first layer "branch0", as in heads that have no other; then "branch0.layer1" and so on."""
    return f"branch{branch}.layer{depth}" if depth else f"branch{branch}"


def _read_branch(arrays: Arrays, index: int, widths: Mapping[Modality, int]) -> Branch:
    reads = INPUTS.get(str(arrays.get(f"branch{index}.reads")))
    if reads is None:
        raise BadInput(f"The head does not say what branch{index} reads; train the head again.")
    width, layers = sum(widths[modality] for modality in reads), list[Layer]()
    while not layers or f"{_layer_name(index, len(layers))}.weight" in arrays:
        name = _layer_name(index, len(layers))
        hidden = np.size(arrays.get(f"{name}.bias", ()))
        weight = float_array(arrays, f"{name}.weight", (hidden, width))
        layers.append(Layer(weight, float_array(arrays, f"{name}.bias", (hidden,))))
        width = hidden
    return Branch(reads, tuple(layers))
