"""A head while it is trained: its shape, its parameters in one vector, forward and backward by hand.

Block(d, h) = Linear(d, h) -> ReLU -> Dropout(p) -> BatchNorm(h), in this order; early fusion is one block
over text and image joined, late fusion one block each; the blocks' outputs, joined, go through a last Linear.
Arrays have torch's layout: a Linear's weight is (outputs, inputs).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgefuse_runtimes import fusion
from edgefuse_runtimes.spec import Modality

Floats = NDArray[np.float32]

EPSILON = 1e-5
"""Added to a BatchNorm's variance, as torch does."""


@dataclass(frozen=True)
class BlockShape:
    """One block: it reads columns `start` to `stop` of text and image joined, and has `hidden` units."""

    reads: tuple[Modality, ...]
    start: int
    stop: int
    hidden: int


@dataclass(frozen=True)
class Architecture:
    """The blocks side by side, and the number C of logits."""

    blocks: tuple[BlockShape, ...]
    outputs: int
    dropout: float = 0.0

    @property
    def hidden(self) -> int:
        """Inputs of the last Linear."""
        return sum(block.hidden for block in self.blocks)

    @property
    def parameter_count(self) -> int:
        """Trained numbers: weights and biases of every Linear, gamma and beta of every BatchNorm."""
        blocks = sum((block.stop - block.start + 3) * block.hidden for block in self.blocks)
        return blocks + (self.hidden + 1) * self.outputs


class Linear(NamedTuple):
    """x (n, d) -> x @ weight.T + bias (n, h)."""

    weight: Floats  # (h, d)
    bias: Floats  # (h,)


class Norm(NamedTuple):
    """BatchNorm's scale and offset."""

    gamma: Floats  # (h,)
    beta: Floats  # (h,)


class Block(NamedTuple):
    """One block's parameters."""

    linear: Linear
    norm: Norm


class Network(NamedTuple):
    """A head's parameters, or their gradients."""

    blocks: tuple[Block, ...]
    output: Linear


class Statistics(NamedTuple):
    """Mean and variance (h,) of one block's units: of a batch, or running over the batches."""

    mean: Floats
    variance: Floats


class BlockTrace(NamedTuple):
    """What a block's backward pass needs of its forward pass."""

    inputs: Floats  # (n, d)
    factor: Floats  # (n, h): derivative of ReLU and Dropout
    normed: Floats  # (n, h)
    inverse_deviation: Floats  # (h,)


class Trace(NamedTuple):
    """What the backward pass needs of the forward pass, and the batch's statistics per block."""

    blocks: tuple[BlockTrace, ...]
    joined: Floats  # (n, H)
    statistics: tuple[Statistics, ...]


def early(text_width: int, image_width: int, outputs: int, hidden: int = 128) -> Architecture:
    """One block over (text, image)."""
    return Architecture((BlockShape(("text", "image"), 0, text_width + image_width, hidden),), outputs)


def late(text_width: int, image_width: int, outputs: int, hidden: int = 64) -> Architecture:
    """A block for the text and a block for the image."""
    text = BlockShape(("text",), 0, text_width, hidden)
    image = BlockShape(("image",), text_width, text_width + image_width, hidden)
    return Architecture((text, image), outputs)


def text_only(text_width: int, outputs: int, hidden: int = 128) -> Architecture:
    """The baseline that sees the note alone."""
    return Architecture((BlockShape(("text",), 0, text_width, hidden),), outputs)


def image_only(text_width: int, image_width: int, outputs: int, hidden: int = 128) -> Architecture:
    """The baseline that sees the picture alone; the columns of the text are there but not read."""
    return Architecture((BlockShape(("image",), text_width, text_width + image_width, hidden),), outputs)


def views(architecture: Architecture, flat: Floats) -> Network:
    """The parameters as named views into one vector (p,), so that an update is one pass over it."""
    shapes: list[tuple[int, ...]] = []
    for block in architecture.blocks:
        shapes += [
            (block.hidden, block.stop - block.start),
            (block.hidden,),
            (block.hidden,),
            (block.hidden,),
        ]
    shapes += [(architecture.outputs, architecture.hidden), (architecture.outputs,)]
    ends = np.cumsum([0, *(int(np.prod(shape)) for shape in shapes)])
    arrays = [flat[a:b].reshape(shape) for (a, b), shape in zip(pairwise(ends), shapes, strict=True)]
    fours = [arrays[i : i + 4] for i in range(0, len(arrays) - 2, 4)]
    blocks = tuple(Block(Linear(w, b), Norm(gamma, beta)) for w, b, gamma, beta in fours)
    return Network(blocks, Linear(arrays[-2], arrays[-1]))


def initial(architecture: Architecture, rng: np.random.Generator) -> Floats:
    """Start values (parameter_count,) distributed as PyTorch's defaults.

    A Linear's weight and bias are uniform within 1 / sqrt(inputs); gamma is 1, beta 0.
    """
    flat = np.zeros(architecture.parameter_count, np.float32)  # (p,)
    network = views(architecture, flat)
    for linear in (*(block.linear for block in network.blocks), network.output):
        bound = 1 / np.sqrt(linear.weight.shape[1])
        for array in linear:
            array[:] = rng.uniform(-bound, bound, array.shape)
    for block in network.blocks:
        block.norm.gamma[:] = 1
    return flat


