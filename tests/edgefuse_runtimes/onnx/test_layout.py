"""Arrays that lie in a file at an address their type does not like: read as any other."""

from __future__ import annotations

import numpy as np
import pytest

from edgefuse_runtimes.onnx.layout import gather

pytestmark = pytest.mark.field


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
@pytest.mark.parametrize("indices", [np.array(1), np.array([2, 0, -1]), np.array([[0, 1], [1, -2]])])
def test_gather_from_an_array_that_is_not_aligned(axis: int, indices: np.ndarray) -> None:
    x = np.random.default_rng(0).normal(0, 1, (4, 3, 5)).astype(np.float32)
    raw = np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:]
    stored = raw.view(np.float32).reshape(x.shape)
    assert not stored.flags.aligned

    np.testing.assert_array_equal(gather(stored, indices, axis=axis), x.take(indices, axis))
