"""Text encoders of LLaMA folders -> text.gguf in Q8_0, compared with gguf, llama.cpp and transformers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgefuse_export.llama import export_text_encoder
from edgefuse_export.llama_folder import interleave_halves
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import sha256
from edgefuse_runtimes.gguf.reader import read_gguf
from edgefuse_runtimes.gguf.with_numpy import GgufNumpyEncoder
from edgefuse_runtimes.spec import EncoderSpec, Tokenization
from edgefuse_runtimes.tokenizers import open_tokenizer, tokenize

gguf = pytest.importorskip("gguf", reason="gguf is not installed (extra export)")
Q8_0 = gguf.GGMLQuantizationType.Q8_0


def centred_cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = a - a.mean(0), b - b.mean(0)
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def tensors(file: Path) -> dict[str, Any]:
    return {tensor.name: tensor for tensor in gguf.GGUFReader(file).tensors}


@pytest.fixture(scope="module")
def exported(llama_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[EncoderSpec, Path]:
    folder = tmp_path_factory.mktemp("exported")
    return export_text_encoder(llama_folder, folder), folder / "text.gguf"


@pytest.fixture(scope="module")
def transformers_vectors(llama_folder: Path, sentences: list[str]) -> np.ndarray:
    """Last hidden state after the final norm of each sentence's last token, (n, 64)."""
    import torch
    from transformers import LlamaModel, PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(llama_folder / "tokenizer.json"))
    model = LlamaModel.from_pretrained(llama_folder).eval()
    with torch.no_grad():
        hidden = [model(torch.tensor([tokenizer(text).input_ids])).last_hidden_state for text in sentences]
    return np.stack([states[0, -1].numpy() for states in hidden])


def test_spec_says_what_a_device_needs(exported: tuple[EncoderSpec, Path], llama_folder: Path) -> None:
    spec, file = exported
    assert [path.name for path in file.parent.iterdir()] == ["text.gguf"]
    assert (spec.file, spec.sha256, spec.bytes) == ("text.gguf", sha256(file), file.stat().st_size)
    assert (spec.precision, spec.width, spec.pooling, spec.normalize) == ("q8_0", 64, "last", False)
    assert spec.tokenization is not None
    assert spec.tokenization.newline_to_space
    assert (spec.tokenization.max_tokens, spec.tokenization.add_bos) == (128, False)  # its context is short
    assert spec.source == {
        "name": "tiny-llama",
        "sha256": {"model.safetensors": sha256(llama_folder / "model.safetensors")},
    }
    assert EncoderSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


def test_matrices_are_q8_0_of_the_reordered_weights(exported: tuple[EncoderSpec, Path], llama_folder: Path) -> None:
    from safetensors.numpy import load_file

    source, written = load_file(llama_folder / "model.safetensors"), tensors(exported[1])
    layer = "model.layers.1."
    same = {
        "token_embd.weight": source["model.embed_tokens.weight"],
        "output.weight": source["lm_head.weight"],
        "blk.1.attn_v.weight": source[layer + "self_attn.v_proj.weight"],
        "blk.1.ffn_down.weight": source[layer + "mlp.down_proj.weight"],
        "blk.1.attn_q.weight": interleave_halves(source[layer + "self_attn.q_proj.weight"], 4),
        "blk.1.attn_k.weight": interleave_halves(source[layer + "self_attn.k_proj.weight"], 2),
    }
    for name, values in same.items():
        assert written[name].tensor_type == Q8_0
        np.testing.assert_array_equal(written[name].data, gguf.quants.quantize(values, Q8_0))
    np.testing.assert_array_equal(written["output_norm.weight"].data, source["model.norm.weight"])
    assert len(written) == len(source)


def test_rows_of_a_head_are_interleaved() -> None:
    rows = np.arange(8)[:, None]  # two heads of four rows
    assert interleave_halves(rows, 2).ravel().tolist() == [0, 2, 1, 3, 4, 6, 5, 7]


def test_token_ids_equal_those_of_tokenizers(
    exported: tuple[EncoderSpec, Path], llama_folder: Path, sentences: list[str]
) -> None:
    from tokenizers import Tokenizer

    reference, ours = Tokenizer.from_file(str(llama_folder / "tokenizer.json")), open_tokenizer(exported[1])
    for text in [*sentences, "", "  12  345\n\n x", "naïve café 🙂"]:
        assert ours.encode(text) == reference.encode(text).ids


def test_numpy_engine_gives_the_vectors_of_transformers(
    exported: tuple[EncoderSpec, Path], sentences: list[str], transformers_vectors: np.ndarray
) -> None:
    spec, file = exported
    tokenizer = open_tokenizer(file)
    with GgufNumpyEncoder(file, spec, threads=1, memory="normal") as encoder:
        vectors = encoder.encode([np.array(tokenizer.encode(text), np.int32) for text in sentences])
    assert centred_cosines(vectors, transformers_vectors).mean() > 0.999


def test_llama_cpp_gives_the_vectors_of_transformers(
    exported: tuple[EncoderSpec, Path],
    sentences: list[str],
    transformers_vectors: np.ndarray,
    llama_cpp_vectors: Callable[[Path, list[list[int]]], np.ndarray],
) -> None:
    tokenizer = open_tokenizer(exported[1])
    vectors = llama_cpp_vectors(exported[1], [tokenizer.encode(text) for text in sentences])
    assert centred_cosines(vectors, transformers_vectors).mean() > 0.999


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_in_shards_is_read_as_it_is(llama_folder: Path, tmp_path: Path, dtype: str) -> None:
    import torch
    from transformers import LlamaForCausalLM

    model = LlamaForCausalLM.from_pretrained(llama_folder, dtype=getattr(torch, dtype))
    source = tmp_path / "sharded"
    model.save_pretrained(source, max_shard_size="40KB", safe_serialization=True)
    assert len(list(source.glob("model-*.safetensors"))) > 2
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(llama_folder / name, source)
    export_text_encoder(source, tmp_path)
    written = tensors(tmp_path / "text.gguf")
    values = model.model.layers[0].mlp.up_proj.weight.float().detach().numpy()
    np.testing.assert_array_equal(written["blk.0.ffn_up.weight"].data, gguf.quants.quantize(values, Q8_0))
    norm = model.model.layers[0].input_layernorm.weight.float().detach().numpy()
    np.testing.assert_array_equal(written["blk.0.attn_norm.weight"].data, norm)


