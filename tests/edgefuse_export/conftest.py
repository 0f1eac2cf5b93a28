"""Tiny sources of every kind that can be exported, with random weights."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgefuse.datasets import drawn
from edgefuse.kits import encoders
from edgefuse_export import resources
from edgefuse_export.parity import samples

SENTENCES = [
    "Age: 45 years. Sex: male. Localization: trunk.",
    "Age: 80 years. Sex: female. Localization: lower extremity.",
    "It appeared last week and is growing quickly.",
    "She has had it since childhood and it never changed.",
    "Une tache brune sur l'avant-bras, 3,5 mm, stable depuis 12 ans.",
    "皮膚に新しい斑点 — 2週間前から。",
]

PREPROCESSOR = {
    "image_processor_type": "BitImageProcessor",
    "size": {"shortest_edge": 64},
    "resample": 3,
    "do_center_crop": True,
    "crop_size": {"height": 56, "width": 56},
    "rescale_factor": 1 / 255,
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
}

LLAMA_CPP = """
import ctypes, json, sys
import llama_cpp
file, notes = sys.argv[1], json.loads(sys.argv[2])
model = llama_cpp.Llama(file, embedding=True, pooling_type=llama_cpp.LLAMA_POOLING_TYPE_LAST,
                        n_ctx=128, n_batch=128, n_ubatch=128, n_threads=1, verbose=False)
vectors = []
for ids in notes:
    llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(model.ctx), True)
    batch = llama_cpp.llama_batch_init(len(ids), 0, 1)
    batch.n_tokens = len(ids)
    for place, token in enumerate(ids):
        batch.token[place], batch.pos[place], batch.logits[place] = token, place, 1
        batch.n_seq_id[place], batch.seq_id[place][0] = 1, 0
    assert llama_cpp.llama_decode(model.ctx, batch) == 0
    vectors.append(llama_cpp.llama_get_embeddings_seq(model.ctx, 0)[: model.n_embd()])
    llama_cpp.llama_batch_free(batch)
print(json.dumps(vectors))
"""


draw_once = functools.cache(drawn.draw)
"""`draw`, for pictures that many tests look at."""


@pytest.fixture(scope="session", autouse=True)
def _drawn_once() -> Iterator[None]:
    """What every export and every example draws is drawn for the first one alone."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (drawn, encoders, samples):
            patch.setattr(module, "draw", draw_once)
        yield


@pytest.fixture(scope="session", autouse=True)
def _one_core() -> Iterator[None]:
    """Processes test side by side; an export that takes all cores mostly waits for them, and busily."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resources, "usable_cores", lambda: 1)
        yield


@pytest.fixture(scope="session")
def sentences() -> list[str]:
    """Notes with digits, accents and other scripts."""
    return SENTENCES


@pytest.fixture
def llama_cpp_vectors() -> Callable[[Path, list[list[int]]], np.ndarray]:
    """Last-token vectors (n, d) that llama.cpp gives for lists of ids, in a child process."""
    if find_spec("llama_cpp") is None:
        pytest.skip("llama-cpp-python is not installed, so nothing can be compared with llama.cpp")

    def run(file: Path, notes: list[list[int]]) -> np.ndarray:
        command = [sys.executable, "-c", LLAMA_CPP, str(file), json.dumps(notes)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr
        return np.array(json.loads(done.stdout.splitlines()[-1]), np.float64)

    return run


@pytest.fixture(scope="session")
def dinov2_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A `Dinov2Model` of two layers, 48 wide; its position table must be interpolated for 56 pixels."""
    torch = pytest.importorskip("torch", reason="torch is not installed (extra export-torch)")
    transformers = pytest.importorskip("transformers", reason="transformers is not installed (export-torch)")
    torch.manual_seed(0)
    config = transformers.Dinov2Config(
        hidden_size=48, num_hidden_layers=2, num_attention_heads=3, mlp_ratio=2, image_size=98, patch_size=14
    )
    model = transformers.Dinov2Model(config).eval()
    for name, weight in model.named_parameters():
        if "norm" not in name:
            torch.nn.init.normal_(weight, std=0.15)
    folder = tmp_path_factory.mktemp("dinov2") / "tiny-dinov2"
    model.save_pretrained(folder, safe_serialization=True)
    (folder / "preprocessor_config.json").write_text(json.dumps(PREPROCESSOR))
    return folder


