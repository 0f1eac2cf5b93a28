"""An ONNX encoder run by numpy alone: slower than onnxruntime, but wherever Python runs."""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefuse_runtimes.closing import Closing
from edgefuse_runtimes.contract import Batch, Memory
from edgefuse_runtimes.errors import EngineUnavailable
from edgefuse_runtimes.machine import set_blas_threads
from edgefuse_runtimes.onnx.buffers import Buffers
from edgefuse_runtimes.onnx.graph import load
from edgefuse_runtimes.onnx.program import Program, compile_graph, run
from edgefuse_runtimes.onnx.vectors import encode_each, input_shape
from edgefuse_runtimes.spec import EncoderSpec


class OnnxNumpyEncoder(Closing):
    """An `Encoder` that runs its graph with numpy; int8 layers are computed exactly.

    The number of BLAS threads belongs to the whole process: the encoder set up last decides it.

    Raises:
        BadInput: the file is missing, damaged, no such encoder, or needs an operator that is not there.
    """

    def __init__(self, path: Path, spec: EncoderSpec, *, threads: int, memory: Memory) -> None:
        self.spec = spec
        self._path, self._threads, self._memory = path, threads, memory
        graph = load(path, () if spec.data is None else (spec.data.file,))
        shape = input_shape(graph, spec)
        self._threads_are_set = set_blas_threads(threads)
        self._program: Program | None = compile_graph(graph, shape, memory)
        graph.forget_pages()
        self._buffers, self._one_at_a_time = Buffers(), Lock()

    def encode(self, batch: Batch) -> NDArray[np.float32]:
        """Vectors (n, d) of pictures (n, 3, H, W) or of n notes (t,); each is the same alone or in any batch.

        Raises:
            BadInput: samples of another shape, or a vector that is not finite.
        """
        program = self._program
        if program is None:
            raise EngineUnavailable(f"The encoder {self.spec.file} is closed.")
        with self._one_at_a_time:  # two runs would write to the same buffers
            return encode_each(lambda x: run(program, x, self._buffers), batch, self.spec)  # (n, d)

    def info(self) -> dict[str, Any]:
        """Engine, version, file, threads (None: as numpy's BLAS chooses), precision and memory setting."""
        return {
            "engine": "numpy",
            "version": np.__version__,
            "file": str(self._path),
            "threads": self._threads if self._threads_are_set else None,
            "precision": self.spec.precision,
            "memory": self._memory,
        }

    def close(self) -> None:
        """Give the weights' memory back."""
        self._program = None
        self._buffers = Buffers()