def test_tied_output_head_is_left_out(llama_folder: Path, tmp_path: Path) -> None:
    source = edited(llama_folder, tmp_path, {"tie_word_embeddings": True})
    export_text_encoder(source, tmp_path)
    assert "output.weight" not in tensors(tmp_path / "text.gguf")


def edited(folder: Path, tmp_path: Path, config: dict[str, Any]) -> Path:
    source = Path(shutil.copytree(folder, tmp_path / "source"))
    settings = json.loads((source / "config.json").read_text()) | config
    (source / "config.json").write_text(json.dumps(settings))
    return source


def refuse(source: Path, tmp_path: Path, sentence: str) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(BadInput, match=sentence) as caught:
        export_text_encoder(source, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"model_type": "dinov2"}, "holds a model of type 'dinov2'; the text encoders that can be exported"),
        ({"architectures": ["LlamaForSequenceClassification"]}, "the text encoders that can be exported"),
        ({"hidden_act": "gelu"}, "unusual hidden_act"),
        ({"attention_bias": True}, "unusual attention_bias"),
        ({"is_causal": False}, "unusual is_causal"),
        ({"partial_rotary_factor": 0.5}, "unusual partial_rotary_factor"),
        ({"quantization_config": {"quant_method": "gptq"}}, "unusual quantization_config"),
        ({"num_hidden_layers": "two"}, "num_hidden_layers = 'two', not a whole number above zero"),
        ({"num_hidden_layers": 3}, "lacks the tensor 'model.layers.2"),
        ({"num_hidden_layers": 1}, "has a tensor 'model.layers.1.* that a LLaMA network has not"),
        ({"intermediate_size": 80}, r"in the shape \(96, 64\), and its config asks for \(80, 64\)"),
        ({"num_key_value_heads": 3}, "4 heads 16 wide over 3 key/value heads, which do not fit"),
        ({"rms_norm_eps": -1}, "rms_norm_eps = -1, not a number above zero"),
    ],
)
def test_folders_that_are_no_plain_llama_are_refused(
    llama_folder: Path, tmp_path: Path, config: dict[str, Any], sentence: str
) -> None:
    refuse(edited(llama_folder, tmp_path, config), tmp_path, sentence)


def test_weights_that_are_not_finite_are_refused(llama_folder: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    source = edited(llama_folder, tmp_path, {})
    weights = load_file(source / "model.safetensors")
    weights["model.layers.1.mlp.up_proj.weight"][3, 4] = np.nan
    save_file(weights, source / "model.safetensors", metadata={"format": "pt"})
    refuse(source, tmp_path, "not finite in 'model.layers.1.mlp.up_proj.weight'")


def test_truncated_weights_are_refused(llama_folder: Path, tmp_path: Path) -> None:
    source = edited(llama_folder, tmp_path, {})
    weights = source / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    refuse(source, tmp_path, "ends before its tensor")


def test_rows_that_q8_0_cannot_hold_are_refused(tmp_path: Path, llama_folder: Path) -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    source = edited(llama_folder, tmp_path, {})
    config = LlamaConfig(
        vocab_size=400, hidden_size=48, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2
    )
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(source)
    refuse(source, tmp_path, "rows of 48 values, and Q8_0 needs a multiple of 32")


def test_a_long_context_reads_512_tokens_beginning_with_bos(llama_folder: Path, tmp_path: Path) -> None:
    source = edited(llama_folder, tmp_path, {"max_position_embeddings": 4096})
    settings = json.loads((source / "tokenizer_config.json").read_text()) | {"add_bos_token": True}
    (source / "tokenizer_config.json").write_text(json.dumps(settings))
    (tmp_path / "out").mkdir()
    spec = export_text_encoder(source, tmp_path / "out")
    assert spec.tokenization == Tokenization(512, add_bos=True, newline_to_space=True)
    tokenizer = open_tokenizer(tmp_path / "out" / spec.file)
    two_lines, one_line = (tokenize(tokenizer, spec.tokenization, f"a mole{gap}on the back") for gap in ("\n", " "))
    assert two_lines.ids.tolist() == one_line.ids.tolist()
    assert two_lines.ids[0] == tokenizer.bos_id
    assert len(tokenize(tokenizer, spec.tokenization, "mole " * 600).ids) == 512


def test_gguf_that_wants_a_bos_it_does_not_have_is_refused(llama_folder: Path, tmp_path: Path) -> None:
    source = edited(llama_folder, tmp_path, {"bos_token_id": None})
    (source / "tokenizer_config.json").write_text(json.dumps({"add_bos_token": True}))
    refuse(source, tmp_path, "wants texts to begin with BOS and names no BOS token")


def test_written_file_is_sound(exported: tuple[EncoderSpec, Path]) -> None:
    file = read_gguf(exported[1])
    assert file.metadata["llama.attention.head_count_kv"] == 2
    assert file.metadata["llama.rope.dimension_count"] == 16
    assert file.metadata["general.name"] == "tiny-llama"
