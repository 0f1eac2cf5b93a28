"""A tokenizer.json is read, or refused with a sentence."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.spec import EncoderSpec, Tokenization, TokenizerFile
from edgefuse_runtimes.tokenizers import open_tokenizer, tokenize, tokenizer_from_json, tokenizer_of


@pytest.fixture(scope="module")
def files(
    trained_wordpiece: dict[str, Any],
    clip_tokenizer: Any,
    trained_bpe: dict[str, Any],
    trained_sentencepiece: Callable[..., Any],
    as_tokenizer_json: Callable[..., Any],
) -> dict[str, dict[str, Any]]:
    models = {
        "bert": trained_wordpiece["uncased"],
        "clip": clip_tokenizer,
        "llama3": trained_bpe["llama-bpe"],
        "llama2": as_tokenizer_json(trained_sentencepiece()),
        "mistral": as_tokenizer_json(trained_sentencepiece(), "Metaspace"),
    }
    return {name: json.loads(model.to_str()) for name, model in models.items()}


def read(data: Any) -> Any:
    return tokenizer_from_json(json.dumps(data).encode(), "tokenizer.json")


def changed(data: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The file with one entry replaced, or left out for `...`."""
    data = copy.deepcopy(data)
    *folders, name = path.split(".")
    inner: Any = data
    for folder in folders:
        inner = inner[int(folder) if isinstance(inner, list) else folder]
    if value is ...:
        del inner[name]
    else:
        inner[int(name) if isinstance(inner, list) else name] = value
    return data


@pytest.mark.parametrize(
    ("name", "path", "value", "said"),
    [
        ("bert", "model.type", "Unigram", "unknown kind 'Unigram'"),
        ("bert", "model", None, "is no tokenizer.json"),
        ("bert", "model.vocab", {"a": 0, "b": 0}, "an id of its own"),
        ("bert", "model.vocab", {"a": -1}, "an id of its own"),
        ("bert", "model.vocab", [], "an id of its own"),
        ("bert", "model.unk_token", "[NONE]", "damaged WordPiece model"),
        ("bert", "model.max_input_chars_per_word", "100", "damaged WordPiece model"),
        ("bert", "normalizer", None, "as BERT does"),
        ("bert", "normalizer.type", "NFC", "as BERT does"),
        ("bert", "pre_tokenizer.type", "Whitespace", "as BERT does"),
        ("bert", "post_processor", None, "one special token before a text"),
        ("bert", "post_processor.single", [], "one special token before a text"),
        ("bert", "post_processor.special_tokens", {}, "one special token before a text"),
        ("bert", "added_tokens", {"id": 0}, "damaged list of added tokens"),
        ("bert", "added_tokens", [{"id": 9, "content": "mole", "special": False}], "adds the token 'mole'"),
        ("clip", "model.end_of_word_suffix", None, "as GPT-2, SmolLM2 or LLaMA-3 do"),
        ("clip", "model.end_of_word_suffix", "</x>", "as CLIP does"),
        ("clip", "model.ignore_merges", True, "as CLIP does"),
        ("clip", "normalizer.normalizers.2.type", "NFKC", "as CLIP does"),
        ("clip", "pre_tokenizer.pretokenizers.0.pattern.Regex", r"\w+", "as CLIP does"),
        ("clip", "model.merges.0", "a", "damaged list of merges"),
        ("clip", "model.merges", None, "damaged list of merges"),
        ("clip", "model.merges.0", ["a", "never"], "has no token 'anever'"),
        ("clip", "model.vocab.!</w>", ..., "has no token '!</w>'"),
        ("clip", "post_processor.sep", ["<|endoftext|>"], "one special token before a text"),
        ("llama3", "normalizer", {"type": "NFC"}, "as GPT-2, SmolLM2 or LLaMA-3 do"),
        ("llama3", "pre_tokenizer", None, "as GPT-2, SmolLM2 or LLaMA-3 do"),
        ("llama3", "pre_tokenizer.pretokenizers.0.pattern.Regex", r"\w+", "as GPT-2, SmolLM2 or LLaMA-3 do"),
        ("llama3", "pre_tokenizer.pretokenizers.1.add_prefix_space", True, "as GPT-2, SmolLM2 or LLaMA-3 do"),
        ("llama3", "model.ignore_merges", False, "as GPT-2, SmolLM2 or LLaMA-3 do"),
        ("llama3", "model.merges.0", ["a", "never"], "has no token 'anever'"),
        ("llama3", "post_processor.processors.1.single", [], "something else than at most one special token"),
        ("llama3", "added_tokens.0.special", False, "adds the token '<|endoftext|>'"),
        ("llama2", "model.vocab.<0x41>", ..., "no token '<0x41>'"),
        ("llama2", "normalizer", None, "as LLaMA does"),
        ("llama2", "normalizer.normalizers.0.prepend", " ", "as LLaMA does"),
        ("llama2", "model.ignore_merges", True, "as LLaMA does"),
        ("mistral", "pre_tokenizer.split", True, "as LLaMA does"),
        ("mistral", "pre_tokenizer.prepend_scheme", "last", "as LLaMA does"),
    ],
)
def test_a_wrong_file_is_one_sentence(files: dict[str, Any], name: str, path: str, value: Any, said: str) -> None:
    with pytest.raises(BadInput, match=said) as caught:
        read(changed(files[name], path, value))
    assert str(caught.value).startswith("tokenizer.json ")
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff", b'{"model": 1}', b"[" * 100_000])
def test_what_is_no_tokenizer_is_refused(content: bytes) -> None:
    with pytest.raises(BadInput, match=r"tokenizer\.json"):
        tokenizer_from_json(content, "tokenizer.json")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 900) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
