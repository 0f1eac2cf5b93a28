"""From a GGUF file's metadata and tensors to the sizes and weights of a LLaMA network."""

from __future__ import annotations

from typing import Any

from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.gguf.dequantize import read_tensor, supported_type
from edgefuse_runtimes.gguf.llama import AttentionWeights, Block, FeedForwardWeights, Hyperparameters
from edgefuse_runtimes.gguf.matrix import Matrix
from edgefuse_runtimes.gguf.reader import GgufFile
from edgefuse_runtimes.team import Team

EMBEDDING = "token_embd.weight"
FINAL_NORM = "output_norm.weight"
ROPE_FACTORS = "rope_freqs.weight"
UNUSED = {"output.weight"}  # turns hidden states into words, which nobody asks an encoder for


def read_sizes(file: GgufFile) -> Hyperparameters:
    """The network's sizes, after checking that `llama.py` computes just this network and all tensors fit.

    Raises:
        BadInput: another architecture or variant; a tensor missing, superfluous, or of a wrong shape or type.
    """
    _refuse_variants(file)
    width, heads = _whole(file, "embedding_length"), _whole(file, "attention.head_count")
    head_width = _whole(file, "attention.key_length", width // heads)
    scale = _number(file, "rope.scaling.factor", _number(file, "rope.scale_linear", 1.0))
    scaling = file.metadata.get("llama.rope.scaling.type", "linear")
    sizes = Hyperparameters(
        layers=_whole(file, "block_count"),
        width=width,
        feed_forward=_whole(file, "feed_forward_length"),
        heads=heads,
        kv_heads=_whole(file, "attention.head_count_kv", heads),
        head_width=head_width,
        vocabulary=_embedding_rows(file),
        epsilon=_number(file, "attention.layer_norm_rms_epsilon"),
        rope_base=_number(file, "rope.freq_base", 10000.0),
        rope_scale=1.0 if scaling == "none" or scale == 0 else 1 / scale,
    )
    if not sizes.rope_base:
        raise BadInput(f"{file.path}: metadata entry 'llama.rope.freq_base' is 0, not a number above zero.")
    if sizes.heads % sizes.kv_heads or sizes.head_width % 2:
        raise BadInput(f"{file.path}: {sizes.heads} heads {sizes.head_width} wide cannot share {sizes.kv_heads} keys.")
    _check_tensors(file, sizes)
    return sizes


def read_blocks(file: GgufFile, sizes: Hyperparameters, team: Team) -> list[Block]:
    """Both halves of all layers in order; their matrices are read when they are multiplied, by `team`."""
    halves = (attention_weights, feed_forward_weights)
    return [half(file, layer, team) for layer in range(sizes.layers) for half in halves]


def attention_weights(file: GgufFile, layer: int, team: Team) -> AttentionWeights:
    """The first half of `layer`; norm and matrices."""
    q, k, v, output = _names(layer, "attn_q", "attn_k", "attn_v", "attn_output")
    norm = read_tensor(file, f"blk.{layer}.attn_norm.weight")
    return AttentionWeights(norm, Matrix(file, [q, k, v], team), Matrix(file, [output], team))


def feed_forward_weights(file: GgufFile, layer: int, team: Team) -> FeedForwardWeights:
    """The second half of `layer`; norm and matrices."""
    gate, up, down = _names(layer, "ffn_gate", "ffn_up", "ffn_down")
    norm = read_tensor(file, f"blk.{layer}.ffn_norm.weight")
    return FeedForwardWeights(norm, Matrix(file, [gate, up], team), Matrix(file, [down], team))


def _names(layer: int, *parts: str) -> list[str]:
    return [f"blk.{layer}.{part}.weight" for part in parts]


def _refuse_variants(file: GgufFile) -> None:
    architecture = file.metadata.get("general.architecture")
    if architecture != "llama":
        raise BadInput(
            f"{file.path}: its architecture is {architecture!r}, and numpy can run only 'llama'; "
            "install llama-cpp-python or choose another text encoder."
        )
    simple: dict[str, tuple[Any, ...]] = {
        "split.count": (0, 1),
        "llama.expert_count": (0,),
        "llama.attention.causal": (True,),
        "llama.rope.scaling.type": ("none", "linear"),
    }
    for key, values in simple.items():
        value = file.metadata.get(key, values[0])
        if value not in values:
            raise BadInput(f"{file.path}: numpy cannot run a text encoder whose {key!r} is {value!r}.")


def _check_tensors(file: GgufFile, sizes: Hyperparameters) -> None:
    d, f, w = sizes.width, sizes.feed_forward, sizes.head_width
    used = {EMBEDDING, FINAL_NORM} | UNUSED
    _check(file, EMBEDDING, (sizes.vocabulary, d))
    _check(file, FINAL_NORM, (d,))
    if ROPE_FACTORS in file.tensors:
        _check(file, ROPE_FACTORS, (w // 2,))
        used.add(ROPE_FACTORS)
    layer_shapes = {
        "attn_norm": (d,),
        "attn_q": (sizes.heads * w, d),
        "attn_k": (sizes.kv_heads * w, d),
        "attn_v": (sizes.kv_heads * w, d),
        "attn_output": (d, sizes.heads * w),
        "ffn_norm": (d,),
        "ffn_gate": (f, d),
        "ffn_up": (f, d),
        "ffn_down": (d, f),
    }
    for layer in range(sizes.layers):
        for part, shape in layer_shapes.items():
            name = f"blk.{layer}.{part}.weight"
            _check(file, name, shape)
            used.add(name)
    for name in file.tensors.keys() - used:
        raise BadInput(f"{file.path}: numpy cannot run a LLaMA network with a tensor {name!r}.")


def _check(file: GgufFile, name: str, shape: tuple[int, ...]) -> None:
    tensor = file.tensors.get(name)
    if tensor is None:
        raise BadInput(f"{file.path}: tensor {name!r} is missing; get the file again.")
    if tensor.shape != shape:
        raise BadInput(f"{file.path}: tensor {name!r} has the shape {tensor.shape}, not {shape}; get the file again.")
    supported_type(file, name)


def _embedding_rows(file: GgufFile) -> int:
    tensor = file.tensors.get(EMBEDDING)
    return tensor.shape[0] if tensor is not None else 0


def _whole(file: GgufFile, key: str, default: int | None = None) -> int:
    value = file.metadata.get(f"llama.{key}", default)
    if type(value) is not int or not 0 < value < 2**31:
        raise BadInput(f"{file.path}: metadata entry 'llama.{key}' is {value!r}, not a number above zero.")
    return value


def _number(file: GgufFile, key: str, default: float | None = None) -> float:
    value = file.metadata.get(f"llama.{key}", default)
    if not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise BadInput(f"{file.path}: metadata entry 'llama.{key}' is {value!r}, not a number.")
    return float(value)