def initial_statistics(architecture: Architecture) -> tuple[Statistics, ...]:
    """Running statistics before the first batch: mean 0, variance 1."""
    return tuple(
        Statistics(np.zeros(block.hidden, np.float32), np.ones(block.hidden, np.float32))
        for block in architecture.blocks
    )


def forward(
    architecture: Architecture, network: Network, rows: Floats, rng: np.random.Generator | None = None
) -> tuple[Floats, Trace]:
    """Logits (n, C) of a training batch: rows (n, d) are text and image joined; `rng` draws the dropout."""
    outputs, traces, statistics = [], [], []
    for shape, block in zip(architecture.blocks, network.blocks, strict=True):
        inputs = rows[:, shape.start : shape.stop]  # (n, d)
        hidden = inputs @ block.linear.weight.T + block.linear.bias  # (n, h)
        factor = (hidden > 0).astype(np.float32)  # (n, h)
        if architecture.dropout > 0 and rng is not None:
            factor *= (rng.random(factor.shape) >= architecture.dropout) / np.float32(1 - architecture.dropout)
        hidden *= factor
        batch = Statistics(hidden.mean(axis=0), hidden.var(axis=0))
        inverse = 1 / np.sqrt(batch.variance + np.float32(EPSILON))  # (h,)
        normed = (hidden - batch.mean) * inverse  # (n, h)
        outputs.append(normed * block.norm.gamma + block.norm.beta)
        traces.append(BlockTrace(inputs, factor, normed, inverse))
        statistics.append(batch)
    joined = outputs[0] if len(outputs) == 1 else np.concatenate(outputs, axis=1)  # (n, H)
    logits = joined @ network.output.weight.T + network.output.bias  # (n, C)
    return logits, Trace(tuple(traces), joined, tuple(statistics))


def backward(network: Network, trace: Trace, slope: Floats, gradients: Network) -> None:
    """Write the loss's gradients into `gradients`, given its derivative (n, C) by the logits.

    BatchNorm's batch mean and variance depend on the input too; its derivative is the usual
    dr = gamma / sigma * (dy - mean(dy) - normed * mean(dy * normed)) (Ioffe and Szegedy 2015, section 3).
    """
    np.matmul(slope.T, trace.joined, out=gradients.output.weight)  # (C, H)
    slope.sum(axis=0, out=gradients.output.bias)
    joined_slope = slope @ network.output.weight  # (n, H)
    start = 0
    for block, kept, gradient in zip(network.blocks, trace.blocks, gradients.blocks, strict=True):
        stop = start + len(block.norm.gamma)
        out = joined_slope[:, start:stop]  # (n, h)
        n = np.float32(len(out))
        out.sum(axis=0, out=gradient.norm.beta)
        np.einsum("nh,nh->h", out, kept.normed, out=gradient.norm.gamma)
        centred = out - (gradient.norm.beta + kept.normed * gradient.norm.gamma) / n  # (n, h)
        hidden_slope = centred * (block.norm.gamma * kept.inverse_deviation) * kept.factor  # (n, h)
        np.matmul(hidden_slope.T, kept.inputs, out=gradient.linear.weight)  # (h, d)
        hidden_slope.sum(axis=0, out=gradient.linear.bias)
        start = stop


def track(running: tuple[Statistics, ...], batch: tuple[Statistics, ...], n: int) -> tuple[Statistics, ...]:
    """Running statistics after a batch of n rows: a tenth of the new (variance with n - 1), as torch."""
    new, unbiased = np.float32(0.1), np.float32(n / (n - 1))
    return tuple(
        Statistics(
            old.mean + new * (now.mean - old.mean),
            old.variance + new * (unbiased * now.variance - old.variance),
        )
        for old, now in zip(running, batch, strict=True)
    )


def fold(architecture: Architecture, network: Network, running: tuple[Statistics, ...]) -> fusion.Head:
    """The head that the device runs, with the BatchNorms folded into the last Linear.

    With its running statistics a BatchNorm is y = a r + c per unit, a = gamma / sqrt(variance + eps) and
    c = beta - a mean, so the Linear (W, b) becomes (W diag(a), b + W c).
    """
    norms = [block.norm for block in network.blocks]
    scale = np.concatenate(
        [n.gamma / np.sqrt(s.variance + np.float32(EPSILON)) for n, s in zip(norms, running, strict=True)]
    )  # (H,)
    offset = np.concatenate([n.beta for n in norms]) - scale * np.concatenate([s.mean for s in running])  # (H,)
    branches = tuple(
        fusion.Branch(shape.reads, block.linear.weight.copy(), block.linear.bias.copy())
        for shape, block in zip(architecture.blocks, network.blocks, strict=True)
    )
    weight = network.output.weight * scale  # (C, H)
    return fusion.Head(branches, weight, network.output.bias + network.output.weight @ offset)
