"""Work that is done in threads before its result is asked for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


def ahead(work: Callable[[A], B], items: Iterable[A], *, workers: int, depth: int) -> Iterator[B]:
    """Results of `work` in order, at most `depth` of them computed in threads before they are asked for."""
    pool = ThreadPoolExecutor(workers)
    source = iter(items)
    try:
        waiting = deque(pool.submit(work, item) for item in islice(source, depth))
        while waiting:
            done = waiting.popleft().result()
            waiting.extend(pool.submit(work, item) for item in islice(source, 1))
            yield done
    finally:
        pool.shutdown(cancel_futures=True)
