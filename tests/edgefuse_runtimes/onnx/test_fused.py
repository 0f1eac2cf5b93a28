"""Fused steps against the formulas they stand for, in double precision or in 64-bit integers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefuse_runtimes.onnx import fused
from edgefuse_runtimes.onnx.buffers import Buffers
from edgefuse_runtimes.onnx.fused import attention, integer_attention, integer_linear, layer_norm, linear
from edgefuse_runtimes.onnx.quantized import exact_parts

RNG = np.random.default_rng(0)
sizes = st.integers(1, 6)


def floats(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)


def unaligned(array: np.ndarray) -> np.ndarray:
    """The same, one byte further in memory than its type likes, as constants lie in a file."""
    raw = np.frombuffer(b"\0" + array.tobytes(), np.uint8)[1:]
    return raw.view(array.dtype).reshape(array.shape)


@given(lead=st.lists(sizes, max_size=2), k=sizes, n=sizes, seed=st.integers(0, 99), stored=st.booleans())
def test_linear(lead: list[int], k: int, n: int, seed: int, stored: bool) -> None:
    x, weight, bias, residual = floats(seed, *lead, 1, k), floats(1, k, n), floats(2, n), floats(3, *lead, 1, n)

    y = linear(x, unaligned(weight) if stored else weight, bias, residual, then=("Add", "Add"), take=Buffers().take)

    expected = x.astype(np.float64) @ weight + bias + residual
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, expected, atol=1e-5)


def test_a_stored_weight_is_made_ready_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    x, weight = floats(0, 5, 30), RNG.integers(-127, 128, (30, 50)).astype(np.int8)
    whole = linear(x, weight, then=(), take=Buffers().take)

    monkeypatch.setattr(fused, "PART", 7 * 30)

    np.testing.assert_allclose(linear(x, weight, then=(), take=Buffers().take), whole, rtol=1e-5)
    np.testing.assert_allclose(whole, x.astype(np.float64) @ weight, rtol=1e-5, atol=1e-3)


# Weights (k, n): usual ones, the heaviest that one product can hold, and heavier ones.
WEIGHTS = {
    "usual": np.clip(np.rint(RNG.normal(0, 35, (1536, 24))), -127, 127).astype(np.int8),
    "just exact in one product": np.full((1024, 3), -128, np.int8),
    "too heavy for one product": np.full((1025, 3), -128, np.int8),
    "far too heavy": RNG.choice(np.array([-128, 127], np.int8), (5000, 4)),
}


@pytest.mark.parametrize("weight", WEIGHTS.values(), ids=WEIGHTS.keys())
@pytest.mark.parametrize("zero", [0, 7, 128, 255])
@pytest.mark.parametrize("fill", ["random", 0, 255])
@pytest.mark.parametrize("stored", [np.int8, np.float32])
def test_an_integer_linear_is_the_exact_integer_product(
    weight: np.ndarray, zero: int, fill: str | int, stored: type
) -> None:
    q = RNG.integers(0, 256, (6, len(weight))) if fill == "random" else np.full((6, len(weight)), fill)
    x = (q - zero).astype(np.float32)

    result = integer_linear(x, weight.astype(stored), parts=exact_parts(weight), then=(), take=Buffers().take)

    exact = (q.astype(np.int64) - zero) @ weight.astype(np.int64)
    np.testing.assert_array_equal(result, exact.astype(np.float32))


def softmax(x: np.ndarray) -> np.ndarray:
    y = np.exp(x - x.max(-1, keepdims=True))
    return np.asarray(y / y.sum(-1, keepdims=True))


@given(
    lead=st.lists(sizes, max_size=2),
    t=st.integers(1, 20),
    s=st.integers(1, 20),
    d=sizes,
    e=sizes,
    seed=st.integers(0, 99),
    at_once=st.sampled_from([1, 50, 1 << 17]),
)
def test_attention(lead: list[int], t: int, s: int, d: int, e: int, seed: int, at_once: int) -> None:
    q, k, v = floats(seed, *lead, t, d), floats(1, *lead, d, s), floats(2, *lead, s, e)
    one = [(), (1,), (1, 1), (1, 1, 1, 1)][seed % 4]  # a number has many shapes
    mask, factor = np.triu(np.full((t, s), -1e9, np.float32), 1), np.full(one, 0.7, np.float32)
    q = np.asfortranarray(q)  # axes in another order in memory

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fused, "SCORES", at_once)
        patch.setattr(fused, "LEAST_ROWS", 3)
        y = attention(q, k, v, factor, mask, then=("Mul", "Add"), take=Buffers().take)

    expected = softmax(q.astype(np.float64) @ k * 0.7 + mask) @ v
    assert y.shape == (*lead, t, e)
    np.testing.assert_allclose(y, expected, atol=1e-5)


def test_what_attention_gives_is_ready_for_the_next_linear_layer() -> None:
    y = attention(
        floats(0, 1, 6, 50, 64), floats(1, 1, 6, 64, 50), floats(2, 1, 6, 50, 64), then=(), take=Buffers().take
    )

    assert np.shares_memory(y, y.transpose(0, 2, 1, 3).reshape(1, 50, 384))


@pytest.mark.parametrize("width", [3, 64, 400])
def test_scores_of_integers_are_exact(width: int) -> None:
    q, k, v = RNG.integers(-255, 256, (2, 5, width)), RNG.integers(-255, 256, (2, width, 4)), floats(0, 2, 4, 3)
    scale = np.float32(1e-4 / width).reshape(())

    y = integer_attention(q.astype(np.float32), k.astype(np.float32), v, scale, then=("Mul",), take=Buffers().take)

    scores = (q @ k).astype(np.float32) * scale  # float32
    np.testing.assert_allclose(y, softmax(scores) @ v, atol=1e-6)


@given(lead=st.lists(sizes, max_size=2), n=st.integers(1, 300), seed=st.integers(0, 99), shift=st.sampled_from([0, 50]))
def test_layer_norm(lead: list[int], n: int, seed: int, shift: int) -> None:
    x, scale, bias = floats(seed, *lead, n) + np.float32(shift), floats(1, n), floats(2, n)

    y = layer_norm(x, scale, bias, epsilon=1e-5, take=Buffers().take)

    exact = x.astype(np.float64)
    expected = (exact - exact.mean(-1, keepdims=True)) / np.sqrt(exact.var(-1, keepdims=True) + 1e-5) * scale + bias
    np.testing.assert_allclose(y, expected, atol=1e-2 if n < 3 else 3e-4)
