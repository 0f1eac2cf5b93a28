"""Buffers: used again when nothing lies in them any more, and never before."""

from __future__ import annotations

import numpy as np
import pytest

from edgefuse_runtimes.onnx.buffers import SMALL, Buffers

pytestmark = pytest.mark.field


def test_an_array_that_no_value_lies_in_is_used_again() -> None:
    buffers = Buffers()
    first = buffers.take((100, 200))
    buffers.settle()

    again = buffers.take((50, 300))

    assert np.shares_memory(first, again)
    assert again.shape == (50, 300)
    assert again.dtype == np.float32


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x,
        lambda x: x.reshape(-1)[5000:].reshape(2, -1),
        lambda x: np.broadcast_to(x.transpose(1, 0)[None], (3, 200, 100)),
        lambda x: np.lib.stride_tricks.sliding_window_view(x, (5, 5)),
        lambda x: np.split(x, 2)[1],
    ],
)
def test_an_array_that_a_view_still_lies_in_is_kept(view: object) -> None:
    buffers = Buffers()
    array = buffers.take((100, 200))
    value = view(array)  # type: ignore[operator]
    buffers.hold(value)
    buffers.settle()

    assert not np.shares_memory(buffers.take((100, 200)), array)

    buffers.drop(value)
    buffers.settle()
    assert any(np.shares_memory(buffers.take((100, 200)), array) for _ in range(2))


def test_each_of_two_values_keeps_its_array() -> None:
    buffers = Buffers()
    array = buffers.take((SMALL, 2))
    for value in (array[0], array[1]):
        buffers.hold(value)
    buffers.drop(array[0])
    buffers.settle()

    assert not np.shares_memory(buffers.take((SMALL, 2)), array)


def test_longer_and_longer_arrays_do_not_pile_up() -> None:
    buffers = Buffers()
    for length in range(1, 50):
        buffers.take((length, SMALL))
        buffers.settle()

    kept = [buffers.take((1, SMALL)), buffers.take((1, SMALL))]
    assert kept[0].base.size == 49 * SMALL
    assert kept[1].base.size == SMALL