PLACES = ["model", "model.vocab", "model.unk_token", "added_tokens", "normalizer", "pre_tokenizer", "post_processor"]


@settings(deadline=None)
@given(name=st.sampled_from(["bert", "clip", "llama3", "llama2", "mistral"]), path=st.sampled_from(PLACES), value=JSON)
def test_any_value_anywhere_is_read_or_refused(files: dict[str, Any], name: str, path: str, value: Any) -> None:
    try:
        read(changed(files[name], path, value)).encode("A mole. Ein Muttermal")
    except BadInput:
        return


def test_merges_may_be_written_as_lines(files: dict[str, Any]) -> None:
    merges = [" ".join(pair) for pair in files["clip"]["model"]["merges"]]
    text = "A woman stands in the dining area at the table."
    assert read(changed(files["clip"], "model.merges", merges)).encode(text) == read(files["clip"]).encode(text)


def test_other_forms_of_the_frame_are_read(files: dict[str, Any]) -> None:
    processor = {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]}
    tokenizer = read(changed(files["bert"], "post_processor", processor))
    assert (tokenizer.bos_id, tokenizer.eos_id) == (2, 3)


@pytest.mark.parametrize("name", ["bert", "clip"])
@pytest.mark.parametrize("limit", [2, 3, 9, 77])
def test_a_long_note_is_cut_as_tokenizers_does(
    trained_wordpiece: dict[str, Any], clip_tokenizer: Any, name: str, limit: int
) -> None:
    reference = {"bert": trained_wordpiece["uncased"], "clip": clip_tokenizer}[name]
    ours = tokenizer_from_json(reference.to_str().encode(), "tokenizer.json")
    note = "It's the patient's first visit; she doesn't smoke."
    whole = reference.encode(note).ids
    rule = Tokenization(limit, add_bos=True, newline_to_space=False, add_eos=True)
    tokens = tokenize(ours, rule, f"  {note}\n")
    reference.enable_truncation(limit)
    try:
        assert tokens.ids.tolist() == reference.encode(note).ids
    finally:
        reference.no_truncation()
    assert tokens.dropped == max(0, len(whole) - limit)


def spec_of(content: bytes) -> EncoderSpec:
    return EncoderSpec(
        "text", "onnx", "text.onnx", "", 0, "int8", 8, "mean", False,
        tokenization=Tokenization(77, True, False, True),
        tokenizer=TokenizerFile("tokenizer.json", sha256(content).hexdigest(), len(content)),
    )  # fmt: skip


def test_the_file_beside_an_encoder_is_checked_when_it_is_read(files: dict[str, Any], tmp_path: Path) -> None:
    locate: Callable[[str], Path] = tmp_path.joinpath
    content = json.dumps(files["bert"]).encode()
    spec = spec_of(content)
    with pytest.raises(BadInput, match=r"tokenizer\.json cannot be read"):
        tokenizer_of(spec, locate)
    (tmp_path / "tokenizer.json").write_bytes(content)
    assert tokenizer_of(spec, locate).encode("a mole") == open_tokenizer(tmp_path / "tokenizer.json").encode("a mole")
    (tmp_path / "tokenizer.json").write_bytes(content.replace(b'"[MASK]": 4', b'"[MASK]": 5'))
    with pytest.raises(BadInput, match=r"is not the file that was exported \(sha256 differs\)"):
        tokenizer_of(spec, locate)
