"""Weights rounded to whole levels of 8 bits, so that the layer's outputs, not each weight, stay as they are."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefuse_export.int8.moments import Doubles

LARGEST = 127
"""The largest level of an int8 weight."""

PAIR = 128
"""The most that two neighbours of one sign may add up to.

x86 processors with AVX2 and no VNNI multiply two neighbouring int8 weights with uint8 activations at a time, and cut
the sum at 32767 (vpmaddubsw). 255 * 128 = 32640 is below, so such a pair is exact on every processor.
"""

DAMPING = 0.01
"""Added to the diagonal of the second moments, in parts of its mean: they may be singular."""

BLOCK = 128
"""Rows that are rounded before the others hear of it; speed only."""


def scales(weight: NDArray[Any]) -> Doubles:
    """Scale (n,) of each column of a weight (k, n): the least with which no level and no pair is too large."""
    columns = weight.astype(np.float64)
    single = np.abs(columns).max(axis=0, initial=0) / LARGEST  # (n,)
    pairs = columns[: len(columns) // 2 * 2].reshape(-1, 2, columns.shape[1])  # (k / 2, 2, n)
    up = np.maximum(pairs, 0).sum(axis=1).max(axis=0, initial=0)  # (n,)
    down = np.maximum(-pairs, 0).sum(axis=1).max(axis=0, initial=0)  # (n,)
    scale = np.maximum(single, np.maximum(up, down) / PAIR)  # (n,)
    return np.where(scale == 0, 1, scale)


def nearest(weight: NDArray[np.float32], scale: Doubles) -> NDArray[np.int8]:
    """The nearest levels (k, n), pairs kept in bounds."""
    levels = np.zeros(weight.shape)
    for row, values in enumerate(weight / scale):
        levels[row] = _level(values, levels[row - 1] if row % 2 else None)
    return levels.astype(np.int8)


def compensated(weight: NDArray[Any], scale: Doubles, second: Doubles) -> NDArray[np.int8]:
    """Levels (k, n) of a weight, each row making up for what the rows before it were rounded by.

    GPTQ (Frantar et al. 2023, arXiv 2210.17323), with rows in the order of their weight in the second moments, two by
    two, so that pairs stay neighbours.

    Args:
        weight: (k, n).
        scale: of each column (n,).
        second: sum of x x^T over the layer's inputs (k, k).
    """
    order = _heaviest_pairs_first(np.diag(second))  # (k,)
    rest = weight[order].astype(np.float64)  # (k, n)
    root = _inverse_root(second[np.ix_(order, order)])  # (k, k), upper triangle
    levels = np.zeros_like(rest)
    for start in range(0, len(rest), BLOCK):
        end = min(start + BLOCK, len(rest))
        errors = np.zeros((end - start, rest.shape[1]))
        for row in range(start, end):
            is_second = order[row] % 2 == 1
            levels[row] = _level(rest[row] / scale, levels[row - 1] if is_second else None)
            errors[row - start] = (rest[row] - levels[row] * scale) / root[row, row]  # (n,)
            rest[row + 1 : end] -= np.outer(root[row, row + 1 : end], errors[row - start])
        rest[end:] -= root[start:end, end:].T @ errors
    result = np.zeros_like(levels)
    result[order] = levels
    return result.astype(np.int8)


def _level(values: Doubles, partner: Doubles | None) -> Doubles:
    """The nearest level of each value (n,) that is allowed beside the level of its partner."""
    highest, lowest = np.float64(LARGEST), np.float64(-LARGEST)
    if partner is None:
        return np.clip(np.rint(values), lowest, highest)
    return np.clip(
        np.rint(values),
        np.maximum(lowest, -(PAIR - np.maximum(-partner, 0))),
        np.minimum(highest, PAIR - np.maximum(partner, 0)),
    )


def _heaviest_pairs_first(diagonal: Doubles) -> NDArray[np.int64]:
    """Rows in pairs (2i, 2i + 1), those with the largest sum of `diagonal` first; an odd one comes last."""
    pairs = diagonal[: len(diagonal) // 2 * 2].reshape(-1, 2).sum(axis=1)  # (k / 2,)
    first = 2 * np.argsort(-pairs, kind="stable")  # (k / 2,)
    order = np.stack([first, first + 1], axis=1).reshape(-1)  # (k,)
    return np.concatenate([order, np.arange(len(order), len(diagonal))])


def _inverse_root(second: Doubles) -> Doubles:
    """The upper triangle U with U^T U = (second + damping)^-1."""
    damped = second + np.eye(len(second)) * max(DAMPING * float(np.diag(second).mean()), 1e-12)
    return np.linalg.cholesky(np.linalg.inv(damped)).T
