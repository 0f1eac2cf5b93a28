"""A head while it is trained: its parameters in one vector, forward and backward by hand.

Arrays have torch's shape: a Linear's weight is (outputs, inputs).

Nearly all parameters are in the first Linear of each branch. What is done to them in training is done block by block
in `first_linears`; so forward begins here with their products, and backward ends with the derivative by these.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgefuse.training.shapes import Architecture
from edgefuse_runtimes import fusion

Floats = NDArray[np.float32]

EPSILON = 1e-5
"""Added to a BatchNorm's variance, as torch does."""


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
    """A head's parameters, or their gradients: the blocks of every branch, and the last Linear."""

    branches: tuple[tuple[Block, ...], ...]
    output: Linear


class Statistics(NamedTuple):
    """Mean and variance (h,) of one block's units: of a batch, or running over the batches."""

    mean: Floats
    variance: Floats


AllStatistics = tuple[tuple[Statistics, ...], ...]
"""Of every block of every branch."""


class BlockTrace(NamedTuple):
    """What a block's backward pass needs of its forward pass."""

    inputs: Floats | None  # (n, d); None for a first block, which reads the rows
    factor: Floats  # (n, h): derivative of ReLU and Dropout
    normed: Floats  # (n, h)
    inverse_deviation: Floats  # (h,)


class Trace(NamedTuple):
    """What the backward pass needs of the forward pass, and the batch's statistics."""

    branches: tuple[tuple[BlockTrace, ...], ...]
    joined: Floats  # (n, H): the branches' outputs
    statistics: AllStatistics


def views(architecture: Architecture, flat: Floats) -> Network:
    """The parameters as named views into one vector (p,), so that an update is one pass over it.

    The weights of the first Linears come first, and lie there with the inputs as rows: so that the weights of some
    inputs are one piece of memory.
    """
    taken = 0

    def take(*shape: int) -> Floats:
        nonlocal taken
        start, taken = taken, taken + math.prod(shape)
        return flat[start:taken].reshape(shape)

    firsts = [take(branch.widths[0], branch.widths[1]).T for branch in architecture.branches]  # (h, d) each
    branches = []
    for shape, first in zip(architecture.branches, firsts, strict=True):
        blocks: list[Block] = []
        for d, h in pairwise(shape.widths):
            weight = take(h, d) if blocks else first  # (h, d)
            blocks.append(Block(Linear(weight, take(h)), Norm(take(h), take(h))))
        branches.append(tuple(blocks))
    output = Linear(take(architecture.outputs, architecture.hidden), take(architecture.outputs))
    return Network(tuple(branches), output)


def initial(architecture: Architecture, rng: np.random.Generator) -> Floats:
    """Start values (parameter_count,) distributed as PyTorch's defaults.

    A Linear's weight and bias are uniform within 1 / sqrt(inputs); gamma is 1, beta 0.
    """
    flat = np.zeros(architecture.parameter_count, np.float32)  # (p,)
    network = views(architecture, flat)
    blocks = [block for branch in network.branches for block in branch]
    for linear in (*(block.linear for block in blocks), network.output):
        bound = 1 / np.sqrt(linear.weight.shape[1])
        for array in linear:
            array[:] = rng.uniform(-bound, bound, array.shape)
    for block in blocks:
        block.norm.gamma[:] = 1
    return flat


def initial_statistics(architecture: Architecture) -> AllStatistics:
    """Running statistics before the first batch: mean 0, variance 1."""
    return tuple(
        tuple(Statistics(np.zeros(h, np.float32), np.ones(h, np.float32)) for h in branch.hidden)
        for branch in architecture.branches
    )


def products(architecture: Architecture, network: Network, rows: Floats) -> tuple[Floats, ...]:
    """Of each branch's first Linear the product (n, h), without the bias; rows (n, d) are text and image joined."""
    return tuple(
        rows[:, shape.start : shape.stop] @ blocks[0].linear.weight.T  # (n, h)
        for shape, blocks in zip(architecture.branches, network.branches, strict=True)
    )


def forward(
    architecture: Architecture,
    network: Network,
    firsts: tuple[Floats, ...],
    rng: np.random.Generator | None = None,
) -> tuple[Floats, Trace]:
    """Logits (n, C) of a training batch from its `products`; `rng` draws the dropout."""
    outputs, traces, statistics = [], [], []
    for blocks, first in zip(network.branches, firsts, strict=True):
        kept, seen = [], []
        inputs = None
        for block in blocks:
            product = first if inputs is None else inputs @ block.linear.weight.T  # (n, h)
            hidden = product + block.linear.bias  # (n, h)
            factor = (hidden > 0).astype(np.float32)  # (n, h)
            if architecture.dropout > 0 and rng is not None:
                factor *= (rng.random(factor.shape) >= architecture.dropout) / np.float32(1 - architecture.dropout)
            hidden *= factor
            mean = hidden.mean(axis=0)  # (h,)
            hidden -= mean
            variance = np.einsum("nh,nh->h", hidden, hidden) / np.float32(len(hidden))  # (h,)
            inverse = 1 / np.sqrt(variance + np.float32(EPSILON))  # (h,)
            normed = hidden * inverse  # (n, h)
            kept.append(BlockTrace(inputs, factor, normed, inverse))
            seen.append(Statistics(mean, variance))
            inputs = normed * block.norm.gamma + block.norm.beta  # (n, h), of the next block
        assert inputs is not None, "a branch has a block"
        outputs.append(inputs)
        traces.append(tuple(kept))
        statistics.append(tuple(seen))
    joined = outputs[0] if len(outputs) == 1 else np.concatenate(outputs, axis=1)  # (n, H)
    logits = joined @ network.output.weight.T + network.output.bias  # (n, C)
    return logits, Trace(tuple(traces), joined, tuple(statistics))


