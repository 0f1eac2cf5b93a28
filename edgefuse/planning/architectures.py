"""Transformers as a few numbers, and what follows from these: parameters, file sizes, what the memory plan must know.

The numbers of a network are published with it (config.json); everything else is computed here. Parameter counts are
those of the class named in each docstring, and tests compare them with transformers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from edgefuse_runtimes.encoder_facts import EncoderFacts
from edgefuse_runtimes.memory_plan import FLOAT, in_q4

HEADER_BYTES_PER_TOKEN = 36
"""What a GGUF file's header takes for a token: its text, kind, score, and its merge."""
HEADER_BYTES_PER_BLOCK = 8_000
"""What an ONNX file says of a layer beside its weights."""
Q8_0_BYTES = 34 / 32
"""For a weight: blocks of 32 bytes with a float16 scale."""


class Architecture(Protocol):
    """A network that can be an encoder."""

    @property
    def parameters(self) -> int:
        """Weights of the pretrained network."""
        ...

    @property
    def vector_width(self) -> int:
        """Of what it makes of a sample."""
        ...

    @property
    def precisions(self) -> tuple[str, ...]:
        """Of the files that `edgefuse export` makes of it, the usual one first."""
        ...

    def facts(self, precision: str) -> EncoderFacts:
        """What the memory plan needs, with the size of the file in that precision."""
        ...


@dataclass(frozen=True)
class TransformerEncoder:
    """Layers with biases, of attention and a feed-forward part of two matrices, which are exported as an ONNX file."""

    layers: int
    width: int
    feed_forward: int
    projection: int = field(default=0, kw_only=True)
    """Width that the vector is projected to; 0: it is not."""

    @property
    def vector_width(self) -> int:
        """Of what it makes of a sample."""
        return self.projection or self.width

    @property
    def precisions(self) -> tuple[str, ...]:
        """Those of ONNX files."""
        return ("int8", "fp32")

    @property
    def _layers_matrices(self) -> int:
        return self.layers * (4 * self.width**2 + 2 * self.width * self.feed_forward)

    @property
    def _layers_vectors(self) -> int:
        """Biases, and two layer norms."""
        return self.layers * (4 * self.width + self.feed_forward + self.width + 4 * self.width)


@dataclass(frozen=True)
class VisionTransformer(TransformerEncoder):
    """DINOv2 (`Dinov2Model`) or CLIP's vision tower (`CLIPVisionModelWithProjection`)."""

    patch: int
    """Pixels of a side."""
    positions: int
    """Rows of the position table as it is published; a file holds those of `side` alone."""
    is_dinov2: bool = True
    """With a mask token, a bias of the patches and layer scales, which CLIP's tower has not."""
    gated: bool = False
    """A feed-forward part of three matrices, two of them side by side (SwiGLU)."""
    side: int = 224
    """Pixels of a picture."""

    @property
    def tokens(self) -> int:
        """Patches of a picture, and the class token."""
        return (self.side // self.patch) ** 2 + 1

    @property
    def parameters(self) -> int:
        """Weights of the pretrained network."""
        return self._matrices + self._vectors + self.positions * self.width

    @property
    def _matrices(self) -> int:
        third = self.layers * self.width * self.feed_forward if self.gated else 0
        patches = 3 * self.patch**2 * self.width
        return self._layers_matrices + third + patches + self.width * self.projection

    @property
    def _vectors(self) -> int:
        second_half = self.layers * self.feed_forward if self.gated else 0
        own = self.layers * 2 * self.width + 2 * self.width if self.is_dinov2 else 2 * self.width  # else a first norm
        return self._layers_vectors + second_half + own + 3 * self.width  # class token, last norm

    def facts(self, precision: str) -> EncoderFacts:
        """As `Architecture.facts`; in int8 the last layer's queries and keys stay float32, see the export."""
        rest = FLOAT * (self._vectors + self.tokens * self.width) + HEADER_BYTES_PER_BLOCK * self.layers
        in_int8 = self._matrices + 2 * (FLOAT - 1) * self.width**2
        weights = in_int8 if precision == "int8" else FLOAT * self._matrices
        return EncoderFacts("onnx", precision, weights + rest, self.width, self.tokens)


@dataclass(frozen=True)
class TextTransformer(TransformerEncoder):
    """BERT (`BertModel` without its pooler) or CLIP's text tower (`CLIPTextModelWithProjection`)."""

    vocabulary: int
    positions: int
    tokens: int
    """Of the longest note."""
    tokenizer_bytes: int
    """Of its tokenizer.json."""
    segments: int = 0
    """Rows of BERT's table of sentences, which has a norm behind it where CLIP has one at the end."""

    @property
    def parameters(self) -> int:
        """Weights of the pretrained network."""
        return self._matrices + self._tables + self._vectors

    @property
    def _matrices(self) -> int:
        return self._layers_matrices + self.width * self.projection

    @property
    def _tables(self) -> int:
        return (self.vocabulary + self.positions + self.segments) * self.width

    @property
    def _vectors(self) -> int:
        return self._layers_vectors + 2 * self.width

    def facts(self, precision: str) -> EncoderFacts:
        """As `Architecture.facts`; tables stay float32 in every precision."""
        bytes_each = 1 if precision == "int8" else FLOAT
        rest = FLOAT * (self._tables + self._vectors) + HEADER_BYTES_PER_BLOCK * self.layers
        return EncoderFacts(
            "onnx", precision, bytes_each * self._matrices + rest, self.width, self.tokens,
            tokenizer_bytes=self.tokenizer_bytes, lookup_bytes=FLOAT * self._tables,
        )  # fmt: skip


@dataclass(frozen=True)
class Llama:
    """LLaMA-2, TinyLlama, SmolLM2 (`LlamaForCausalLM`): no biases, and heads that may share keys and values."""

    layers: int
    width: int
    feed_forward: int
    heads: int
    kv_heads: int
    vocabulary: int
    shares_embeddings: bool = False
    """Whether the table of tokens is the output's matrix too."""
    tokens: int = 512
    """Of the longest note."""

    @property
    def parameters(self) -> int:
        """Weights of the pretrained network."""
        return self._layer_values + self._tables + self._norms

    @property
    def vector_width(self) -> int:
        """Of what it makes of a note."""
        return self.width

    @property
    def precisions(self) -> tuple[str, ...]:
        """A LLaMA is a GGUF file."""
        return ("q8_0", "q4_k_m")

    @property
    def _kv_width(self) -> int:
        return self.kv_heads * self.width // self.heads

    @property
    def _layer_values(self) -> int:
        attention = 2 * self.width * (self.width + self._kv_width)
        return self.layers * (attention + 3 * self.width * self.feed_forward)

    @property
    def _tables(self) -> int:
        return (1 if self.shares_embeddings else 2) * self.vocabulary * self.width

    @property
    def _norms(self) -> int:
        return (2 * self.layers + 1) * self.width

    def facts(self, precision: str) -> EncoderFacts:
        """As `Architecture.facts`."""
        weights = int(Q8_0_BYTES * (self._layer_values + self._tables)) + FLOAT * self._norms
        in_q8 = EncoderFacts(
            "gguf", "q8_0", weights + HEADER_BYTES_PER_TOKEN * self.vocabulary, self.width, self.tokens,
            vocabulary=self.vocabulary, cache_values=2 * self.layers * self._kv_width, layer_values=self._layer_values,
            feed_forward=self.feed_forward, heads=self.heads,
        )  # fmt: skip
        return in_q8 if precision == "q8_0" else in_q4(in_q8)
