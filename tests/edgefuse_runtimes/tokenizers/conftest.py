"""Small vocabularies of each kind, drawn texts, and the references' answers."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

settings.register_profile("texts", max_examples=int(os.environ.get("EDGEFUSE_TEXTS", "1000")), deadline=None)

CORPUS = [
    "Age: 45 years. Sex: male. Localization: lower extremity. The lesion has grown since 2019-03-07.",
    "It's the patient's first visit; she doesn't smoke, they've seen 3 doctors and he'll return in 12 weeks.",
    "A woman stands in the dining area at the table.   Several   spaces,\n\n\tand tabs\r\n  here.",
    "El paciente, de 61 años, señala una mancha en el brazo izquierdo desde hace ½ año.",
    "Der Patient klagt über Juckreiz; Größe ungefähr 8 mm, Ränder unregelmäßig.",
    "المريض عمره ٤٥ سنة ويشكو من حكة في الساق اليسرى.",
    "रोगी की आयु ४५ वर्ष है और बाएँ पैर में खुजली है।",
    "患者今年四十五岁，左腿有黑痣，边缘不规则。",
    "for i in range(10):\n    print(i, 'ok')  # !? ... <tag> </tag> 😀😃👩‍⚕️",
] * 8

SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]

LLAMA_CPP = """
import json, sys, llama_cpp
model = llama_cpp.Llama(sys.argv[1], vocab_only=True, verbose=False)
texts = json.load(sys.stdin)
ids = [model.tokenize(text.encode(), add_bos=False, special=False) if text else [] for text in texts]
sys.stdout.write("\\n" + json.dumps(ids))
"""


def _text(characters: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Stretches of `characters`, of what pre-splits care about, and of spellings that look special."""
    stretches = [
        st.text(characters, max_size=20),
        st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=30),
        st.text(st.characters(max_codepoint=0x1F), max_size=5),
        st.text(" \t\n\r\v\f\x1c\x85\xa0\u2003\u3000a1!", max_size=12),
        st.text("'sStTmMdDrReEvVlL 1a", max_size=12),
        st.text("مريض٤٥ سنة", max_size=12),
        st.text("रोगी की ४५।", max_size=12),
        st.text("😀👩\u200d⚕\ufe0f☎ ", max_size=8),
        st.integers(1, 80).map(lambda count: " " * count),
        st.sampled_from([*CORPUS[:9], *SPECIALS, "<s>", "</s>", "<unk>", "<0x41>", "▁", "½Ⅷ²", "patient's"]),
    ]
    return st.lists(st.one_of(stretches), max_size=5).map("".join)


@pytest.fixture(scope="session")
def any_text() -> st.SearchStrategy[str]:
    """Texts of all of Unicode but lone surrogates."""
    return _text(st.characters(exclude_categories=["Cs"]))


