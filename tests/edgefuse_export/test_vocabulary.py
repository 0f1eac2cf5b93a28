"""Tokenizers of Hugging Face folders: the ids on the device equal those of the reference libraries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgefuse_export.vocabulary import add_tokenizer
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.gguf.reader import read_gguf
from edgefuse_runtimes.tokenizers import Tokenizer, open_tokenizer

gguf = pytest.importorskip("gguf", reason="gguf is not installed (extra export)")

TEXTS = [
    "Age: 45 years. Sex: male. Localization: trunk.",
    "it's 1234567 mm, she'll SEE'S we'Ve\r\n\n  two\t spaces  ",
    "Ünïcode — 皮膚 斑点 ½ 🙂 наша",
    "",
]
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
PRE_TOKENIZERS: dict[str, dict[str, Any]] = {
    "gpt-2": BYTE_LEVEL,
    "smollm": {
        "type": "Sequence",
        "pretokenizers": [{"type": "Digits", "individual_digits": True}, BYTE_LEVEL],
    },
    "llama-bpe": {
        "type": "Sequence",
        "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": LLAMA3}, "behavior": "Isolated", "invert": False},
            BYTE_LEVEL | {"use_regex": False},
        ],
    },
}


def converted(folder: Path, vocabulary: int) -> Path:
    """A GGUF file that holds nothing but the tokenizer of `folder`."""
    target = folder / "tokenizer.gguf"
    writer = gguf.GGUFWriter(target, "llama")
    try:
        add_tokenizer(writer, folder, vocabulary)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
    finally:
        writer.close()
    return target


@pytest.fixture(scope="module")
def byte_level(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A byte-level BPE of 350 tokens, as tokenizer.json."""
    tokenizers = pytest.importorskip("tokenizers", reason="tokenizers is not installed (extra dev)")
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=350,
        special_tokens=["<|begin|>", "<|end|>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS * 3, trainer)
    return dict(json.loads(tokenizer.to_str()))


def write(folder: Path, tokenizer: dict[str, Any], config: dict[str, Any] | None = None) -> Path:
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"bos_token": "<|begin|>", "eos_token": "<|end|>"} | (config or {}))
    )
    return folder


@pytest.mark.parametrize("pre", PRE_TOKENIZERS)
def test_byte_level_ids_equal_those_of_tokenizers(tmp_path: Path, byte_level: dict[str, Any], pre: str) -> None:
    from tokenizers import Tokenizer as Reference

    settings = byte_level | {"pre_tokenizer": PRE_TOKENIZERS[pre]}
    settings["model"] = byte_level["model"] | {"ignore_merges": pre == "llama-bpe"}
    write(tmp_path, settings)
    file = converted(tmp_path, 360)
    assert read_gguf(file).metadata["tokenizer.ggml.pre"] == pre
    reference = Reference.from_file(str(tmp_path / "tokenizer.json"))
    ours: Tokenizer = open_tokenizer(file)
    for text in TEXTS:
        assert ours.encode(text) == reference.encode(text, add_special_tokens=False).ids
    assert (ours.bos_id, ours.eos_id) == (0, 1)


def test_added_words_and_spare_rows(tmp_path: Path, byte_level: dict[str, Any]) -> None:
    settings = json.loads(json.dumps(byte_level))
    settings["added_tokens"].append(
        {"id": 350, "content": "melanoma", "special": False, "normalized": False}
        | dict.fromkeys(("lstrip", "rstrip", "single_word"), False)
    )
    write(tmp_path, settings)
    file = converted(tmp_path, 353)
    metadata = read_gguf(file).metadata
    assert metadata["tokenizer.ggml.tokens"][350:] == ["melanoma", "[PAD351]", "[PAD352]"]
    assert metadata["tokenizer.ggml.token_type"][[0, 1, 5, 350, 351]].tolist() == [3, 3, 1, 4, 5]
    assert 350 in open_tokenizer(file).encode("a melanoma here")


@pytest.mark.parametrize(
    ("stated", "template", "expected"),
    [(None, False, False), (None, True, True), (True, False, True), (False, True, True), (False, False, False)],
)
def test_whether_a_note_begins_with_bos(
    tmp_path: Path, byte_level: dict[str, Any], stated: bool | None, template: bool, expected: bool
) -> None:
    settings = dict(byte_level)
    if template:
        first, text = (
            {"SpecialToken": {"id": "<|begin|>", "type_id": 0}},
            {"Sequence": {"id": "A", "type_id": 0}},
        )
        settings["post_processor"] = {"type": "TemplateProcessing", "single": [first, text], "pair": []}
    write(tmp_path, settings, {} if stated is None else {"add_bos_token": stated})
    assert open_tokenizer(converted(tmp_path, 350)).add_bos is expected


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"normalizer": {"type": "NFC"}}, "not a byte-level BPE without normalizer"),
        ({"model": {"type": "WordPiece", "vocab": {}}}, "not a byte-level BPE"),
        ({"model": {"type": "BPE", "byte_fallback": True}}, "whose tokenizer.model is missing"),
        ({"model": {"type": "BPE", "dropout": 0.1}}, "dropout, prefix or suffix"),
        ({"pre_tokenizer": {"type": "Whitespace"}}, "does not end in ByteLevel"),
        (
            {"pre_tokenizer": BYTE_LEVEL | {"add_prefix_space": True}},
            "does not end in ByteLevel without prefix space",
        ),
        ({"pre_tokenizer": PRE_TOKENIZERS["llama-bpe"]}, "none of GPT-2's, SmolLM's and LLaMA-3's"),
        ({"pre_tokenizer": None}, "is no tokenizer that edgefuse can use"),
        ({"model": {}}, "is no tokenizer that edgefuse can use"),
    ],
)
def test_tokenizers_whose_ids_would_differ_are_refused(
    tmp_path: Path, byte_level: dict[str, Any], change: dict[str, Any], sentence: str
) -> None:
    write(tmp_path, byte_level | change)
    with pytest.raises(BadInput, match=sentence):
        converted(tmp_path, 350)


