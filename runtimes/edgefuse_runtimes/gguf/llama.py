"""The forward pass of the LLaMA architecture: pure functions over arrays laid out as in GGUF files.

Letters in the shape comments: t tokens of all notes side by side, d width, h heads, v key/value heads,
g = h / v heads that share one of these, w width of a head, f width of the feed-forward part, n notes of equal
length l. States are (d, t), a token a column: a BLAS multiplies a matrix by a few columns much faster than a few
rows by a matrix.
Sources: llama.cpp's graph of LLM_ARCH_LLAMA; Touvron et al., arXiv 2302.13971 (the network); Su et al.,
arXiv 2104.09864 (RoPE); Zhang and Sennrich, arXiv 1910.07467 (RMSNorm); Shazeer, arXiv 2002.05202 (SwiGLU).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Product = Callable[[Floats], Floats]
"""A matrix (rows, columns) as the function that multiplies it by states: (columns, t) -> (rows, t), newly made."""

QUERIES = 128
"""Tokens of a note that look back together: none looks far past itself, and the scores of a long note stay small."""


@dataclass(frozen=True)
class Hyperparameters:
    """The sizes of one LLaMA network."""

    layers: int
    width: int
    feed_forward: int
    heads: int
    kv_heads: int
    head_width: int
    vocabulary: int
    epsilon: float
    """Added to the mean square in RMSNorm."""
    rope_base: float
    rope_scale: float
    """Positions are multiplied by it (linear scaling); 1 when the network was not stretched."""


class Rotations(NamedTuple):
    """By what angle each pair of a head's values is turned at each token."""

    cos: Floats  # (w/2, t)
    sin: Floats  # (w/2, t)


class AttentionWeights(NamedTuple):
    """The first half of a layer."""

    norm: Floats  # (d,)
    qkv: Product  # ((h + 2v) w, d): queries, keys and values below one another
    output: Product  # (d, h w)


class FeedForwardWeights(NamedTuple):
    """The second half of a layer."""

    norm: Floats  # (d,)
    gate_up: Product  # (2f, d): gate above up
    down: Product  # (d, f)


Block = AttentionWeights | FeedForwardWeights


def hidden_states(
    x: Floats,
    lengths: Sequence[int],
    blocks: Iterable[Block],
    final_norm: Floats,
    rotations: Rotations,
    sizes: Hyperparameters,
    *,
    last_only: bool = False,
) -> Floats:
    """Hidden states (d, t) after the final norm, of notes that do not see one another.

    Args:
        x: token embeddings (d, t) of all notes, one after another; overwritten.
        lengths: tokens of each note, t in all; notes of equal length beside each other are the fastest.
        blocks: attention and feed-forward halves in the order of the layers; may be made one at a time.
        final_norm: (d,).
        rotations: as made by `rope_rotations` for the same lengths.
        sizes: of the network.
        last_only: give the states of each note's last token alone, (d, notes); the others are needed only until
            the last layer has looked back at them.
    """
    for number, block in enumerate(blocks, 1):
        if last_only and number == 2 * sizes.layers:
            x = np.take(x, np.cumsum(lengths) - 1, axis=1)  # (d, notes)
        pass_through(x, lengths, block, rotations, sizes)
    return rms_norm(x, final_norm, sizes.epsilon)  # (d, t) or (d, notes)


def pass_through(x: Floats, lengths: Sequence[int], block: Block, rotations: Rotations, sizes: Hyperparameters) -> None:
    """Add to `x` (d, t), in place, what one half of a layer makes of it."""
    normed = rms_norm(x, block.norm, sizes.epsilon)  # (d, t)
    match block:
        case AttentionWeights():
            x += attention(normed, lengths, block, rotations, sizes)  # (d, t)
        case FeedForwardWeights():
            x += feed_forward(normed, block)  # (d, t)


def rms_norm(x: Floats, weight: Floats, epsilon: float) -> Floats:
    """Columns (d, t) divided by their root mean square, times `weight` (d,)."""
    mean_square = np.einsum("dt,dt->t", x, x) / np.float32(len(x))  # (t,)
    normed = x * weight[:, None]  # (d, t)
    normed /= np.sqrt(mean_square + np.float32(epsilon))
    return normed