@pytest.fixture(scope="session")
def many_texts(any_text: st.SearchStrategy[str]) -> list[str]:
    """Texts for a reference that has to run in a child process, and so gets them all at once."""
    texts: list[str] = []

    @settings(
        settings.get_profile("texts"),
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(any_text)
    def collect(text: str) -> None:
        texts.append(text)

    collect()
    return texts


@pytest.fixture(scope="session")
def write_vocabulary() -> Callable[[Path, dict[str, Any]], Path]:
    """Write a GGUF file that has `metadata` and no tensors."""
    gguf = pytest.importorskip("gguf", reason="the gguf package writes the files to read")

    def write(path: Path, metadata: dict[str, Any]) -> Path:
        writer = gguf.GGUFWriter(path, "llama")
        sizes = {"context_length": 64, "embedding_length": 8, "block_count": 1, "feed_forward_length": 8}
        for name, value in (sizes | {"attention.head_count": 1}).items():
            writer.add_uint32(f"llama.{name}", value)
        writer.add_float32("llama.attention.layer_norm_rms_epsilon", 1e-5)
        for name, value in metadata.items():
            match value:
                case bool():
                    writer.add_bool(name, value)
                case int():
                    writer.add_uint32(name, value)
                case str():
                    writer.add_string(name, value)
                case _:
                    writer.add_array(name, list(value) if isinstance(value, list) else value.tolist())
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.close()
        return path

    return write


@pytest.fixture(scope="session")
def llama_cpp_ids() -> Callable[[Path, list[str]], list[list[int]]]:
    """What llama.cpp makes of texts, in a child process because it aborts on what it does not like."""
    if importlib.util.find_spec("llama_cpp") is None:
        pytest.skip("needs llama-cpp-python, the reference for token ids from GGUF files")

    def ids(path: Path, texts: list[str]) -> list[list[int]]:
        command = [sys.executable, "-c", LLAMA_CPP, str(path)]
        child = subprocess.run(command, input=json.dumps(texts), capture_output=True, text=True, timeout=600)
        assert child.returncode == 0, child.stderr[-2000:]
        answer: list[list[int]] = json.loads(child.stdout.splitlines()[-1])
        return answer

    return ids


@pytest.fixture(scope="session")
def pre_tokenizers() -> dict[str, Any]:
    """How `tokenizers` cuts words for each pre-split, before it writes bytes as characters."""
    library = pytest.importorskip("tokenizers", reason="the reference for byte-level BPE")
    pre = library.pre_tokenizers
    llama3 = (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
        r"|\s*[\r\n]+|\s+(?!\S)|\s+"
    )
    gpt2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
    cut_gpt2 = pre.Split(library.Regex(gpt2), "isolated")
    return {
        "smollm": pre.Sequence([pre.Digits(individual_digits=True), cut_gpt2]),
        "gpt-2": cut_gpt2,
        "llama-bpe": pre.Split(library.Regex(llama3), "isolated"),
    }


@pytest.fixture(scope="session")
def trained_bpe(pre_tokenizers: dict[str, Any]) -> dict[str, Any]:
    """A small byte-level BPE of `tokenizers` for each pre-split."""
    library = pytest.importorskip("tokenizers", reason="the reference for byte-level BPE")
    pre = library.pre_tokenizers
    whole = {
        "smollm": pre.Sequence([pre.Digits(individual_digits=True), pre.ByteLevel(add_prefix_space=False)]),
        "gpt-2": pre.ByteLevel(add_prefix_space=False),
        "llama-bpe": pre.Sequence(
            [pre_tokenizers["llama-bpe"], pre.ByteLevel(add_prefix_space=False, use_regex=False)]
        ),
    }
    trained = {}
    for name, words in whole.items():
        model = library.Tokenizer(library.models.BPE(ignore_merges=name == "llama-bpe"))
        model.pre_tokenizer = words
        model.train_from_iterator(
            CORPUS,
            library.trainers.BpeTrainer(
                vocab_size=700,
                special_tokens=SPECIALS,
                initial_alphabet=library.pre_tokenizers.ByteLevel.alphabet(),
                show_progress=False,
            ),
        )
        if name == "llama-bpe":
            begins = library.processors.TemplateProcessing(
                single=f"{SPECIALS[0]} $A", special_tokens=[(SPECIALS[0], 0)]
            )
            model.post_processor = library.processors.Sequence([library.processors.ByteLevel(), begins])
        model.encode_special_tokens = True
        trained[name] = model
    return trained


@pytest.fixture(scope="session")
def bpe_metadata(trained_bpe: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The vocabularies of `trained_bpe` as a GGUF file holds them."""
    found = {}
    for name, model in trained_bpe.items():
        state = json.loads(model.to_str())["model"]
        tokens = sorted(state["vocab"], key=state["vocab"].__getitem__)
        found[name] = {
            "tokenizer.ggml.model": "gpt2",
            "tokenizer.ggml.pre": name,
            "tokenizer.ggml.tokens": tokens,
            "tokenizer.ggml.token_type": np.array([3 if token in SPECIALS else 1 for token in tokens], np.int32),
            "tokenizer.ggml.merges": [" ".join(pair) for pair in state["merges"]],
            "tokenizer.ggml.bos_token_id": 1,
            "tokenizer.ggml.eos_token_id": 2,
        }
    return found


@pytest.fixture(scope="session")
def trained_sentencepiece() -> Callable[..., Any]:
    """Train a small SentencePiece BPE with byte fallback, as LLaMA-2's but for the given options."""
    library = pytest.importorskip("sentencepiece", reason="the reference for SentencePiece BPE")

    def train(**options: Any) -> Any:
        model = io.BytesIO()
        usual = {
            "add_dummy_prefix": True,
            "allow_whitespace_only_pieces": True,
            "byte_fallback": True,
            "minloglevel": 2,
            "model_type": "bpe",
            "normalization_rule_name": "identity",
            "remove_extra_whitespaces": False,
            "split_by_whitespace": True,
            "split_digits": True,
            "vocab_size": 800,
        }
        library.SentencePieceTrainer.train(
            sentence_iterator=iter(line for text in CORPUS for line in text.splitlines() if line),
            model_writer=model,
            **(usual | options),
        )
        return library.SentencePieceProcessor(model_proto=model.getvalue())

    return train


@pytest.fixture(scope="session")
def sentencepiece_metadata() -> Callable[[Any], dict[str, Any]]:
    """The vocabulary of a trained SentencePiece model as a GGUF file holds it."""

    def metadata(model: Any) -> dict[str, Any]:
        ids = range(model.vocab_size())
        types = [2 if model.is_unknown(i) else 3 if model.is_control(i) else 6 if model.is_byte(i) else 1 for i in ids]
        return {
            "tokenizer.ggml.model": "llama",
            "tokenizer.ggml.tokens": [model.id_to_piece(i) for i in ids],
            "tokenizer.ggml.scores": np.array([model.get_score(i) for i in ids], np.float32),
            "tokenizer.ggml.token_type": np.array(types, np.int32),
            "tokenizer.ggml.bos_token_id": model.bos_id(),
            "tokenizer.ggml.eos_token_id": model.eos_id(),
        }

    return metadata


@pytest.fixture(scope="session")
def as_tokenizer_json() -> Callable[..., Any]:
    """A SentencePiece model as a tokenizer of `tokenizers`, with the merges that transformers makes of its scores."""
    library = pytest.importorskip("tokenizers", reason="the reference for a tokenizer.json")

    def convert(model: Any, spaces: str = "Prepend") -> Any:
        pieces = {model.id_to_piece(i): i for i in range(model.vocab_size())}
        merges = []
        for piece, number in pieces.items():
            parts = [(piece[:at], piece[at:]) for at in range(1, len(piece))]
            known = [pair for pair in parts if pair[0] in pieces and pair[1] in pieces]
            known.sort(key=lambda pair: (pieces[pair[0]], pieces[pair[1]]))
            merges += [(model.get_score(number), len(left), len(right), left, right) for left, right in known]
        merges.sort(key=lambda merge: merge[:3], reverse=True)
        core = library.models.BPE(
            pieces, [merge[3:] for merge in merges], unk_token="<unk>", fuse_unk=True, byte_fallback=True
        )
        tokenizer = library.Tokenizer(core)
        tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
        if spaces == "Metaspace":
            tokenizer.pre_tokenizer = library.pre_tokenizers.Metaspace("▁", prepend_scheme="first", split=False)
        else:
            normalizers = library.normalizers
            replaced = normalizers.Replace(" ", "▁")
            prepended = normalizers.Sequence([normalizers.Prepend("▁"), replaced])
            tokenizer.normalizer = prepended if spaces == "Prepend" else replaced
        tokenizer.post_processor = library.processors.TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", pieces["<s>"])]
        )
        tokenizer.encode_special_tokens = True
        return tokenizer

    return convert


WORDPIECE_SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
BERT_RULES: dict[str, dict[str, bool | None]] = {
    "uncased": {},
    "cased": {"lowercase": False},
    "uncased with accents": {"strip_accents": False},
    "cased without accents": {"lowercase": False, "strip_accents": True},
    "not cleaned": {"clean_text": False, "handle_chinese_chars": False},
}


@pytest.fixture(scope="session")
def trained_wordpiece() -> dict[str, Any]:
    """A small WordPiece of `tokenizers` for each way to clean texts."""
    library = pytest.importorskip("tokenizers", reason="the reference for WordPiece")
    trained = {}
    for name, rules in BERT_RULES.items():
        model = library.Tokenizer(library.models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=20))
        model.normalizer = library.normalizers.BertNormalizer(**rules)
        model.pre_tokenizer = library.pre_tokenizers.BertPreTokenizer()
        trainer = library.trainers.WordPieceTrainer(
            vocab_size=600, special_tokens=WORDPIECE_SPECIALS, show_progress=False
        )
        model.train_from_iterator(CORPUS, trainer)
        model.post_processor = library.processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
        model.encode_special_tokens = True
        trained[name] = model
    return trained