def backward(
    network: Network, trace: Trace, slope: Floats, gradients: Network, joined_slope: Floats | None = None
) -> tuple[Floats, ...]:
    """Gradients of the loss, given its derivative (n, C) by the logits.

    All but those of the first Linears' weights are written into `gradients`. `joined_slope` (n, H) is what the loss
    has as derivative by the branches' outputs besides.

    Returns:
        For each branch the derivative (n, h) by its product, from which `first_weight_gradients` follow.

    BatchNorm's batch mean and variance depend on the input too; its derivative is the usual
    dr = gamma / sigma * (dy - mean(dy) - normed * mean(dy * normed)) (Ioffe and Szegedy 2015, section 3).
    """
    np.matmul(slope.T, trace.joined, out=gradients.output.weight)  # (C, H)
    slope.sum(axis=0, out=gradients.output.bias)
    joined = slope @ network.output.weight  # (n, H)
    if joined_slope is not None:
        joined += joined_slope
    n, start = np.float32(len(slope)), 0
    firsts = []
    for blocks, traces, into in zip(network.branches, trace.branches, gradients.branches, strict=True):
        stop = start + len(blocks[-1].norm.gamma)
        out = joined[:, start:stop]  # (n, h)
        for block, kept, gradient in zip(reversed(blocks), reversed(traces), reversed(into), strict=True):
            out.sum(axis=0, out=gradient.norm.beta)
            np.einsum("nh,nh->h", out, kept.normed, out=gradient.norm.gamma)
            centred = out - (gradient.norm.beta + kept.normed * gradient.norm.gamma) / n  # (n, h)
            out = centred * (block.norm.gamma * kept.inverse_deviation) * kept.factor  # (n, h), by the Linear's output
            out.sum(axis=0, out=gradient.linear.bias)
            if kept.inputs is not None:
                np.matmul(out.T, kept.inputs, out=gradient.linear.weight)  # (h, d)
                out = out @ block.linear.weight  # (n, d)
        firsts.append(out)
        start = stop
    return tuple(firsts)


def first_weight_gradients(
    architecture: Architecture, rows: Floats, slopes: tuple[Floats, ...], gradients: Network
) -> None:
    """Write the gradients of the first Linears' weights, given the rows (n, d) and what `backward` returned."""
    for shape, slope, into in zip(architecture.branches, slopes, gradients.branches, strict=True):
        np.matmul(rows[:, shape.start : shape.stop].T, slope, out=into[0].linear.weight.T)  # (d, h)


def track(running: AllStatistics, batch: AllStatistics, n: int) -> AllStatistics:
    """Running statistics after a batch of n rows: a tenth of the new (variance with n - 1), as torch."""
    new, unbiased = np.float32(0.1), np.float32(n / (n - 1))
    return tuple(
        tuple(
            Statistics(
                old.mean + new * (now.mean - old.mean),
                old.variance + new * (unbiased * now.variance - old.variance),
            )
            for old, now in zip(*branch, strict=True)
        )
        for branch in zip(running, batch, strict=True)
    )


def fold(architecture: Architecture, network: Network, running: AllStatistics) -> fusion.Head:
    """The head that the device runs, with every BatchNorm folded into the Linear after it.

    With its running statistics a BatchNorm is y = a r + c per unit, a = gamma / sqrt(variance + eps) and
    c = beta - a mean, so the Linear (W, b) after it becomes (W diag(a), b + W c).
    """
    branches, scales, offsets = [], [], []
    for shape, blocks, statistics in zip(architecture.branches, network.branches, running, strict=True):
        layers = []
        scale, offset = np.ones(1, np.float32), np.zeros(shape.widths[0], np.float32)
        for block, seen in zip(blocks, statistics, strict=True):
            weight, bias = block.linear
            layers.append(fusion.Layer(np.ascontiguousarray(weight * scale), bias + weight @ offset))
            scale = block.norm.gamma / np.sqrt(seen.variance + np.float32(EPSILON))  # (h,)
            offset = block.norm.beta - scale * seen.mean  # (h,)
        branches.append(fusion.Branch(shape.reads, tuple(layers)))
        scales.append(scale)
        offsets.append(offset)
    weight = network.output.weight * np.concatenate(scales)  # (C, H)
    bias = network.output.bias + network.output.weight @ np.concatenate(offsets)  # (C,)
    return fusion.Head(tuple(branches), weight, bias)
