"""Threads that share work which numpy does on one core only, where its BLAS is no help: it lets go of the GIL there."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


class Team:
    """As many threads as asked for, the caller's own one among them."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._others = ThreadPoolExecutor(threads - 1) if threads > 1 else None
        self._own = threading.local()

    def share(self, rows: int, work: Callable[[int, int], None]) -> None:
        """Do `work(first, behind last)` for all of `rows`, each thread an equal part of them, and wait for it."""
        bounds = [rows * part // self._threads for part in range(self._threads + 1)]
        parts = list(pairwise(bounds))
        others = [self._others.submit(work, *part) for part in parts[1:]] if self._others else []
        try:
            work(*parts[0])
        finally:
            for other in others:
                other.result()

    def each(self, count: int, work: Callable[[int], None]) -> None:
        """Do `work(number)` for all numbers below `count`, each time by whichever thread is free, and wait for it."""
        numbers = iter(range(count))  # the GIL lets one thread at a time take the next

        def take() -> None:
            for number in numbers:
                work(number)

        others = [self._others.submit(take) for _ in range(min(self._threads, count) - 1)] if self._others else []
        try:
            take()
        finally:
            for other in others:
                other.result()

    def scratch(self, values: int) -> Floats:
        """Memory of the calling thread (values,), the same at every call; what it holds is lost then."""
        own: Floats | None = getattr(self._own, "values", None)
        if own is None or len(own) < values:
            own = self._own.values = np.empty(values, np.float32)
        return own[:values]

    def close(self) -> None:
        """End the threads; their memory goes with them."""
        if self._others is not None:
            self._others.shutdown()
        self._own = threading.local()
