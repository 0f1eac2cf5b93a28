"""A Hugging Face folder of a `LlamaForCausalLM`, read without torch: the metadata and tensors of a GGUF file.

Names, order of rows and metadata are those of llama.cpp's convert_hf_to_gguf.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefuse.extras import importable
from edgefuse_export.gguf_file import Tensor
from edgefuse_export.sources import model_card_licence, read_config
from edgefuse_export.vocabulary import add_tokenizer
from edgefuse_export.weights import TensorPlace, find_tensors, read_rows
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.gguf.weights import ROPE_FACTORS


@dataclass(frozen=True)
class Sizes:
    """The sizes of a LLaMA network, from its config.json."""

    layers: int
    width: int
    feed_forward: int
    heads: int
    kv_heads: int
    head_width: int
    vocabulary: int
    context: int
    epsilon: float
    rope_base: float
    rope_scale: float | None
    """Positions are divided by it (linear scaling); None: they are not."""
    rope_factors: NDArray[np.float32] | None
    """(head_width / 2,): what divides the angle of each pair (LLaMA-3's scaling); None: nothing does."""
    tied: bool
    """Whether the output head is the embedding matrix."""


def read_sizes(folder: Path) -> Sizes:
    """What config.json says.

    Raises:
        BadInput: it is missing or damaged, or describes another or a varied architecture.
    """
    config = read_config(folder)
    if config["model_type"] != "llama" or "LlamaForCausalLM" not in config.get("architectures", ["LlamaForCausalLM"]):
        raise BadInput(
            f"{folder} holds a model of type {config['model_type']!r}; "
            "the text encoders that can be exported are LlamaForCausalLM folders."
        )
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    scaling = rope.get("rope_type", rope.get("type", "default")) if isinstance(rope, dict) else None
    plain = {
        "hidden_act": config.get("hidden_act", "silu") == "silu",
        "attention_bias": not config.get("attention_bias"),
        "mlp_bias": not config.get("mlp_bias"),
        "quantization_config": not config.get("quantization_config"),
        "partial_rotary_factor": config.get("partial_rotary_factor", 1.0) == 1.0,
        "is_causal": config.get("is_causal", True) is True,
        # "dynamic" changes nothing before a text is longer than the context, and no note is.
        "rope_scaling": scaling in ("default", "dynamic", "linear", "llama3"),
    }
    varied = [key for key, usual in plain.items() if not usual]
    if varied:
        raise BadInput(
            f"{folder / 'config.json'} describes a LLaMA with an unusual {varied[0]}, which is not "
            "supported; choose another encoder."
        )
    width, heads = _whole(folder, config, "hidden_size"), _whole(folder, config, "num_attention_heads")
    head_width = _whole(folder, config, "head_dim", width // heads)
    base = _number(folder, rope if "rope_theta" in rope else config, "rope_theta", 10000.0)
    sizes = Sizes(
        layers=_whole(folder, config, "num_hidden_layers"),
        width=width,
        feed_forward=_whole(folder, config, "intermediate_size"),
        heads=heads,
        kv_heads=_whole(folder, config, "num_key_value_heads", heads),
        head_width=head_width,
        vocabulary=_whole(folder, config, "vocab_size"),
        context=_whole(folder, config, "max_position_embeddings", 2048),
        epsilon=_number(folder, config, "rms_norm_eps", 1e-6),
        rope_base=base,
        rope_scale=_number(folder, rope, "factor") if scaling == "linear" else None,
        rope_factors=_llama3_factors(folder, rope, base, head_width) if scaling == "llama3" else None,
        tied=bool(config.get("tie_word_embeddings", False)),
    )
    if sizes.heads % sizes.kv_heads or sizes.head_width % 2:
        raise BadInput(
            f"{folder / 'config.json'} describes {sizes.heads} heads {sizes.head_width} wide over "
            f"{sizes.kv_heads} key/value heads, which do not fit each other; correct the file."
        )
    return sizes


def tensors_of(folder: Path, sizes: Sizes) -> tuple[list[Tensor], set[str]]:
    """Every tensor of the network, in the order of the file to be written, and the types of the folder's matrices.

    Raises:
        BadInput: a tensor is missing, superfluous or of another shape than config.json says.
    """
    places = find_tensors(folder)
    table = _table(sizes)
    for name, (_, shape, _) in table.items():
        if name not in places:
            raise BadInput(f"{folder} lacks the tensor {name!r}; its config and weights must agree.")
        if places[name].shape != shape:
            raise BadInput(
                f"{folder} has the tensor {name!r} in the shape {places[name].shape}, and its config "
                f"asks for {shape}; its config and weights must agree."
            )
    for name in places.keys() - table.keys():
        if not name.endswith("rotary_emb.inv_freq") and not (sizes.tied and name == "lm_head.weight"):
            raise BadInput(f"{folder} has a tensor {name!r} that a LLaMA network has not; choose another encoder.")
    factors = sizes.rope_factors
    extra = [] if factors is None else [Tensor(ROPE_FACTORS, factors.shape, lambda _: [factors])]
    tensors = extra + [
        Tensor(target, shape, _blocks_of(places[name], rotated_heads))
        for name, (target, shape, rotated_heads) in table.items()
    ]
    return tensors, {places[name].dtype for name, (_, shape, _) in table.items() if len(shape) == 2}


def add_metadata(writer: Any, folder: Path, sizes: Sizes) -> None:
    """Add to a gguf.GGUFWriter what the network and its tokenizer need.

    Raises:
        BadInput: the tokenizer is missing or cannot be used.
    """
    writer.add_type("model")
    writer.add_name(folder.resolve().name)
    licence = model_card_licence(folder)
    if licence != "unknown":
        writer.add_license(licence)
    writer.add_block_count(sizes.layers)
    writer.add_context_length(sizes.context)
    writer.add_embedding_length(sizes.width)
    writer.add_feed_forward_length(sizes.feed_forward)
    writer.add_head_count(sizes.heads)
    writer.add_head_count_kv(sizes.kv_heads)
    writer.add_rope_freq_base(sizes.rope_base)
    if sizes.rope_scale is not None:
        writer.add_rope_scaling_type(importable("gguf", "export").RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(sizes.rope_scale)
    writer.add_layer_norm_rms_eps(sizes.epsilon)
    writer.add_key_length(sizes.head_width)
    writer.add_value_length(sizes.head_width)
    writer.add_vocab_size(sizes.vocabulary)
    writer.add_rope_dimension_count(sizes.head_width)
    add_tokenizer(writer, folder, sizes.vocabulary)


def interleave_halves(rows: NDArray[Any], heads: int) -> NDArray[Any]:
    """Reorder the rows (heads * w, d) of a query or key matrix for llama.cpp's rotary positions.

    Hugging Face rotates value i of a head together with value i + w/2, llama.cpp value 2i with 2i + 1
    (`LlamaModel.permute` of llama.cpp's conversion script).
    """
    halves = rows.reshape(heads, 2, -1, *rows.shape[1:])  # (heads, 2, w / 2, d)
    return halves.swapaxes(1, 2).reshape(rows.shape)  # (heads * w, d)


def _blocks_of(place: TensorPlace, rotated_heads: int) -> Callable[[str], Iterable[NDArray[Any]]]:
    if not rotated_heads:
        return lambda _: read_rows(place)
    width = place.shape[0] // rotated_heads

    def blocks(_: str) -> Iterator[NDArray[Any]]:
        for rows in read_rows(place, width):  # (some heads * w, d)
            yield interleave_halves(rows, len(rows) // width)

    return blocks


def _llama3_factors(folder: Path, rope: dict[str, Any], base: float, head_width: int) -> NDArray[np.float32]:
    """(w / 2,): 1 for pairs that turn fast, `factor` for slow ones, in between smoothly changing.

    In float32 step by step, as llama.cpp's conversion script does (`LlamaModel.generate_extra_tensors`); the rule is
    LLaMA 3.1's.
    """
    factor, low, high, context = (
        np.float32(_number(folder, rope, key))
        for key in ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings")
    )
    if low >= high:
        raise BadInput(
            f"{folder / 'config.json'} says low_freq_factor = {low:g} and high_freq_factor = {high:g}; "
            "the second must be the larger one, correct it."
        )
    exponents = np.arange(0, head_width, 2, dtype=np.float32) / np.float32(head_width)  # (w/2,)
    frequencies = 1 / np.float32(base) ** exponents  # (w/2,)
    wavelengths = np.float32(2 * math.pi) / frequencies  # (w/2,)
    smooth = (context / wavelengths - low) / (high - low)  # (w/2,)
    between = 1 / ((1 - smooth) / factor + smooth)  # (w/2,)
    slow, fast = wavelengths > context / low, wavelengths < context / high
    return np.where(fast, np.float32(1), np.where(slow, factor, between)).astype(np.float32)  # (w/2,)


def _table(sizes: Sizes) -> dict[str, tuple[str, tuple[int, ...], int]]:
    """Name in the folder -> name in GGUF, shape, and the number of heads if its rows are to be reordered."""
    d, f = sizes.width, sizes.feed_forward
    queries, keys = sizes.heads * sizes.head_width, sizes.kv_heads * sizes.head_width
    table: dict[str, tuple[str, tuple[int, ...], int]] = {
        "model.embed_tokens.weight": ("token_embd.weight", (sizes.vocabulary, d), 0)
    }
    for layer in range(sizes.layers):
        parts: dict[str, tuple[str, tuple[int, ...], int]] = {
            "input_layernorm": ("attn_norm", (d,), 0),
            "self_attn.q_proj": ("attn_q", (queries, d), sizes.heads),
            "self_attn.k_proj": ("attn_k", (keys, d), sizes.kv_heads),
            "self_attn.v_proj": ("attn_v", (keys, d), 0),
            "self_attn.o_proj": ("attn_output", (d, queries), 0),
            "post_attention_layernorm": ("ffn_norm", (d,), 0),
            "mlp.gate_proj": ("ffn_gate", (f, d), 0),
            "mlp.up_proj": ("ffn_up", (f, d), 0),
            "mlp.down_proj": ("ffn_down", (d, f), 0),
        }
        for part, (target, shape, heads) in parts.items():
            table[f"model.layers.{layer}.{part}.weight"] = (f"blk.{layer}.{target}.weight", shape, heads)
    table["model.norm.weight"] = ("output_norm.weight", (d,), 0)
    if not sizes.tied:
        table["lm_head.weight"] = ("output.weight", (sizes.vocabulary, d), 0)
    return table


def _whole(folder: Path, config: dict[str, Any], key: str, default: int | None = None) -> int:
    value = config.get(key)
    value = default if value is None else value
    if type(value) is not int or not 0 < value < 2**31:
        raise BadInput(f"{folder / 'config.json'} says {key} = {value!r}, not a whole number above zero; correct it.")
    return value


def _number(folder: Path, config: dict[str, Any], key: str, default: float | None = None) -> float:
    value = config.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise BadInput(f"{folder / 'config.json'} says {key} = {value!r}, not a number above zero; correct it.")
    return float(value)