def test_more_tokens_than_the_model_knows_are_refused(tmp_path: Path, byte_level: dict[str, Any]) -> None:
    write(tmp_path, byte_level)
    with pytest.raises(BadInput, match=r"has the id \d+, and the model's vocabulary ends at 99"):
        converted(tmp_path, 100)


def test_folder_without_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"holds neither tokenizer\.model nor tokenizer\.json"):
        converted(tmp_path, 100)


@pytest.fixture(scope="module")
def sentencepiece_model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Train a SentencePiece model as LLaMA-2's was, or with other settings; returns its bytes."""
    sentencepiece = pytest.importorskip("sentencepiece", reason="sentencepiece is not installed")

    def train(**settings: Any) -> bytes:
        prefix = tmp_path_factory.mktemp("sentencepiece") / "model"
        usual = {
            "model_type": "bpe",
            "vocab_size": 340,
            "byte_fallback": True,
            "normalization_rule_name": "identity",
            "remove_extra_whitespaces": False,
            "character_coverage": 0.98,
            "minloglevel": 2,
        }
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter([text for text in TEXTS if text] * 5),
            model_prefix=str(prefix),
            **(usual | settings),
        )
        return prefix.with_suffix(".model").read_bytes()

    return train


@pytest.mark.parametrize("prefix", [True, False])
def test_sentencepiece_ids_equal_those_of_sentencepiece(tmp_path: Path, sentencepiece_model: Any, prefix: bool) -> None:
    from sentencepiece import SentencePieceProcessor

    data = sentencepiece_model(add_dummy_prefix=prefix)
    (tmp_path / "tokenizer.model").write_bytes(data)
    (tmp_path / "config.json").write_text(json.dumps({"bos_token_id": 1, "eos_token_id": 2}))
    ours, reference = open_tokenizer(converted(tmp_path, 345)), SentencePieceProcessor(model_proto=data)
    for text in TEXTS:
        assert ours.encode(text) == reference.encode(text)
    assert (ours.bos_id, ours.eos_id, ours.add_bos) == (1, 2, True)


def test_sentencepiece_vocabulary_is_kept_piece_by_piece(tmp_path: Path, sentencepiece_model: Any) -> None:
    from sentencepiece import SentencePieceProcessor

    data = sentencepiece_model(user_defined_symbols=["melanoma"])
    (tmp_path / "tokenizer.model").write_bytes(data)
    (tmp_path / "added_tokens.json").write_text(json.dumps({"<extra>": 340}))
    decoder = {"341": {"content": "<pad>", "special": False}}
    (tmp_path / "tokenizer_config.json").write_text(
        json.dumps({"added_tokens_decoder": decoder, "add_bos_token": True})
    )
    metadata = read_gguf(converted(tmp_path, 343)).metadata
    reference = SentencePieceProcessor(model_proto=data)
    tokens, scores, types = (metadata[f"tokenizer.ggml.{key}"] for key in ("tokens", "scores", "token_type"))
    assert tokens == [*(reference.id_to_piece(i) for i in range(340)), "<extra>", "<pad>", "[PAD342]"]
    assert scores[:340].tolist() == [reference.get_score(i) for i in range(340)]
    for number in range(340):
        expected = (
            2
            if reference.is_unknown(number)
            else 3
            if reference.is_control(number)
            else 6
            if reference.is_byte(number)
            else 1
        )
        assert types[number] == (4 if tokens[number] == "melanoma" else expected)
    assert types[340:].tolist() == [4, 3, 5]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"model_type": "unigram", "vocab_size": 310}, "not a BPE model of SentencePiece"),
        ({"normalization_rule_name": "nmt_nfkc"}, "changes texts before it cuts them"),
        ({"remove_extra_whitespaces": True}, "changes texts before it cuts them"),
    ],
)
def test_other_sentencepiece_models_are_refused(
    tmp_path: Path, sentencepiece_model: Any, settings: dict[str, Any], sentence: str
) -> None:
    (tmp_path / "tokenizer.model").write_bytes(sentencepiece_model(**settings))
    with pytest.raises(BadInput, match=sentence):
        converted(tmp_path, 340)


@pytest.mark.parametrize("content", [b"", b"no model", b"\x0a\xff\x01", b"\x0a\x02\x0a\x05"])
def test_damaged_sentencepiece_model_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "tokenizer.model").write_bytes(content)
    with pytest.raises(BadInput, match=r"tokenizer\.model is no tokenizer that edgefuse can use"):
        converted(tmp_path, 340)
