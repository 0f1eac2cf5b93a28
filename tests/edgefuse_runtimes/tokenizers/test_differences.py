"""Where the references differ from each other, and whom ours follow: the table in docs/reference/tokenizers.md."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgefuse_runtimes.tokenizers import Tokenizer, tokenizer_from_json, tokenizer_from_metadata
from edgefuse_runtimes.tokenizers.bpe import BYTE_SYMBOLS
from edgefuse_runtimes.tokenizers.sentencepiece import SentencePieceBpe

Metadata = dict[str, Any]
Ids = Callable[[Path, list[str]], list[list[int]]]
Write = Callable[[Path, Metadata], Path]


def byte_level(pre: str, merges: list[tuple[str, str]], without: str = "") -> tuple[Metadata, Any]:
    """One vocabulary, every byte and what `merges` make, as a GGUF file and `tokenizers` have it."""
    library = pytest.importorskip("tokenizers", reason="the reference for a tokenizer.json")
    tokens = [symbol for symbol in BYTE_SYMBOLS.values() if symbol not in without] + ["".join(pair) for pair in merges]
    metadata = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": pre,
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.merges": [" ".join(pair) for pair in merges],
        "tokenizer.ggml.bos_token_id": 0,
        "tokenizer.ggml.eos_token_id": 0,
    }
    is_llama3 = pre == "llama-bpe"
    ids = {token: token_id for token_id, token in enumerate(tokens)}
    reference = library.Tokenizer(library.models.BPE(ids, merges, ignore_merges=is_llama3))
    pre_tokenizers = library.pre_tokenizers
    reference.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not is_llama3)
    if is_llama3:
        from edgefuse_runtimes.tokenizers.bpe import LLAMA3_WORDS

        words = pre_tokenizers.Split(library.Regex(LLAMA3_WORDS), "isolated")
        reference.pre_tokenizer = pre_tokenizers.Sequence([words, reference.pre_tokenizer])
    return metadata, reference


def symbols(text: str) -> list[str]:
    return [BYTE_SYMBOLS[byte] for byte in text.encode()]


@pytest.mark.parametrize(
    ("pre", "text", "joint", "without"),
    [
        pytest.param("gpt-2", "a\u1c89", ("a", symbols("\u1c89")[0]), "", id="a letter of Unicode 16"),
        pytest.param("gpt-2", "1\U00010d40", ("1", symbols("\U00010d40")[0]), "", id="a number of Unicode 16"),
        pytest.param("llama-bpe", "it'\u017fa", (symbols("\u017f")[1], "a"), "", id="a contraction with the long s"),
        pytest.param("gpt-2", "!\x04?", ("!", "?"), BYTE_SYMBOLS[4], id="a byte without a token"),
    ],
)
def test_tokenizers_and_llama_cpp_differ(
    pre: str,
    text: str,
    joint: tuple[str, str],
    without: str,
    write_vocabulary: Write,
    llama_cpp_ids: Ids,
    tmp_path: Path,
) -> None:
    """The one merge that there is joins two words of one reference and is inside a word of the other."""
    metadata, reference = byte_level(pre, [joint], without)
    of_llama_cpp = llama_cpp_ids(write_vocabulary(tmp_path / "small.gguf", metadata), [text])[0]
    of_tokenizers = reference.encode(text).ids
    assert of_llama_cpp != of_tokenizers
    assert tokenizer_from_metadata(metadata, "small.gguf").encode(text) == of_llama_cpp
    assert tokenizer_from_json(reference.to_str().encode(), "tokenizer.json").encode(text) == of_tokenizers


def test_a_number_of_unicode_17_is_cut_out_by_tokenizers_alone(
    write_vocabulary: Write, llama_cpp_ids: Ids, tmp_path: Path
) -> None:
    metadata, reference = byte_level("smollm", [("!", symbols("\U00011de0")[0])])
    pre = pytest.importorskip("tokenizers").pre_tokenizers
    reference.pre_tokenizer = pre.Sequence([pre.Digits(individual_digits=True), reference.pre_tokenizer])
    text = "!\U00011de0"
    of_llama_cpp = llama_cpp_ids(write_vocabulary(tmp_path / "small.gguf", metadata), [text])[0]
    assert of_llama_cpp != reference.encode(text).ids
    assert tokenizer_from_metadata(metadata, "small.gguf").encode(text) == of_llama_cpp
    of_json = tokenizer_from_json(reference.to_str().encode(), "tokenizer.json")
    assert of_json.encode(text) == reference.encode(text).ids


@pytest.mark.parametrize("kind", ["bpe", "wordpiece", "clip"])
def test_tokenizers_makes_a_spelled_special_token_one_unless_told_otherwise(
    kind: str, trained_bpe: dict[str, Any], trained_wordpiece: dict[str, Any], clip_tokenizer: Any
) -> None:
    references = {"bpe": trained_bpe["smollm"], "wordpiece": trained_wordpiece["uncased"], "clip": clip_tokenizer}
    reference = references[kind]
    added = reference.get_added_tokens_decoder()
    text = "hello " + " there ".join(token.content for token in added.values())
    ids = tokenizer_from_json(reference.to_str().encode(), "tokenizer.json").encode(text)
    unknown = reference.token_to_id("[UNK]")  # the one special token that a text may become
    assert not (added.keys() - {unknown}) & set(ids)
    assert ids == reference.encode(text, add_special_tokens=False).ids
    reference.encode_special_tokens = False
    try:
        assert added.keys() <= set(reference.encode(text, add_special_tokens=False).ids)
    finally:
        reference.encode_special_tokens = True


def test_llama_cpp_lets_a_spelled_control_token_through(
    trained_sentencepiece: Callable[..., Any],
    sentencepiece_metadata: Callable[[Any], Metadata],
    write_vocabulary: Write,
    llama_cpp_ids: Ids,
    tmp_path: Path,
) -> None:
    model = trained_sentencepiece(vocab_size=802, user_defined_symbols=["/s", "</s"])
    metadata = sentencepiece_metadata(model)
    assert model.eos_id() not in model.encode("a</s>")
    assert SentencePieceBpe.from_model(model.serialized_model_proto(), "tokenizer.model").encode("a</s>") == (
        model.encode("a</s>")
    )
    assert model.eos_id() not in SentencePieceBpe.from_metadata(metadata, "small.gguf").encode("a</s>")
    assert model.eos_id() in llama_cpp_ids(write_vocabulary(tmp_path / "small.gguf", metadata), ["a</s>"])[0]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("lesion<mole>lesion", id="a space again after a user-defined token"),
        pytest.param("abcde", id="user-defined tokens that overlap"),
    ],
)
def test_sentencepiece_and_llama_cpp_cut_out_user_defined_tokens_differently(
    text: str,
    trained_sentencepiece: Callable[..., Any],
    sentencepiece_metadata: Callable[[Any], Metadata],
    write_vocabulary: Write,
    llama_cpp_ids: Ids,
    tmp_path: Path,
) -> None:
    model = trained_sentencepiece(vocab_size=810, user_defined_symbols=["<mole>", "abc", "bcde"])
    metadata = sentencepiece_metadata(model)
    types = metadata["tokenizer.ggml.token_type"].copy()
    types[[model.piece_to_id(piece) for piece in ("<mole>", "abc", "bcde")]] = 4
    metadata["tokenizer.ggml.token_type"] = types
    of_llama_cpp = llama_cpp_ids(write_vocabulary(tmp_path / "small.gguf", metadata), [text])[0]
    assert of_llama_cpp != model.encode(text)
    assert SentencePieceBpe.from_metadata(metadata, "small.gguf").encode(text) == of_llama_cpp
    of_model = SentencePieceBpe.from_model(model.serialized_model_proto(), "tokenizer.model")
    assert of_model.encode(text) == model.encode(text)


def test_the_later_form_of_a_tokenizer_json_adds_no_space_before_a_space(
    trained_sentencepiece: Callable[..., Any], as_tokenizer_json: Callable[..., Any]
) -> None:
    model = trained_sentencepiece()
    earlier, later = as_tokenizer_json(model), as_tokenizer_json(model, "Metaspace")
    plain, spaced = "lesion", " lesion"
    assert earlier.encode(plain).ids == later.encode(plain).ids
    assert earlier.encode(spaced, add_special_tokens=False).ids == model.encode(spaced)
    assert later.encode(spaced, add_special_tokens=False).ids == model.encode(plain)
    for reference in (earlier, later):
        ours = tokenizer_from_json(reference.to_str().encode(), "tokenizer.json")
        assert ours.encode(spaced) == reference.encode(spaced, add_special_tokens=False).ids


def test_lone_surrogates_count_as_the_replacement_character_where_no_reference_takes_them(
    trained_bpe: dict[str, Any],
    trained_wordpiece: dict[str, Any],
    clip_tokenizer: Any,
    trained_sentencepiece: Callable[..., Any],
) -> None:
    references = [trained_bpe["smollm"], trained_wordpiece["uncased"], clip_tokenizer]
    ours: list[Tokenizer] = [tokenizer_from_json(model.to_str().encode(), "tokenizer.json") for model in references]
    ours.append(SentencePieceBpe.from_model(trained_sentencepiece().serialized_model_proto(), "tokenizer.model"))
    for tokenizer in ours:
        assert tokenizer.encode("a\udc80b\ud83d") == tokenizer.encode("a\ufffdb\ufffd")
    for model in references:
        with pytest.raises((TypeError, UnicodeEncodeError)):
            model.encode("a\udc80b")


def test_each_difference_stands_in_the_documentation() -> None:
    page = Path(__file__).resolve().parents[3] / "docs" / "reference" / "tokenizers.md"
    text = page.read_text(encoding="utf-8")
    for words in ("U+1C89", "U+017F", "user-defined", "Metaspace", "control token", "U+FFFD", "without a token"):
        assert words in text, words
