"""The functions numpy lacks, against the standard library's in double precision."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edgefuse_runtimes.onnx.elementwise import BLOCK, divide, erf, gelu, sigmoid

pytestmark = pytest.mark.field

LINE = np.concatenate([np.linspace(-6, 6, 40_001), [0, -0.0, 1e-30, -1e-7, 30, -30]]).astype(np.float32)


def test_erf_is_within_half_a_millionth_everywhere() -> None:
    expected = np.array([math.erf(value) for value in LINE.tolist()])

    assert np.abs(erf(LINE).astype(np.float64) - expected).max() <= 5e-7


def test_gelu_is_within_a_millionth_everywhere() -> None:
    expected = np.array([0.5 * value * math.erfc(-value / math.sqrt(2)) for value in LINE.tolist()])

    assert np.abs(gelu(LINE).astype(np.float64) - expected).max() <= 1e-6


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("function", [erf, gelu, sigmoid])
def test_the_type_is_kept(function: object, dtype: type) -> None:
    assert function(np.ones(3, dtype)).dtype == dtype  # type: ignore[operator]


def test_blocks_do_not_show() -> None:
    x = np.random.default_rng(0).normal(0, 1, (3, BLOCK + 7, 2)).astype(np.float32)

    whole = gelu(x.transpose(2, 0, 1))  # an array that is not contiguous

    one_by_one = np.stack([gelu(np.ascontiguousarray(x[:, :, i])) for i in range(2)])
    np.testing.assert_array_equal(whole, one_by_one)


def test_sigmoid_does_not_overflow() -> None:
    np.testing.assert_array_equal(sigmoid(np.array([-1e4, 0, 1e4], np.float32)), [0, 0.5, 1])


def test_integers_are_divided_towards_zero() -> None:
    np.testing.assert_array_equal(divide(np.array([7, -7, 7, -7, 6]), np.array([2, 2, -2, -2, -2])), [3, -3, -3, 3, -3])
