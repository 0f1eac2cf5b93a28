"""A native engine with numpy behind it: whatever happens to the first, every sample gets its vector."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefuse_runtimes.closing import Closing
from edgefuse_runtimes.contract import Batch, Encoder
from edgefuse_runtimes.errors import EngineUnavailable


class FallbackEncoder(Closing):
    """An `Encoder` that is replaced by another one, for good, when its engine dies, hangs or fails over a sample."""

    def __init__(
        self, native: Encoder, second: Callable[[], Encoder], replaced: Callable[[EngineUnavailable], None]
    ) -> None:
        """Nothing is opened yet.

        Args:
            native: the encoder to use as long as it works.
            second: opens the one that takes over.
            replaced: told why, once.
        """
        self.spec = native.spec
        self._encoder = native
        self._second: Callable[[], Encoder] | None = second
        self._replaced = replaced
        self._lock = threading.Lock()

    def encode(self, batch: Batch) -> NDArray[np.float32]:
        """Vectors (n, d); the whole batch is encoded again where the engine failed in the middle of it.

        Raises:
            BadInput: the engine refused a sample.
            EngineUnavailable: the encoder is closed.
        """
        encoder = self._encoder
        try:
            return encoder.encode(batch)
        except EngineUnavailable as error:
            with self._lock:
                if self._encoder is encoder:  # else another thread was here first
                    if self._second is None:
                        raise
                    encoder.close()
                    self._encoder, self._second = self._second(), None
                    self._replaced(error)
            return self._encoder.encode(batch)

    def info(self) -> dict[str, Any]:
        """What the engine that works now says of itself."""
        return self._encoder.info()

    def close(self) -> None:
        """Give the memory back; a call under way in another thread ends with an error."""
        with self._lock:
            self._second = None
            self._encoder.close()
