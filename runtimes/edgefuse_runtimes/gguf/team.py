"""Threads that share the rows of a product: numpy dequantises on one core only, its BLAS is no help there."""

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
