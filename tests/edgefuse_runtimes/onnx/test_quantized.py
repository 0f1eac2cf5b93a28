"""Integer products in floating point, against the same in 64-bit integers: equal, not close."""

from __future__ import annotations

import numpy as np
import pytest

from edgefuse_runtimes.onnx.quantized import (
    centred_quantize,
    dynamic_quantize_linear,
    exact_depth,
    matmul_integer,
    quantized_linear,
)

RNG = np.random.default_rng(0)

# Weights (k, n): usual ones, the heaviest that one product can hold, and heavier ones.
WEIGHTS = {
    "usual": np.clip(np.rint(RNG.normal(0, 35, (1536, 24))), -127, 127).astype(np.int8),
    "just exact in one product": np.full((1024, 3), -128, np.int8),
    "too heavy for one product": np.full((1025, 3), -128, np.int8),
    "far too heavy": RNG.choice(np.array([-128, 127], np.int8), (5000, 4)),
}


def integers(q: np.ndarray, zero: int, weight: np.ndarray) -> np.ndarray:
    return (q.astype(np.int64) - zero) @ weight.astype(np.int64)


@pytest.mark.parametrize("weight", WEIGHTS.values(), ids=WEIGHTS.keys())
@pytest.mark.parametrize("zero", [0, 7, 128, 255])
@pytest.mark.parametrize("fill", ["random", 0, 255])
@pytest.mark.parametrize("stored", [np.int8, np.float32])
def test_a_quantized_linear_is_the_exact_integer_product(
    weight: np.ndarray, zero: int, fill: str | int, stored: type
) -> None:
    q = RNG.integers(0, 256, (6, len(weight))) if fill == "random" else np.full((6, len(weight)), fill)
    one = np.float32(1)

    result = quantized_linear(
        (q - 128).astype(np.float32),
        one,
        np.float32(zero),
        weight.astype(stored),
        weight.sum(axis=0, dtype=np.float32),
        one,
        depth=exact_depth(weight),
    )

    np.testing.assert_array_equal(result, integers(q, zero, weight).astype(np.float32))


def test_depth_is_whole_where_a_column_is_light_enough() -> None:
    depths = {name: exact_depth(weight) for name, weight in WEIGHTS.items()}

    assert depths == {
        "usual": 1536,
        "just exact in one product": 1024,
        "too heavy for one product": 1024,
        "far too heavy": 1024,
    }


@pytest.mark.parametrize("weight", WEIGHTS.values(), ids=WEIGHTS.keys())
def test_matmul_integer_is_exact(weight: np.ndarray) -> None:
    q = RNG.integers(0, 256, (6, len(weight))).astype(np.uint8)

    result = matmul_integer(q, weight, np.array(255, np.uint8))

    np.testing.assert_array_equal(result, integers(q, 255, weight))


@pytest.mark.parametrize("shift", [-30, -1, 0, 1, 30])
def test_centred_quantize_is_dynamic_quantize_linear_less_128(shift: int) -> None:
    x = RNG.normal(shift, 3, (5, 64)).astype(np.float32)

    q, scale, zero = dynamic_quantize_linear(x)
    centred, same_scale, same_zero = centred_quantize(x)

    np.testing.assert_array_equal(centred, q.astype(np.float32) - 128)
    assert (same_scale, same_zero) == (scale, zero)
    assert np.abs((q.astype(np.float32) - zero) * scale - x).max() <= scale * 0.51
