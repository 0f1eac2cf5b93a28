"""llama-cpp-python as a program calls it: `Llama(embedding=True).embed(text)`, at its own settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefuse_runtimes.closing import Closing
from edgefuse_runtimes.contract import Batch, Memory
from edgefuse_runtimes.pooling import l2_normalize
from edgefuse_runtimes.spec import EncoderSpec, Pooling

Floats = NDArray[np.float32]

_POOLINGS: dict[Pooling, str] = {"last": "LLAMA_POOLING_TYPE_LAST", "mean": "LLAMA_POOLING_TYPE_MEAN"}


class LlamaEmbed(Closing):
    """The class `Llama`; pooling and threads are set, so that it does the same work."""

    def __init__(self, path: Path, spec: EncoderSpec, *, threads: int, memory: Memory) -> None:
        import llama_cpp

        self.spec, self._version = spec, llama_cpp.__version__
        self._model = llama_cpp.Llama(
            str(path), embedding=True, pooling_type=getattr(llama_cpp, _POOLINGS[spec.pooling]),
            n_threads=threads, n_threads_batch=threads, verbose=False,
        )  # fmt: skip

    def encode(self, batch: Batch) -> Floats:
        """Vectors (n, d) of n notes, given as the bytes of their text."""
        notes = [bytes(note.tolist()).decode() for note in batch]
        rows = np.array([self._model.embed(note) for note in notes], np.float32)  # (n, d)
        return l2_normalize(rows) if self.spec.normalize else rows

    def info(self) -> dict[str, Any]:
        """The library and its version."""
        return {"engine": "llama-cpp-python", "version": f"llama-cpp-python {self._version}"}

    def close(self) -> None:
        """Free context and weights."""
        self._model.close()
