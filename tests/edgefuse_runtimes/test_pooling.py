"""Pooling and L2 normalisation, on hidden states small enough to check by eye."""

from __future__ import annotations

import numpy as np
import pytest

from edgefuse_runtimes.pooling import l2_normalize, pool

pytestmark = pytest.mark.field

HIDDEN = np.array([[1, 2], [3, 4], [5, 9]], np.float32)  # (3, 2)


@pytest.mark.parametrize(("pooling", "expected"), [("cls", [1, 2]), ("last", [5, 9]), ("mean", [3, 5])])
def test_one_vector_stands_for_all_tokens(pooling: str, expected: list[float]) -> None:
    vector = pool(HIDDEN, pooling)

    assert vector.dtype == np.float32
    np.testing.assert_array_equal(vector, expected)


def test_none_means_that_the_vector_is_there_already() -> None:
    np.testing.assert_array_equal(pool(HIDDEN[1], "none"), [3, 4])


def test_rows_get_the_length_one_and_a_zero_row_stays_zero() -> None:
    rows = l2_normalize(np.array([[3, 4], [0, 0]], np.float32))

    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0, 0]], rtol=1e-6)
