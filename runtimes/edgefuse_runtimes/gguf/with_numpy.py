"""A GGUF text encoder run by numpy alone, layer by layer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefuse_runtimes.closing import Closing
from edgefuse_runtimes.contract import Batch, Memory
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.gguf import llama, weights
from edgefuse_runtimes.gguf.dequantize import read_rows, read_tensor
from edgefuse_runtimes.gguf.notes import Ids, check_notes, groups
from edgefuse_runtimes.gguf.reader import read_gguf
from edgefuse_runtimes.machine import set_blas_threads
from edgefuse_runtimes.pooling import l2_normalize, pool
from edgefuse_runtimes.spec import EncoderSpec

Floats = NDArray[np.float32]

GROUP_TOKENS: dict[Memory, int] = {"normal": 2048, "low": 512}
"""Tokens that pass a layer together: the layer is dequantised once for all of them."""

KEEP_BYTES = 512 << 20
"""With memory "normal", all layers stay dequantised if they take no more than this."""


class GgufNumpyEncoder(Closing):
    """The LLaMA network of a GGUF file as an `Encoder` of notes.

    With memory "low" one half of one layer is float32 at a time, and what was read of the file is let go.
    With "normal" the float32 layers are kept where they fit in `KEEP_BYTES`, but not before the second group of
    notes: an encoder that answers once gains nothing from keeping them.
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
        self._keep = memory == "normal" and 4 * self._layer_values() * self._sizes.layers <= KEEP_BYTES
        self._kept: list[llama.Block] = []
        self._groups_seen = 0
        self._threads_are_set = set_blas_threads(threads)

    def encode(self, batch: Batch) -> Floats:
        """Vectors (n, d) of n notes of token ids, special tokens included.

        Raises:
            BadInput: a note without tokens or with unknown ids, or weights that are no numbers.
        """
        notes = check_notes(batch, self._sizes.vocabulary)
        vectors = np.empty((len(notes), self._sizes.width), np.float32)  # (n, d)
        lengths = [len(note) for note in notes]
        for group in groups(lengths, GROUP_TOKENS[self._memory]):
            vectors[group] = self._encode_group([notes[index] for index in group])
        return l2_normalize(vectors) if self.spec.normalize else vectors

    def info(self) -> dict[str, Any]:
        """Engine, version, file, threads (None: as numpy's BLAS chooses), precision and memory setting."""
        return {
            "engine": "numpy",
            "version": np.__version__,
            "file": str(self._file.path),
            "threads": self._threads if self._threads_are_set else None,
            "precision": self.spec.precision,
            "memory": self._memory,
            "keeps_layers": self._keep,
        }

    def close(self) -> None:
        """Give the memory of the layers and of the mapped file back."""
        self._kept = []
        self._file.forget_pages()

    def _encode_group(self, notes: list[Ids]) -> Floats:
        lengths = [len(note) for note in notes]
        tokens, places = np.unique(np.concatenate(notes), return_inverse=True)  # (u,), (t,)
        x = read_rows(self._file, weights.EMBEDDING, tokens)[places]  # (t, d)
        rotations = llama.rope_rotations(max(lengths), self._sizes, self._rope_factors)
        with np.errstate(over="ignore", invalid="ignore"):  # a damaged scale is found below, in the result
            hidden = llama.hidden_states(x, lengths, self._blocks(), self._final_norm, rotations, self._sizes)
        by_note = np.split(hidden, np.cumsum(lengths)[:-1])
        vectors = np.stack([pool(states, self.spec.pooling) for states in by_note])  # (n, d)
        if not np.isfinite(vectors).all():
            raise BadInput(f"{self._file.path}: its weights lead to a vector of no numbers; get the file again.")
        return vectors

    def _blocks(self) -> Iterator[llama.Block]:
        """The halves of all layers in order: kept ones, or made one at a time in the same memory."""
        if len(self._kept) == 2 * self._sizes.layers:
            yield from self._kept
            return
        self._kept = []
        self._groups_seen += 1
        keep = self._keep and self._groups_seen > 1
        scratch = None if keep else self._scratch()
        for layer in range(self._sizes.layers):
            for kind, make in _MAKERS:
                block = make(self._file, layer, scratch)
                if keep:
                    self._kept.append(block)
                if keep or self._memory == "low":
                    for name in weights.block_tensors(kind, layer):
                        self._file.drop_pages(name)
                yield block

    def _scratch(self) -> Floats:
        return np.empty(max(weights.block_values(kind, self._sizes) for kind, _ in _MAKERS), np.float32)

    def _layer_values(self) -> int:
        return sum(weights.block_values(kind, self._sizes) for kind, _ in _MAKERS)


_MAKERS = (
    (llama.AttentionWeights, weights.attention_weights),
    (llama.FeedForwardWeights, weights.feed_forward_weights),
)
