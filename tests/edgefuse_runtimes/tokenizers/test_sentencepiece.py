"""SentencePiece BPE against `sentencepiece` and llama.cpp."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.tokenizers import tokenizer_from_json
from edgefuse_runtimes.tokenizers.sentencepiece import SentencePieceBpe

Metadata = dict[str, Any]
MODELS: dict[str, dict[str, Any]] = {
    "as LLaMA-2": {},
    "no space in front": {"add_dummy_prefix": False},
    "tokens across words": {"split_by_whitespace": False},
}


@pytest.fixture(scope="module")
def models(
    trained_sentencepiece: Callable[..., Any], sentencepiece_metadata: Callable[[Any], Metadata]
) -> dict[str, tuple[Any, Metadata]]:
    found = {}
    for name, options in MODELS.items():
        model = trained_sentencepiece(**options)
        prefix = {"tokenizer.ggml.add_space_prefix": False} if name == "no space in front" else {}
        found[name] = model, sentencepiece_metadata(model) | prefix
    return found


@pytest.fixture(scope="module")
def ours(models: dict[str, tuple[Any, Metadata]]) -> dict[str, SentencePieceBpe]:
    return {name: SentencePieceBpe.from_metadata(metadata, "small.gguf") for name, (_, metadata) in models.items()}


@pytest.fixture(scope="module")
def of_model(models: dict[str, tuple[Any, Metadata]]) -> dict[str, SentencePieceBpe]:
    return {
        name: SentencePieceBpe.from_model(model.serialized_model_proto(), "tokenizer.model")
        for name, (model, _) in models.items()
    }


@given(data=st.data())
@settings(settings.get_profile("texts"))
def test_ids_of_a_tokenizer_model_equal_those_of_sentencepiece(
    any_text: st.SearchStrategy[str],
    models: dict[str, tuple[Any, Metadata]],
    of_model: dict[str, SentencePieceBpe],
    data: st.DataObject,
) -> None:
    text = data.draw(any_text)
    for name, (reference, _) in models.items():
        assert of_model[name].encode(text) == reference.encode(text), name


@pytest.fixture(scope="module")
def pairs_of_json(
    models: dict[str, tuple[Any, Metadata]], as_tokenizer_json: Callable[..., Any]
) -> list[tuple[Any, Any]]:
    references = [as_tokenizer_json(models["as LLaMA-2"][0], spaces) for spaces in ("Prepend", "Metaspace", "Replace")]
    references.append(as_tokenizer_json(models["tokens across words"][0]))
    return [(tokenizer_from_json(model.to_str().encode(), "tokenizer.json"), model) for model in references]


@given(data=st.data())
@settings(settings.get_profile("texts"))
def test_ids_of_a_tokenizer_json_equal_those_of_tokenizers(
    any_text: st.SearchStrategy[str], pairs_of_json: list[tuple[Any, Any]], data: st.DataObject
) -> None:
    text = data.draw(any_text)
    for tokenizer, reference in pairs_of_json:
        assert tokenizer.encode(text) == reference.encode(text, add_special_tokens=False).ids


def test_bos_of_each_file(pairs_of_json: list[tuple[Any, Any]], of_model: dict[str, SentencePieceBpe]) -> None:
    for tokenizer in [pair[0] for pair in pairs_of_json]:
        assert (tokenizer.bos_id, tokenizer.eos_id, tokenizer.add_bos) == (1, None, True)
    for tokenizer in of_model.values():
        assert (tokenizer.bos_id, tokenizer.eos_id, tokenizer.add_bos) == (1, 2, True)


@pytest.mark.parametrize("name", MODELS)
def test_ids_of_a_gguf_file_equal_those_of_llama_cpp(
    name: str,
    models: dict[str, tuple[Any, Metadata]],
    ours: dict[str, SentencePieceBpe],
    write_vocabulary: Callable[[Path, Metadata], Path],
    llama_cpp_ids: Callable[[Path, list[str]], list[list[int]]],
    many_texts: list[str],
    tmp_path: Path,
) -> None:
    path = write_vocabulary(tmp_path / "small.gguf", models[name][1])
    assert [ours[name].encode(text) for text in many_texts] == llama_cpp_ids(path, many_texts)


def test_characters_outside_the_vocabulary_become_bytes(
    ours: dict[str, SentencePieceBpe], models: dict[str, tuple[Any, Metadata]]
) -> None:
    tokens = models["no space in front"][1]["tokenizer.ggml.tokens"]
    assert [tokens[i] for i in ours["no space in front"].encode("ø\x00")] == ["<0xC3>", "<0xB8>", "<0x00>"]


def with_tokens(metadata: Metadata, texts: list[str], kind: int) -> Metadata:
    """`metadata` with `texts` as further tokens of the best score."""
    count = len(texts)
    return metadata | {
        "tokenizer.ggml.tokens": [*metadata["tokenizer.ggml.tokens"], *texts],
        "tokenizer.ggml.scores": np.append(metadata["tokenizer.ggml.scores"], np.ones(count)).astype(np.float32),
        "tokenizer.ggml.token_type": np.append(metadata["tokenizer.ggml.token_type"], [kind] * count).astype(np.int32),
    }


def test_the_space_in_front_comes_again_after_a_user_defined_token(
    models: dict[str, tuple[Any, Metadata]],
    write_vocabulary: Callable[[Path, Metadata], Path],
    llama_cpp_ids: Callable[[Path, list[str]], list[list[int]]],
    tmp_path: Path,
) -> None:
    metadata = with_tokens(models["as LLaMA-2"][1], ["<mole>"], kind=4)
    tokenizer = SentencePieceBpe.from_metadata(metadata, "small.gguf")
    ids = tokenizer.encode("lesion<mole>lesion")
    assert ids == [
        *tokenizer.encode("lesion"),
        len(metadata["tokenizer.ggml.tokens"]) - 1,
        *tokenizer.encode("lesion"),
    ]
    assert ids == llama_cpp_ids(write_vocabulary(tmp_path / "small.gguf", metadata), ["lesion<mole>lesion"])[0]


def test_what_the_file_does_not_say_is_as_in_llama_2(models: dict[str, tuple[Any, Metadata]]) -> None:
    metadata = {name: value for name, value in models["as LLaMA-2"][1].items() if not name.endswith("_token_id")}
    tokenizer = SentencePieceBpe.from_metadata(metadata, "small.gguf")
    assert (tokenizer.bos_id, tokenizer.eos_id, tokenizer.add_bos) == (1, 2, True)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"tokenizer.ggml.scores": None}, "numbers tokenizer.ggml.scores"),
        ({"tokenizer.ggml.scores": np.full(800, np.nan)}, "numbers tokenizer.ggml.scores"),
        ({"tokenizer.ggml.scores": np.zeros(3, np.float32)}, "numbers tokenizer.ggml.scores"),
        ({"tokenizer.ggml.tokens": ["a"] * 800}, "no token '<0x00>'"),
        ({"tokenizer.ggml.bos_token_id": 800}, "tokenizer.ggml.bos_token_id = 800"),
    ],
)
def test_a_damaged_vocabulary_is_refused(
    models: dict[str, tuple[Any, Metadata]], change: Metadata, sentence: str
) -> None:
    with pytest.raises(BadInput, match=r"^small\.gguf ") as refused:
        SentencePieceBpe.from_metadata(models["as LLaMA-2"][1] | change, "small.gguf")
    assert sentence in str(refused.value)
