"""Q8_0 blocks, byte by byte those of the gguf package, which are those of llama.cpp."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefuse_export.q8_0 import CHUNK_VALUES, quantize_q8_0

gguf = pytest.importorskip("gguf", reason="gguf is not installed (extra export)")


def same_bytes(values: np.ndarray) -> None:
    expected = gguf.quants.quantize(values, gguf.GGMLQuantizationType.Q8_0)
    found = quantize_q8_0(values)
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    np.testing.assert_array_equal(found, expected)


@settings(max_examples=100, deadline=None)
@given(rows=st.integers(1, 5), blocks=st.integers(1, 4), exponent=st.integers(-24, 15), seed=st.integers(0, 2**32 - 1))
def test_random_values_of_any_size(rows: int, blocks: int, exponent: int, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=(rows, 32 * blocks)) * 2.0**exponent
    same_bytes(values.astype(np.float32))
    same_bytes(np.clip(values, -65504, 65504).astype(np.float16))


def test_every_float16() -> None:
    values = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    same_bytes(np.resize(values[np.isfinite(values)], (62, 1024)))


def test_halves_and_their_neighbours_are_rounded_away_from_zero_alone() -> None:
    halves = np.arange(-126.5, 127, 1, dtype=np.float32)
    around = np.concatenate([halves, np.nextafter(halves, np.float32(0)), np.nextafter(halves, np.float32(999))])
    rows = np.full((-(-len(around) // 31), 32), np.float32(127))  # a largest value of 127 makes the scale 1
    rows[:, 1:].flat[: len(around)] = around
    same_bytes(rows)
    assert (rows == np.float32(0.49999997)).any()


def test_zeros_alone_and_negative_zeros() -> None:
    rows = np.zeros((2, 64), np.float32)
    rows[1] = -0.0
    same_bytes(rows)
    same_bytes(rows.astype(np.float16))


def test_more_values_than_one_chunk() -> None:
    values = np.random.default_rng(0).normal(size=(5, CHUNK_VALUES // 2 + 32)).astype(np.float16)
    same_bytes(values)
