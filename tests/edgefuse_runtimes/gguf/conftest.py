"""Tiny random LLaMA networks, written as GGUF files by the `gguf` package and run by transformers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgefuse_runtimes.spec import EncoderSpec, Tokenization

gguf = pytest.importorskip("gguf", reason="needs the gguf package of the `export` extra to write files")


@dataclass
class TinyLlama:
    """2 layers, 64 wide, 4 heads over 2 key/value heads, 96 words."""

    layers: int = 2
    width: int = 64
    heads: int = 4
    kv_heads: int = 2
    feed_forward: int = 96
    vocabulary: int = 96
    epsilon: float = 1e-5
    rope_base: float = 10000.0
    metadata: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(7)
        d, f, kv = self.width, self.feed_forward, self.width * self.kv_heads // self.heads
        shapes = {"token_embd": (self.vocabulary, d), "output_norm": (d,)}
        for layer in range(self.layers):
            parts = {
                "attn_norm": (d,), "attn_q": (d, d), "attn_k": (kv, d), "attn_v": (kv, d),
                "attn_output": (d, d),
                "ffn_norm": (d,), "ffn_gate": (f, d), "ffn_up": (f, d), "ffn_down": (d, f),
            }  # fmt: skip
            shapes |= {f"blk.{layer}.{part}": shape for part, shape in parts.items()}
        for name, shape in shapes.items():
            values = (
                rng.normal(size=shape) / np.sqrt(shape[-1]) * 2 if len(shape) == 2 else rng.uniform(0.5, 1.5, shape)
            )
            self.weights.setdefault(f"{name}.weight", values.astype(np.float32))
        sizes = {
            "block_count": self.layers, "context_length": 1024, "embedding_length": d,
            "feed_forward_length": f,
            "attention.head_count": self.heads, "attention.head_count_kv": self.kv_heads,
            "rope.dimension_count": d // self.heads, "vocab_size": self.vocabulary,
        }  # fmt: skip
        numbers = {"attention.layer_norm_rms_epsilon": self.epsilon, "rope.freq_base": self.rope_base}
        own = {"general.architecture": "llama", "tokenizer.ggml.model": "no_vocab"}
        self.metadata = own | {f"llama.{key}": value for key, value in (sizes | numbers).items()} | self.metadata

    def write(self, path: Path, kind: str = "F32") -> Path:
        """The network as a GGUF file, its matrices stored as `kind`; values of None are left out."""
        writer = gguf.GGUFWriter(path, self.metadata["general.architecture"])
        for key, value in self.metadata.items():
            if value is None or key == "general.architecture":
                continue
            if isinstance(value, list):
                writer.add_array(key, value)
            else:
                types = {
                    bool: writer.add_bool,
                    int: writer.add_uint32,
                    float: writer.add_float32,
                    str: writer.add_string,
                }
                types[type(value)](key, value)
        for name, values in self.weights.items():
            if values is None:
                continue
            stored = gguf.GGMLQuantizationType[kind if values.ndim == 2 else "F32"]
            writer.add_tensor(name, gguf.quants.quantize(values, stored), raw_dtype=stored)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path

    def hidden_states(self, note: np.ndarray, rope_scaling: dict[str, Any] | None = None) -> np.ndarray:
        """What transformers computes in float32: hidden states (t, d) after the final norm."""
        torch = pytest.importorskip("torch", reason="needs torch as the independent reference")
        transformers = pytest.importorskip("transformers", reason="needs transformers as the independent reference")
        config = transformers.LlamaConfig(
            vocab_size=self.vocabulary, hidden_size=self.width, intermediate_size=self.feed_forward,
            num_hidden_layers=self.layers, num_attention_heads=self.heads, num_key_value_heads=self.kv_heads,
            rms_norm_eps=self.epsilon, rope_theta=self.rope_base, rope_scaling=rope_scaling,
            attn_implementation="eager",
        )  # fmt: skip
        model = transformers.LlamaModel(config).eval()
        names = {
            "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
            "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
            "ffn_norm": "post_attention_layernorm", "ffn_gate": "mlp.gate_proj",
            "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
        }  # fmt: skip
        state = {
            "embed_tokens.weight": self.weights["token_embd.weight"],
            "norm.weight": self.weights["output_norm.weight"],
        }
        for layer in range(self.layers):
            for part, name in names.items():
                values = self.weights[f"blk.{layer}.{part}.weight"]
                if part in ("attn_q", "attn_k"):
                    values = self._halves_together(values)
                state[f"layers.{layer}.{name}.weight"] = values
        model.load_state_dict({name: torch.from_numpy(values.copy()) for name, values in state.items()})
        with torch.no_grad():
            return model(torch.from_numpy(note.astype(np.int64))[None]).last_hidden_state[0].numpy()

    def _halves_together(self, values: np.ndarray) -> np.ndarray:
        """Rows of a head from llama.cpp's order (pairs side by side) to transformers' (halves)."""
        w = self.width // self.heads
        return values.reshape(-1, w // 2, 2, self.width).swapaxes(1, 2).reshape(values.shape)


@pytest.fixture
def tiny_llama() -> Callable[..., TinyLlama]:
    """Make a tiny network; `metadata` and `weights` replace single entries, None leaves one out."""
    return TinyLlama


@pytest.fixture
def text_spec() -> Callable[..., EncoderSpec]:
    """Make the description of a tiny text encoder."""

    def make(**changes: Any) -> EncoderSpec:
        values = {
            "modality": "text", "format": "gguf", "file": "text.gguf", "sha256": "0" * 64, "bytes": 0,
            "precision": "f32", "width": 64, "pooling": "last",
            "normalize": False, "tokenization": Tokenization(512, True, True),
        }  # fmt: skip
        return EncoderSpec(**(values | changes))

    return make


@pytest.fixture
def notes() -> list[np.ndarray]:
    """Token ids of notes of many lengths, some of them equal."""
    rng = np.random.default_rng(3)
    return [rng.integers(0, 96, length).astype(np.int32) for length in (5, 1, 17, 5, 300, 5, 40, 17)]
