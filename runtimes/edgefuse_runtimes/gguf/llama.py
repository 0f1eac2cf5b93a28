"""The forward pass of the LLaMA architecture: pure functions over arrays laid out as in GGUF files.

Letters in the shape comments: t tokens of all notes laid end to end, d width, h heads, v key/value heads,
g = h / v heads that share one of these, w width of a head, f width of the feed-forward part, n notes of equal
length l.
Sources: llama.cpp's graph of LLM_ARCH_LLAMA; Touvron et al., arXiv 2302.13971 (the network); Su et al.,
arXiv 2104.09864 (RoPE); Zhang and Sennrich, arXiv 1910.07467 (RMSNorm); Shazeer, arXiv 2002.05202 (SwiGLU).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Rotations = NDArray[np.complex64]


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


class AttentionWeights(NamedTuple):
    """The first half of a layer."""

    norm: Floats  # (d,)
    qkv: Floats  # ((h + 2v) w, d): queries, keys and values below one another
    output: Floats  # (d, h w)


class FeedForwardWeights(NamedTuple):
    """The second half of a layer."""

    norm: Floats  # (d,)
    gate_up: Floats  # (2f, d): gate above up
    down: Floats  # (d, f)


Block = AttentionWeights | FeedForwardWeights


def hidden_states(
    x: Floats,
    lengths: Sequence[int],
    blocks: Iterable[Block],
    final_norm: Floats,
    rotations: Rotations,
    sizes: Hyperparameters,
) -> Floats:
    """Hidden states (t, d) after the final norm, of notes that do not see one another.

    Args:
        x: token embeddings (t, d) of all notes, one after another; overwritten.
        lengths: tokens of each note, t in all; notes of equal length beside each other are the fastest.
        blocks: attention and feed-forward halves in the order of the layers; may be made one at a time.
        final_norm: (d,).
        rotations: (longest note, w / 2), as made by `rope_rotations`.
        sizes: of the network.
    """
    for block in blocks:
        pass_through(x, lengths, block, rotations, sizes)
    return rms_norm(x, final_norm, sizes.epsilon)  # (t, d)


def pass_through(x: Floats, lengths: Sequence[int], block: Block, rotations: Rotations, sizes: Hyperparameters) -> None:
    """Add to `x` (t, d), in place, what one half of a layer makes of it."""
    normed = rms_norm(x, block.norm, sizes.epsilon)  # (t, d)
    match block:
        case AttentionWeights():
            x += attention(normed, lengths, block, rotations, sizes)  # (t, d)
        case FeedForwardWeights():
            x += feed_forward(normed, block)  # (t, d)


def rms_norm(x: Floats, weight: Floats, epsilon: float) -> Floats:
    """Rows (t, d) divided by their root mean square, times `weight` (d,)."""
    mean_square = np.einsum("td,td->t", x, x)[:, None] / np.float32(x.shape[-1])  # (t, 1)
    normed: Floats = x / np.sqrt(mean_square + np.float32(epsilon)) * weight  # (t, d)
    return normed


def rope_rotations(positions: int, sizes: Hyperparameters, factors: Floats | None = None) -> Rotations:
    """cos + i sin of every angle: position p and pair j of a head turn by p scale / (base^(2j/w) factor_j).

    Args:
        positions: how many, from 0.
        sizes: of the network.
        factors: (w / 2,), one per pair, in files whose context was stretched as LLaMA 3.1's was.
    """
    pairs = np.arange(0, sizes.head_width, 2) / sizes.head_width  # (w/2,)
    frequency = sizes.rope_base**-pairs * sizes.rope_scale / (1 if factors is None else factors)  # (w/2,)
    angles = np.arange(positions)[:, None] * frequency  # (positions, w/2)
    rotations: Rotations = np.exp(1j * angles).astype(np.complex64)  # (positions, w/2)
    return rotations


def attention(
    x: Floats, lengths: Sequence[int], weights: AttentionWeights, rotations: Rotations, sizes: Hyperparameters
) -> Floats:
    """Causal self-attention (t, d) -> (t, d) with grouped queries, each note for itself."""
    heads, kv_heads, w = sizes.heads, sizes.kv_heads, sizes.head_width
    qkv = (x @ weights.qkv.T).reshape(len(x), -1, w)  # (t, h + 2v, w)
    mixed = np.empty((len(x), heads, w), np.float32)  # (t, h, w)
    start = 0
    for length, notes in groupby(lengths):
        count = sum(1 for _ in notes)
        rows = slice(start, start + count * length)
        start = rows.stop
        run = qkv[rows].reshape(count, length, -1, w)  # (n, l, h + 2v, w)
        # A GGUF file stores queries and keys so that neighbouring values are the pair that turns together.
        turned = run[:, :, : heads + kv_heads].view(np.complex64)  # (n, l, h + v, w/2)
        turned *= rotations[:length, None]  # (l, 1, w/2)
        q, k, v = np.split(run, [heads, heads + kv_heads], axis=2)  # (n, l, h, w), (n, l, v, w) twice
        mixed[rows] = _mix(q, k, v).reshape(-1, heads, w)  # (n l, h, w)
    return mixed.reshape(len(x), -1) @ weights.output.T  # (t, d)


def _mix(q: Floats, k: Floats, v: Floats) -> Floats:
    """Values weighed by the softmax of queries on keys, earlier tokens only: (n, l, h, w)."""
    n, length, heads, w = q.shape
    kv_heads = k.shape[2]
    q = q.reshape(n, length, kv_heads, -1, w).transpose(0, 2, 3, 1, 4)  # (n, v, g, l, w)
    scores: Floats = q.reshape(n, kv_heads, -1, w) @ k.transpose(0, 2, 3, 1)  # (n, v, g l, l)
    scores *= np.float32(w**-0.5)
    by_query = scores.reshape(n, kv_heads, -1, length, length)  # (n, v, g, l, l)
    by_query += np.triu(np.full((length, length), -np.inf, np.float32), 1)  # (l, l)
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)
    mixed: Floats = scores @ v.transpose(0, 2, 1, 3)  # (n, v, g l, w)
    mixed = mixed.reshape(n, kv_heads, -1, length, w).transpose(0, 3, 1, 2, 4)  # (n, l, v, g, w)
    return mixed.reshape(n, length, heads, w)  # (n, l, h, w)


def feed_forward(x: Floats, weights: FeedForwardWeights) -> Floats:
    """SwiGLU (t, d) -> (t, d): down(silu(gate(x)) * up(x))."""
    gate, up = np.split(x @ weights.gate_up.T, 2, axis=1)  # (t, f) each
    with np.errstate(over="ignore"):  # exp(-gate) = inf is right: silu is 0 there
        up *= gate / (np.float32(1) + np.exp(-gate))  # (t, f)
    y: Floats = up @ weights.down.T  # (t, d)
    return y