@pytest.fixture(scope="session")
def image_folder(dinov2_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a tiny model of a type, made when first asked for: two layers, 48 wide, pictures of 56 pixels."""
    torch = pytest.importorskip("torch", reason="torch is not installed (extra export-torch)")
    transformers = pytest.importorskip("transformers", reason="transformers is not installed (export-torch)")
    size = {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 3}
    patches = size | {"intermediate_size": 96, "image_size": 56, "patch_size": 14}
    text = size | {"intermediate_size": 96, "vocab_size": 50, "max_position_embeddings": 8}
    makers: dict[str, Callable[[], Any]] = {
        "dinov2_with_registers": lambda: transformers.Dinov2WithRegistersModel(
            transformers.Dinov2WithRegistersConfig(
                **size, mlp_ratio=2, image_size=98, patch_size=14, num_register_tokens=4
            )
        ),
        "vit": lambda: transformers.ViTModel(transformers.ViTConfig(**patches)),
        "clip_vision_model": lambda: transformers.CLIPVisionModelWithProjection(
            transformers.CLIPVisionConfig(**patches, projection_dim=32)
        ),
        "clip": lambda: transformers.CLIPModel(
            transformers.CLIPConfig(text_config=text, vision_config=patches, projection_dim=40)
        ),
    }
    made = {"dinov2": dinov2_folder}

    def make(model_type: str) -> Path:
        if model_type not in made:
            torch.manual_seed(len(model_type))
            model = makers[model_type]().eval()
            for name, weight in model.named_parameters():
                if "norm" not in name:
                    torch.nn.init.normal_(weight, std=0.15)
            folder = tmp_path_factory.mktemp("image") / model_type
            model.save_pretrained(folder, safe_serialization=True)
            (folder / "preprocessor_config.json").write_text(json.dumps(PREPROCESSOR))
            made[model_type] = folder
        return made[model_type]

    return make


@pytest.fixture(scope="session")
def llama_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A `LlamaForCausalLM` of two layers, 64 wide, with an output head of its own and a byte-level BPE."""
    torch = pytest.importorskip("torch", reason="torch is not installed (extra export-torch)")
    transformers = pytest.importorskip("transformers", reason="transformers is not installed (export-torch)")
    folder = tmp_path_factory.mktemp("llama") / "tiny-llama"
    folder.mkdir()
    vocabulary = _write_byte_level_tokenizer(folder)
    torch.manual_seed(1)
    config = transformers.LlamaConfig(
        vocab_size=vocabulary + 9,  # as in real checkpoints, the embedding has spare rows
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=128,
        initializer_range=0.2,
        bos_token_id=1,
        eos_token_id=2,
    )
    transformers.LlamaForCausalLM(config).save_pretrained(folder, safe_serialization=True)
    return folder


def _write_byte_level_tokenizer(folder: Path) -> int:
    tokenizers = pytest.importorskip("tokenizers", reason="tokenizers is not installed (extra dev)")
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [
            tokenizers.pre_tokenizers.Digits(individual_digits=True),
            tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=330,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"add_bos_token": False, "bos_token": "<|im_start|>", "eos_token": "<|im_end|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return tokenizer.get_vocab_size()


@pytest.fixture(scope="session")
def text_folder(clip_tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a tiny text encoder, made when first asked for: two layers, 48 wide, notes of up to 40 tokens.

    "bert" and "clip_text_model" are named after their model_type, "clip" has both halves, and "sentence-bert" is the
    BERT as the library sentence-transformers writes it.
    """
    torch = pytest.importorskip("torch", reason="torch is not installed (extra export-torch)")
    transformers = pytest.importorskip("transformers", reason="transformers is not installed (export-torch)")
    size = {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 96}
    words, pieces = clip_tokenizer.get_vocab_size(), _wordpiece()
    ends = dict(zip(("bos_token_id", "eos_token_id"), clip_tokenizer.encode("").ids, strict=True))
    text = size | ends | {"vocab_size": words, "max_position_embeddings": 40, "pad_token_id": 0}
    bert = transformers.BertConfig(vocab_size=pieces.get_vocab_size() + 3, max_position_embeddings=40, **size)
    makers: dict[str, Callable[[], Any]] = {
        "bert": lambda: transformers.BertModel(bert),
        "sentence-bert": lambda: transformers.BertModel(bert),
        "clip_text_model": lambda: transformers.CLIPTextModelWithProjection(
            transformers.CLIPTextConfig(**text, projection_dim=32)
        ),
        "clip": lambda: transformers.CLIPModel(
            transformers.CLIPConfig(
                text_config=text, vision_config=size | {"image_size": 56, "patch_size": 14}, projection_dim=40
            )
        ),
    }
    made: dict[str, Path] = {}

    def make(name: str) -> Path:
        if name not in made:
            torch.manual_seed(len(name))
            model = makers[name]().eval()
            for weight_name, weight in model.named_parameters():
                if "norm" not in weight_name.lower():
                    torch.nn.init.normal_(weight, std=0.15)
            folder = made[name] = tmp_path_factory.mktemp("text") / name
            model.save_pretrained(folder, safe_serialization=True)
            (pieces if "bert" in name else clip_tokenizer).save(str(folder / "tokenizer.json"))
            (folder / "preprocessor_config.json").write_text(json.dumps(PREPROCESSOR))
            (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 10**30}))
            if name == "sentence-bert":
                _write_modules(folder)
        return made[name]

    return make


def _wordpiece() -> Any:
    tokenizers = pytest.importorskip("tokenizers", reason="tokenizers is not installed (extra dev)")
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = tokenizers.normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    trainer = tokenizers.trainers.WordPieceTrainer(
        vocab_size=200, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer


def _write_modules(folder: Path) -> None:
    kinds = [("Transformer", ""), ("Pooling", "1_Pooling"), ("Normalize", "2_Normalize")]
    modules = [{"type": f"sentence_transformers.models.{kind}", "path": path} for kind, path in kinds]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir()
    pooling = {"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": False}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 24, "do_lower_case": False}))
