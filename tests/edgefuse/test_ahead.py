"""Work done ahead: in order, and not too far."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from edgefuse.ahead import ahead


def test_ahead_keeps_the_order_and_its_distance() -> None:
    started: list[int] = []

    def work(item: int) -> int:
        started.append(item)
        time.sleep(0.002 if item % 2 else 0)
        return item * item

    def items() -> Iterator[int]:
        yield from range(30)

    for k, result in enumerate(ahead(work, items(), workers=3, depth=5)):
        assert result == k * k
        assert len(started) <= k + 1 + 5
    assert sorted(started) == list(range(30))


def test_ahead_passes_an_error_on_when_its_turn_comes() -> None:
    results = ahead(lambda item: 6 // item, [2, 1, 0, 3], workers=2, depth=4)
    assert (next(results), next(results)) == (3, 6)
    with pytest.raises(ZeroDivisionError):
        next(results)
