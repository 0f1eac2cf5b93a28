"""Integer products in floating point, against the same in 64-bit integers: equal, not close."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgefuse_runtimes.onnx.quantized import EXACT, dynamic_levels, exact_parts, matmul_integer

onnx = pytest.importorskip("onnx", reason="needs the extra export: onnx makes the models to read")

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
def test_no_part_of_a_weight_can_sum_up_beyond_what_float32_holds(weight: np.ndarray) -> None:
    starts = exact_parts(weight)

    assert starts[0] == 0
    parts = [weight[start:end].astype(int) for start, end in pairwise([*starts, len(weight)])]
    assert all(255 * np.abs(part).sum(axis=0).max() <= EXACT for part in parts)


def test_a_weight_is_not_cut_without_need() -> None:
    parts = {name: exact_parts(weight) for name, weight in WEIGHTS.items()}

    assert parts["usual"] == (0,)
    assert parts["just exact in one product"] == (0, 512)
    assert exact_parts(np.empty((0, 3), np.int8)) == (0,)


@pytest.mark.parametrize("weight", WEIGHTS.values(), ids=WEIGHTS.keys())
def test_matmul_integer_is_exact(weight: np.ndarray) -> None:
    q = RNG.integers(0, 256, (6, len(weight))).astype(np.uint8)

    result = matmul_integer(q, weight, np.array(255, np.uint8))

    np.testing.assert_array_equal(result, integers(q, 255, weight))


@pytest.mark.parametrize("shift", [-30, -1, 0, 1, 30])
def test_dynamic_levels_are_what_onnxruntime_quantises_to_less_its_zero_point(
    shift: int, save_model: Callable[..., Path], reference: Callable[..., Any]
) -> None:
    x = RNG.normal(shift, 3, (5, 64)).astype(np.float32)
    path = save_model(
        [onnx.helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "scale", "zero"])],
        {"x": (np.float32, [5, 64])},
        {"q": (np.uint8, [5, 64]), "scale": (np.float32, []), "zero": (np.uint8, [])},
    )

    q, scale, zero = dynamic_levels(x, np.empty_like(x))

    expected = reference(path, {"x": x})
    np.testing.assert_array_equal(q + zero, expected[0])
    assert (scale, zero) == (expected[1], expected[2])


@pytest.mark.parametrize("low", [0.5, 1.5, 2.5, 100.5])
def test_a_value_that_rounds_beyond_the_last_step_is_cut(low: float) -> None:
    x = np.array([-low, 255 - low], np.float32)  # both ends lie between two steps: the scale is 1

    q, scale, zero = dynamic_levels(x, np.empty_like(x))

    assert scale == 1
    assert (q + zero).min() >= 0
    assert (q + zero).max() <= 255
