"""Levels that every processor multiplies exactly, and that keep a layer's outputs rather than its weights."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefuse_export.int8 import rounding


def some_weight(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    """Weights (k, n) with a few large rows, as real ones have."""
    rng = np.random.default_rng(seed)
    return (rng.standard_t(3, (rows, columns)) * rng.uniform(0.1, 2, (rows, 1))).astype(np.float32)


def some_moments(rows: int, seed: int = 0) -> np.ndarray:
    """Second moments (k, k) of inputs that depend on each other."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(300, rows // 3 + 1)) @ rng.normal(size=(rows // 3 + 1, rows)) + 0.1 * rng.normal(
        size=(300, rows)
    )
    return x.T @ x


def product_that_saturates(q: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """q (m, k) uint8 times levels (k, n) int8 as vpmaddubsw does it: sums of two are cut to 16 bits."""
    if len(levels) % 2:
        q, levels = np.pad(q, ((0, 0), (0, 1))), np.pad(levels, ((0, 1), (0, 0)))
    terms = q[:, :, None].astype(np.int32) * levels[None].astype(np.int32)  # (m, k, n)
    pairs = terms[:, 0::2] + terms[:, 1::2]  # (m, k / 2, n)
    return np.clip(pairs, -32768, 32767).sum(axis=1)


@given(st.integers(1, 40), st.integers(1, 6), st.integers(0, 10_000), st.booleans())
def test_no_processor_cuts_a_sum(rows: int, columns: int, seed: int, compensate: bool) -> None:
    weight, second = some_weight(rows, columns, seed), some_moments(rows, seed)
    scale = rounding.scales(weight)
    levels = rounding.compensated(weight, scale, second) if compensate else rounding.nearest(weight, scale)
    rng = np.random.default_rng(seed)
    q = rng.choice([0, 255, 254, 128], size=(20, rows)).astype(np.uint8)
    q[0] = 255
    exact = q.astype(np.int64) @ levels.astype(np.int64)
    np.testing.assert_array_equal(product_that_saturates(q, levels), exact)


def test_levels_without_the_bound_are_cut() -> None:
    """What the bound is for: the largest weights of plain symmetric rounding are too large side by side."""
    levels = np.full((2, 1), 127, np.int8)
    q = np.full((1, 2), 255, np.uint8)
    assert product_that_saturates(q, levels).item() == 32767 < 2 * 127 * 255


def test_nearest_levels_are_at_most_half_a_step_off_where_pairs_allow_it() -> None:
    weight = some_weight(64, 5)
    scale = rounding.scales(weight)
    levels = rounding.nearest(weight, scale)
    assert levels.dtype == np.int8
    off = np.abs(levels * scale - weight) / scale
    assert off.max() <= 1.5
    assert (off <= 0.5 + 1e-6).mean() > 0.98


@pytest.mark.parametrize("rows", [64, 65, 300])
def test_compensation_keeps_outputs_nearer_than_nearest_levels_do(rows: int) -> None:
    weight, second = some_weight(rows, 12), some_moments(rows)
    scale = rounding.scales(weight)

    def error(levels: np.ndarray) -> float:
        off = levels * scale - weight  # (k, n)
        return float(np.einsum("kn,kl,ln->", off, second, off))

    near, kept = rounding.nearest(weight, scale), rounding.compensated(weight, scale, second)
    assert error(kept) < 0.5 * error(near)
    assert np.abs(kept).max() <= rounding.LARGEST


def test_without_correlation_compensation_is_the_nearest_level() -> None:
    weight = some_weight(20, 4)
    scale = rounding.scales(weight) * 1.2  # room enough that no pair is bound
    np.testing.assert_array_equal(rounding.compensated(weight, scale, np.eye(20)), rounding.nearest(weight, scale))


def test_a_column_of_zeros_stays_zero() -> None:
    weight = np.zeros((6, 2), np.float32)
    scale = rounding.scales(weight)
    np.testing.assert_array_equal(scale, 1)
    np.testing.assert_array_equal(rounding.compensated(weight, scale, np.zeros((6, 6))), 0)
