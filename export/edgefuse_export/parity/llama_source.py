"""A LLaMA's own weights in float32, run by numpy: every note passes a layer before the next layer is read.

So a source of 7 billion weights needs no more memory than half a layer in float32 and the states of the notes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefuse.extras import importable
from edgefuse.progress import Progress, silent
from edgefuse_export import llama_folder
from edgefuse_export.resources import resources
from edgefuse_export.sources import kind_of
from edgefuse_runtimes.gguf import llama, weights
from edgefuse_runtimes.gguf.notes import Ids, groups
from edgefuse_runtimes.gguf.reader import GgufFile, read_gguf
from edgefuse_runtimes.machine import set_blas_threads
from edgefuse_runtimes.pooling import l2_normalize, pool
from edgefuse_runtimes.spec import EncoderSpec

Floats = NDArray[np.float32]

GROUP_TOKENS = 512
"""Tokens that pass a layer together: what is computed on the way takes 90 MB in a network 11,008 wide."""


@dataclass(frozen=True)
class Network:
    """A LLaMA whose weights are read when they are needed."""

    sizes: llama.Hyperparameters
    read: Callable[[str], NDArray[Any]]
    """A tensor by its name in GGUF files, floating-point, query and key rows in their order there."""
    rope_factors: Floats | None


def llama_vectors(source: Path, spec: EncoderSpec, notes: list[Ids], progress: Progress = silent) -> Floats:
    """Vectors (n, d) of notes of token ids, pooled and normalised as `spec` says.

    Args:
        source: a `LlamaForCausalLM` folder with safetensors, or a GGUF file of any type of weights.
        spec: of the encoder that was made of it.
        notes: n arrays (t,) of ids.
        progress: shows the layers.

    Raises:
        BadInput: the source is damaged or no LLaMA network.
    """
    set_blas_threads(resources().threads)
    network = open_network(source)
    sizes = network.sizes
    lengths = [len(note) for note in notes]
    parts = list(groups(lengths, GROUP_TOKENS))
    part_lengths = [[lengths[index] for index in part] for part in parts]
    embedding = network.read(weights.EMBEDDING)  # (vocabulary, d)
    states = [_embedded(embedding, [notes[index] for index in part]) for part in parts]  # (d, t) each
    del embedding
    rotations = [llama.rope_rotations(in_part, sizes, network.rope_factors) for in_part in part_lengths]
    for layer in progress("encoding with the source", range(sizes.layers), sizes.layers):
        for block in _halves(network, layer):
            for x, in_part, turns in zip(states, part_lengths, rotations, strict=True):
                llama.pass_through(x, in_part, block, turns, sizes)
            del block  # before the next half is read
    final_norm = _float32(network.read(weights.FINAL_NORM))  # (d,)
    vectors = np.empty((len(notes), sizes.width), np.float32)  # (n, d)
    for x, part, in_part in zip(states, parts, part_lengths, strict=True):
        hidden = np.split(llama.rms_norm(x, final_norm, sizes.epsilon).T, np.cumsum(in_part)[:-1])
        vectors[part] = [pool(one, spec.pooling) for one in hidden]
    return l2_normalize(vectors) if spec.normalize else vectors


def open_network(source: Path) -> Network:
    """The network of a folder or a GGUF file; nothing but headers is read yet."""
    return _from_gguf(source) if kind_of(source) == "gguf" else _from_folder(source)


def _from_folder(folder: Path) -> Network:
    said = llama_folder.read_sizes(folder)
    tensors = {tensor.name: tensor for tensor in llama_folder.tensors_of(folder, said)[0]}
    sizes = llama.Hyperparameters(
        layers=said.layers,
        width=said.width,
        feed_forward=said.feed_forward,
        heads=said.heads,
        kv_heads=said.kv_heads,
        head_width=said.head_width,
        vocabulary=said.vocabulary,
        epsilon=said.epsilon,
        rope_base=said.rope_base,
        rope_scale=1 / (said.rope_scale or 1.0),
    )

    def read(name: str) -> NDArray[Any]:
        return np.concatenate(list(tensors[name].blocks("F32"))).reshape(tensors[name].shape)

    return Network(sizes, read, said.rope_factors)


def _from_gguf(path: Path) -> Network:
    file = read_gguf(path)
    # Only shapes count for the sizes: whatever the type, it is dequantised below.
    as_floats = {name: dataclasses.replace(tensor, type="F32") for name, tensor in file.tensors.items()}
    sizes = weights.read_sizes(dataclasses.replace(file, tensors=as_floats))

    def read(name: str) -> NDArray[Any]:
        values = _dequantized(file, name)
        file.drop_pages(name)
        return values

    return Network(sizes, read, read(weights.ROPE_FACTORS) if weights.ROPE_FACTORS in file.tensors else None)


def _dequantized(file: GgufFile, name: str) -> NDArray[Any]:
    """The tensor in its shape; gguf knows types that edgefuse's own engine does not run."""
    gguf = importable("gguf", "export")
    tensor = file.tensors[name]
    raw = file.raw(name).view({"F32": np.float32, "F16": np.float16}.get(tensor.type, np.uint8))
    values: NDArray[Any] = gguf.quants.dequantize(raw, gguf.GGMLQuantizationType[tensor.type])
    return values.reshape(tensor.shape)


def _embedded(embedding: NDArray[Any], notes: list[Ids]) -> Floats:
    """The tokens of some notes one after another, (d, t)."""
    return np.ascontiguousarray(embedding[np.concatenate(notes)].T, np.float32)  # (d, t)


def _halves(network: Network, layer: int) -> Iterator[llama.Block]:
    """The two halves of a layer, one after the other."""
    read, name = network.read, f"blk.{layer}."
    yield llama.AttentionWeights(
        _float32(read(f"{name}attn_norm.weight")),
        _stacked(read, *(f"{name}attn_{part}.weight" for part in "qkv")).dot,
        _float32(read(f"{name}attn_output.weight")).dot,
    )
    yield llama.FeedForwardWeights(
        _float32(read(f"{name}ffn_norm.weight")),
        _stacked(read, f"{name}ffn_gate.weight", f"{name}ffn_up.weight").dot,
        _float32(read(f"{name}ffn_down.weight")).dot,
    )


def _stacked(read: Callable[[str], NDArray[Any]], *names: str) -> Floats:
    """Matrices below one another: (sum of rows, d)."""
    return np.concatenate([read(name) for name in names], dtype=np.float32)


def _float32(values: NDArray[Any]) -> Floats:
    return values.astype(np.float32, copy=False)
