"""What follows a product, in blocks and in place, against the whole in double precision."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefuse_runtimes.onnx import inplace
from edgefuse_runtimes.onnx.buffers import Buffers
from edgefuse_runtimes.onnx.inplace import finish

LINE = np.concatenate([np.linspace(-40, 40, 80_001), [0, -0.0, 1e-30, -1e-7]]).astype(np.float32)


def test_gelu_is_within_half_a_millionth_everywhere() -> None:
    expected = np.array([0.5 * value * math.erfc(-value / math.sqrt(2)) for value in LINE.tolist()])

    result = finish(LINE.copy(), ("Gelu",), (), Buffers().take)

    assert (np.abs(result - expected) <= 5e-7 * np.maximum(1, np.abs(expected))).all()


@pytest.mark.parametrize("factor", [1, 1.702, -2])
def test_swish(factor: float) -> None:
    exact = LINE.astype(np.float64)

    result = finish(LINE.copy(), ("Swish",), (np.array(factor, np.float32),), Buffers().take)

    np.testing.assert_allclose(result, exact / (1 + np.exp(-np.float32(factor) * exact)), atol=1e-6, rtol=1e-5)


def gelu(x: np.ndarray) -> np.ndarray:
    return np.vectorize(lambda value: 0.5 * value * math.erfc(-value / math.sqrt(2)))(x)


@given(
    shape=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    then=st.lists(st.sampled_from(["Add", "Mul", "Gelu"]), max_size=4),
    kinds=st.lists(st.sampled_from(["number", "row", "all", "wider"]), min_size=4, max_size=4),
    block=st.sampled_from([1, 7, 1 << 15]),
    seed=st.integers(0, 99),
)
def test_any_chain(shape: list[int], then: list[str], kinds: list[str], block: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    shapes = {"number": (), "row": shape[-1:], "all": tuple(shape), "wider": (2, *shape)}
    y = rng.normal(0, 1, shape).astype(np.float32)
    expected, operands = y.astype(np.float64), []
    for name, kind in zip(then, kinds, strict=False):
        if name == "Gelu":
            expected = gelu(expected)
            continue
        operand = rng.uniform(0.5, 1.5, shapes[kind]).astype(np.float32)
        operands.append(operand)
        expected = expected + operand if name == "Add" else expected * operand

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inplace, "BLOCK", block)
        result = finish(y, then, operands, Buffers().take)

    np.testing.assert_allclose(result, expected, atol=2e-5, rtol=2e-5)
