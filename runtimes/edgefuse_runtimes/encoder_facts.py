"""The few numbers of an encoder that its memory depends on, from its description and a GGUF file's header."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgefuse_runtimes.gguf.reader import GgufFile, read_gguf
from edgefuse_runtimes.onnx.graph import load
from edgefuse_runtimes.spec import EncoderSpec, Format

PATCH = 14
"""Pixels; the smallest patch of the common image encoders."""


@dataclass(frozen=True)
class EncoderFacts:
    """What the memory plan knows of one encoder."""

    format: Format
    precision: str
    weight_bytes: int
    """Of the file, and of its data file where it has one."""
    width: int
    """Of its layers."""
    tokens: int
    """Of the longest sample: a note's tokens, or a picture's patches."""
    tokenizer_bytes: int = 0
    """Of a tokenizer.json beside the file."""
    lookup_bytes: int = 0
    """Of the table of token embeddings in an ONNX file, which no engine has to unpack."""
    vocabulary: int = 0
    """Tokens that a GGUF file knows."""
    cache_values: int = 0
    """Keys and values of one token, in all layers of a GGUF file."""
    layer_values: int = 0
    """Weights of all layers of a GGUF file."""
    feed_forward: int = 0
    """Width of the feed-forward part of a GGUF file's layers."""
    heads: int = 0
    """Of the attention in a GGUF file."""


def encoder_facts(spec: EncoderSpec, locate: Callable[[str], Path], note: str | None = None) -> EncoderFacts:
    """The facts of an encoder; of a text encoder's file the names and shapes are read, no weights.

    Args:
        spec: of the encoder.
        locate: from the name of a file beside the spec to its path.
        note: the one note that is to be encoded; None: any up to the token limit.

    Raises:
        BadInput: a text encoder's file is missing or damaged.
    """
    common = {
        "format": spec.format,
        "precision": spec.precision,
        "weight_bytes": spec.total_bytes,
        "width": layer_width(spec),
        "tokens": longest(spec, note),
        "tokenizer_bytes": spec.tokenizer.bytes if spec.tokenizer else 0,
    }
    if spec.format != "gguf":
        tables = _lookup_bytes(spec, locate) if spec.modality == "text" else 0
        return EncoderFacts(**common, lookup_bytes=tables)  # type: ignore[arg-type]
    return EncoderFacts(**common, **_gguf_facts(read_gguf(locate(spec.file))))  # type: ignore[arg-type]


def layer_width(spec: EncoderSpec) -> int:
    """As wide as the vectors; those of an image encoder that projects are half as wide again.

    CLIP's are (768 for 512, 1024 for 768). The file itself would say, but reading its graph costs every answer.
    """
    is_projected = spec.preprocess is not None and spec.pooling == "none"
    return spec.width * 3 // 2 if is_projected else spec.width


def longest(spec: EncoderSpec, note: str | None) -> int:
    """Tokens of the longest sample; a note has no more than bytes, two special tokens and a space before it aside."""
    if spec.preprocess is not None:
        return math.ceil(spec.preprocess.crop / PATCH) ** 2 + 1
    assert spec.tokenization is not None
    limit = spec.tokenization.max_tokens
    return limit if note is None else min(limit, len(note.encode("utf-8", "surrogatepass")) + 3)


def _lookup_bytes(spec: EncoderSpec, locate: Callable[[str], Path]) -> int:
    graph = load(locate(spec.file), () if spec.data is None else (spec.data.file,))
    tables = {name for node in graph.nodes if node.operator == "Gather" for name in node.inputs[:1]}
    return sum(graph.initializers[name].nbytes for name in tables & graph.initializers.keys())


def _gguf_facts(file: GgufFile) -> dict[str, int]:
    """Sums over tensors by their names, which are the same in every architecture that llama.cpp knows."""

    def values(*parts: str) -> list[int]:
        """Weights of these matrices, by layer."""
        by_layer: dict[str, int] = {}
        for name, tensor in file.tensors.items():
            block, _, part = name.rpartition(".weight")[0].rpartition(".")
            if part in parts:
                by_layer[block] = by_layer.get(block, 0) + math.prod(tensor.shape)
        return list(by_layer.values()) or [0]

    def rows(*parts: str) -> int:
        """Rows of these matrices, in all layers."""
        names = tuple(f".{part}.weight" for part in parts)
        return sum(tensor.shape[0] for name, tensor in file.tensors.items() if name.endswith(names))

    attention = values("attn_q", "attn_k", "attn_v", "attn_output", "attn_qkv")
    feed_forward = values("ffn_gate", "ffn_up", "ffn_down")
    layers = max(1, len(feed_forward))
    architecture = file.metadata.get("general.architecture")
    heads = file.metadata.get(f"{architecture}.attention.head_count", 0)
    embedding = file.tensors.get("token_embd.weight")
    return {
        "vocabulary": embedding.shape[0] if embedding else 0,
        "cache_values": rows("attn_k", "attn_v"),
        "layer_values": sum(attention) + sum(feed_forward),
        "feed_forward": rows("ffn_up") // layers,
        "heads": heads if isinstance(heads, int) else 0,
    }
