"""Memory that the steps of a program take in turn: fresh pages cost more time than many a step does."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from edgefuse_runtimes.onnx.tensor import Array

Take = Callable[[Sequence[int]], Array]
"""A float32 array of a shape, with any values in it."""


def new_array(shape: Sequence[int]) -> Array:
    """A `Take` that keeps nothing."""
    return np.empty(shape, np.float32)


SMALL = 1 << 12
"""Arrays of fewer numbers are left to the allocator, which keeps them at hand itself."""


class Buffers:
    """Float32 arrays that are used again as soon as no value of the graph lies in them.

    A step takes arrays, for what it gives or for what passes inside it. `run` says which values live: `hold` when one
    is given, `drop` after its last use, whether they are such arrays, views of them or neither. `settle` takes back
    what no living value lies in. Not for two threads at a time.
    """

    def __init__(self) -> None:
        self._free: list[Array] = []
        self._taken: dict[int, Array] = {}  # by id
        self._values: dict[int, int] = {}  # how many living values lie in each of them

    def take(self, shape: Sequence[int]) -> Array:
        """A float32 array of this shape with any values in it."""
        size = math.prod(shape)
        if size < SMALL:
            return np.empty(shape, np.float32)
        fitting = [i for i, buffer in enumerate(self._free) if buffer.size >= size]
        if fitting:
            buffer = self._free.pop(min(fitting, key=lambda i: self._free[i].size))
        else:
            if self._free:  # so that notes that get longer and longer do not leave one more each behind
                self._free.pop(max(range(len(self._free)), key=lambda i: self._free[i].size))
            buffer = np.empty(size, np.float32)
        self._taken[id(buffer)] = buffer
        self._values[id(buffer)] = 0
        return buffer[:size].reshape(shape)  # shape

    def hold(self, value: Array) -> None:
        """A value lives from now on."""
        owner = self._owner(value)
        if owner is not None:
            self._values[owner] += 1

    def drop(self, value: Array) -> None:
        """A value that was held is needed no more."""
        owner = self._owner(value)
        if owner is not None:
            self._values[owner] -= 1

    def settle(self) -> None:
        """Take back every array in which no living value lies."""
        for owner in [owner for owner, values in self._values.items() if not values]:
            del self._values[owner]
            self._free.append(self._taken.pop(owner))

    def settle_all(self) -> None:
        """Take back every array: no value lives any more."""
        self._values = dict.fromkeys(self._values, 0)
        self.settle()

    def _owner(self, value: Array) -> int | None:
        holder: object = value
        while holder is not None:
            if id(holder) in self._taken:
                return id(holder)
            holder = getattr(holder, "base", None)
        return None
