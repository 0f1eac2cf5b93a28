"""What all peers' encoders share: one sample at a time, pooled by the very code that edgefuse's engines use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefuse_runtimes.closing import Closing
from edgefuse_runtimes.contract import Batch
from edgefuse_runtimes.onnx.vectors import encode_each
from edgefuse_runtimes.spec import EncoderSpec

Floats = NDArray[np.float32]


class PeerEncoder(Closing):
    """An `Encoder` made of a function that runs one sample."""

    def __init__(self, spec: EncoderSpec, run: Callable[[NDArray[Any]], Floats], library: str, version: str) -> None:
        """Hold what was opened.

        Args:
            spec: of edgefuse's main file.
            run: pixels (1, 3, H, W) float32 or ids (1, t) int64 -> hidden states (1, tokens, d), or (1, d) where the
                pooling is "none".
            library: that runs it.
            version: of the library.
        """
        self.spec = spec
        self._run = run
        self._info = {"engine": library, "version": f"{library} {version}"}

    def encode(self, batch: Batch) -> Floats:
        """Vectors (n, d) of pictures (n, 3, H, W) or of n notes (t,)."""
        return encode_each(self._run, batch, self.spec)

    def info(self) -> dict[str, Any]:
        """The library and its version."""
        return dict(self._info)

    def close(self) -> None:
        """Nothing to do: the process ends."""