def rope_rotations(lengths: Sequence[int], sizes: Hyperparameters, factors: Floats | None = None) -> Rotations:
    """cos and sin of every angle: position p and pair j of a head turn by p scale / (base^(2j/w) factor_j).

    Args:
        lengths: tokens of each note; positions begin at 0 in each.
        sizes: of the network.
        factors: (w / 2,), one per pair, in files whose context was stretched as LLaMA 3.1's was.
    """
    pairs = np.arange(0, sizes.head_width, 2) / sizes.head_width  # (w/2,)
    frequency = sizes.rope_base**-pairs * sizes.rope_scale / (1 if factors is None else factors)  # (w/2,)
    angles = frequency[:, None] * np.arange(max(lengths))  # (w/2, positions)
    columns = np.concatenate([np.arange(length) for length in lengths])  # (t,)
    return Rotations(*(part(angles).astype(np.float32)[:, columns] for part in (np.cos, np.sin)))  # (w/2, t) each


def attention(
    x: Floats, lengths: Sequence[int], weights: AttentionWeights, rotations: Rotations, sizes: Hyperparameters
) -> Floats:
    """Causal self-attention (d, t) -> (d, t) with grouped queries, each note for itself."""
    heads, kv_heads, w = sizes.heads, sizes.kv_heads, sizes.head_width
    qkv = weights.qkv(x).reshape(-1, w, x.shape[1])  # (h + 2v, w, t)
    _turn(qkv[: heads + kv_heads], rotations)
    mixed = np.empty((heads, w, x.shape[1]), np.float32)  # (h, w, t)
    start = 0
    for length, notes in groupby(lengths):
        count = sum(1 for _ in notes)
        columns = slice(start, start + count * length)
        start = columns.stop
        run = qkv[:, :, columns].reshape(-1, w, count, length).transpose(2, 0, 1, 3)  # (n, h + 2v, w, l)
        q, k, v = np.split(run, [heads, heads + kv_heads], axis=1)  # (n, h, w, l), (n, v, w, l) twice
        mixed[:, :, columns] = _mix(q, k, v).transpose(1, 2, 0, 3).reshape(heads, w, -1)  # (h, w, n l)
    return weights.output(mixed.reshape(heads * w, -1))  # (d, t)


def _turn(x: Floats, rotations: Rotations) -> None:
    """Turn the pairs of queries and keys (h + v, w, t) in place; a GGUF file stores a pair side by side."""
    pairs = x.reshape(len(x), -1, 2, x.shape[-1])  # (h + v, w/2, 2, t)
    even, odd = pairs[:, :, 0], pairs[:, :, 1]  # (h + v, w/2, t) each
    turned = even * rotations.cos - odd * rotations.sin  # (h + v, w/2, t)
    odd *= rotations.cos
    odd += even * rotations.sin
    even[...] = turned


def _mix(q: Floats, k: Floats, v: Floats) -> Floats:
    """Values weighed by the softmax of queries on keys, earlier tokens only: (n, h, w, l)."""
    n, heads, w, length = q.shape
    q = q.reshape(n, k.shape[1], -1, w, length)  # (n, v, g, w, l)
    mixed = np.empty_like(q)
    for first in range(0, length, QUERIES):
        last = min(first + QUERIES, length)
        keys, values = (part[:, :, None, :, :last] for part in (k, v))  # (n, v, 1, w, last) each
        scores: Floats = q[..., first:last].swapaxes(-1, -2) @ keys  # (n, v, g, last - first, last): a row a query
        scores *= np.float32(w**-0.5)
        scores[..., first:] += np.triu(np.full((last - first, last - first), -np.inf, np.float32), 1)
        scores -= scores.max(axis=-1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=-1, keepdims=True)
        mixed[..., first:last] = values @ scores.swapaxes(-1, -2)  # (n, v, g, w, last - first)
    return mixed.reshape(n, heads, w, length)


def feed_forward(x: Floats, weights: FeedForwardWeights) -> Floats:
    """SwiGLU (d, t) -> (d, t): down(silu(gate(x)) * up(x))."""
    gate, up = np.split(weights.gate_up(x), 2)  # (f, t) each
    up *= gate
    with np.errstate(over="ignore"):  # exp(-gate) = inf is right: silu is 0 there
        np.exp(np.negative(gate, out=gate), out=gate)
    gate += np.float32(1)
    up /= gate  # (f, t)
    return weights.down(up)  # (d, t)
