"""A GGUF text encoder run by numpy alone, layer by layer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefuse_runtimes.closing import Closing
from edgefuse_runtimes.contract import Batch, Memory
from edgefuse_runtimes.errors import BadInput, EngineUnavailable
from edgefuse_runtimes.gguf import llama, weights
from edgefuse_runtimes.gguf.dequantize import read_rows, read_tensor
from edgefuse_runtimes.gguf.matrix import Matrix
from edgefuse_runtimes.gguf.notes import Ids, check_notes, groups
from edgefuse_runtimes.gguf.reader import read_gguf
from edgefuse_runtimes.machine import blas_threads_setter
from edgefuse_runtimes.pooling import l2_normalize, pool
from edgefuse_runtimes.spec import EncoderSpec
from edgefuse_runtimes.team import Team

Floats = NDArray[np.float32]

GROUP_TOKENS: dict[Memory, int] = {"normal": 2048, "low": 512}
"""Tokens that pass a layer together: its weights are dequantised once for all of them."""

_ONE_AT_A_TIME = Lock()
"""Notes of two threads would set the threads of the one BLAS for each other."""

KEEP_BYTES = 512 << 20
"""With memory "normal", all layers stay dequantised if they take no more than this."""


class GgufNumpyEncoder(Closing):
    """The LLaMA network of a GGUF file as an `Encoder` of notes.

    Weights stay as they are stored, and a few rows at a time become float32 while they are multiplied. With memory
    "low", what was read of the file is let go at once. With "normal", all weights are kept as float32 where they fit
    in `KEEP_BYTES`, but not before the second group of notes: an encoder that answers once gains nothing from it.
    """

    def __init__(self, path: Path, spec: EncoderSpec, *, threads: int, memory: Memory) -> None:
        """Open the file and check all of it that can be checked without reading the weights.

        Raises:
            BadInput: the file is damaged, no LLaMA network, or not what `spec` says.
        """
        self.spec = spec
        self._threads = threads
        self._memory: Memory = memory
        self._file = read_gguf(path)
        self._sizes = weights.read_sizes(self._file)
        if spec.width != self._sizes.width:
            raise BadInput(
                f"{path}: its vectors are {self._sizes.width} wide, its description says {spec.width}; "
                "export the encoder again."
            )
        self._final_norm = read_tensor(self._file, weights.FINAL_NORM)
        has_factors = weights.ROPE_FACTORS in self._file.tensors
        self._rope_factors = read_tensor(self._file, weights.ROPE_FACTORS) if has_factors else None
        self._set_blas_threads = blas_threads_setter()
        self._team = Team(threads if self._set_blas_threads else 1)
        self._network = weights.read_blocks(self._file, self._sizes, self._team)
        values = sum(matrix.rows * matrix.columns for block in self._network for matrix in _matrices(block))
        self._keep = memory == "normal" and 4 * values <= KEEP_BYTES
        self._groups_seen = 0

    def encode(self, batch: Batch) -> Floats:
        """Vectors (n, d) of n notes of token ids, special tokens included.

        Raises:
            BadInput: a note without tokens or with unknown ids, or weights that are no numbers.
            EngineUnavailable: the encoder is closed.
        """
        if not self._network:
            raise EngineUnavailable(f"The encoder {self.spec.file} is closed.")
        notes = check_notes(batch, self._sizes.vocabulary)
        vectors = np.empty((len(notes), self._sizes.width), np.float32)  # (n, d)
        lengths = [len(note) for note in notes]
        with self._one_blas_thread():
            for group in groups(lengths, GROUP_TOKENS[self._memory]):
                vectors[group] = self._encode_group([notes[index] for index in group])
        return l2_normalize(vectors) if self.spec.normalize else vectors

    def info(self) -> dict[str, Any]:
        """Engine, version, file, threads (None: as numpy's BLAS chooses), precision and memory setting."""
        return {
            "engine": "numpy",
            "version": np.__version__,
            "file": str(self._file.path),
            "threads": self._threads if self._set_blas_threads else None,
            "precision": self.spec.precision,
            "memory": self._memory,
            "keeps_layers": self._keep,
        }

    def close(self) -> None:
        """Give the memory of the weights and of the mapped file back."""
        self._network = []
        self._team.close()
        self._file.forget_pages()

    @contextmanager
    def _one_blas_thread(self) -> Iterator[None]:
        """The threads of the team multiply, each for itself; whoever comes after has those of the BLAS again."""
        if self._set_blas_threads is None:
            yield
            return
        with _ONE_AT_A_TIME:
            self._set_blas_threads(1)
            try:
                yield
            finally:
                self._set_blas_threads(self._threads)

    def _encode_group(self, notes: list[Ids]) -> Floats:
        lengths = [len(note) for note in notes]
        tokens, places = np.unique(np.concatenate(notes), return_inverse=True)  # (u,), (t,)
        x = np.ascontiguousarray(read_rows(self._file, weights.EMBEDDING, tokens)[places].T)  # (d, t)
        last_only = self.spec.pooling == "last"
        with np.errstate(all="ignore"):  # a damaged number is found below, in the result
            rotations = llama.rope_rotations(lengths, self._sizes, self._rope_factors)
            hidden = llama.hidden_states(
                x, lengths, self._blocks(), self._final_norm, rotations, self._sizes, last_only=last_only
            )  # (d, t), or (d, n) with last_only
        by_note = np.split(hidden.T, np.arange(1, len(notes)) if last_only else np.cumsum(lengths)[:-1])
        vectors = np.stack([pool(states, self.spec.pooling) for states in by_note])  # (n, d)
        if not np.isfinite(vectors).all():
            raise BadInput(f"{self._file.path}: its weights lead to a vector of no numbers; get the file again.")
        return vectors

    def _blocks(self) -> Iterator[llama.Block]:
        """The halves of all layers in order, each used up when the next one is asked for."""
        self._groups_seen += 1
        keep = self._keep and self._groups_seen > 1
        for block in self._network:
            matrices = _matrices(block)
            if keep:
                for matrix in matrices:
                    matrix.keep()
            yield block
            if self._memory == "low":
                for matrix in matrices:
                    matrix.drop_pages()


def _matrices(block: llama.Block) -> list[Matrix]:
    return [part for part in block if isinstance(part, Matrix)]
