"""Byte-level BPE against `tokenizers` and llama.cpp."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.tokenizers import tokenizer_from_json
from edgefuse_runtimes.tokenizers.bpe import BYTE_SYMBOLS, ByteLevelBpe

Metadata = dict[str, Any]


@pytest.fixture(scope="module")
def ours(bpe_metadata: dict[str, Metadata]) -> dict[str, ByteLevelBpe]:
    return {name: ByteLevelBpe.from_metadata(metadata, "small.gguf") for name, metadata in bpe_metadata.items()}


def test_every_byte_has_its_own_visible_symbol() -> None:
    assert sorted(BYTE_SYMBOLS) == list(range(256))
    assert len(set(BYTE_SYMBOLS.values())) == 256
    assert BYTE_SYMBOLS[ord("a")] == "a"
    assert BYTE_SYMBOLS[ord(" ")] == "Ġ"


@pytest.fixture(scope="module")
def of_json(trained_bpe: dict[str, Any]) -> dict[str, Any]:
    return {name: tokenizer_from_json(model.to_str().encode(), "tokenizer.json") for name, model in trained_bpe.items()}


@given(data=st.data())
@settings(settings.get_profile("texts"))
def test_ids_of_a_tokenizer_json_equal_those_of_tokenizers(
    any_text: st.SearchStrategy[str],
    trained_bpe: dict[str, Any],
    of_json: dict[str, ByteLevelBpe],
    data: st.DataObject,
) -> None:
    text = data.draw(any_text)
    for name, reference in trained_bpe.items():
        assert of_json[name].encode(text) == reference.encode(text, add_special_tokens=False).ids, name


@pytest.mark.parametrize("name", ["smollm", "gpt-2", "llama-bpe"])
def test_ids_of_a_gguf_file_equal_those_of_llama_cpp(
    name: str,
    bpe_metadata: dict[str, Metadata],
    ours: dict[str, ByteLevelBpe],
    write_vocabulary: Callable[[Path, Metadata], Path],
    llama_cpp_ids: Callable[[Path, list[str]], list[list[int]]],
    many_texts: list[str],
    tmp_path: Path,
) -> None:
    path = write_vocabulary(tmp_path / "small.gguf", bpe_metadata[name])
    assert [ours[name].encode(text) for text in many_texts] == llama_cpp_ids(path, many_texts)


def test_the_frame_of_a_tokenizer_json(of_json: dict[str, ByteLevelBpe]) -> None:
    frames = {name: (tokenizer.bos_id, tokenizer.eos_id, tokenizer.add_bos) for name, tokenizer in of_json.items()}
    assert frames == {
        "gpt-2": (None, None, False),
        "smollm": (None, None, False),
        "llama-bpe": (0, None, True),
    }


def test_the_older_form_of_a_tokenizer_json_does_not_name_its_kind(trained_bpe: dict[str, Any]) -> None:
    data = json.loads(trained_bpe["gpt-2"].to_str())
    del data["model"]["type"]
    tokenizer = tokenizer_from_json(json.dumps(data).encode(), "tokenizer.json")
    assert tokenizer.encode("a mole") == trained_bpe["gpt-2"].encode("a mole").ids


def test_user_defined_tokens_are_cut_out_first_but_for_those_with_a_role(
    bpe_metadata: dict[str, Metadata],
    write_vocabulary: Callable[[Path, Metadata], Path],
    llama_cpp_ids: Callable[[Path, list[str]], list[list[int]]],
    tmp_path: Path,
) -> None:
    metadata = dict(bpe_metadata["smollm"])
    size = len(metadata["tokenizer.ggml.tokens"])
    metadata["tokenizer.ggml.tokens"] = [*metadata["tokenizer.ggml.tokens"], "<mole>", "<mole> x"]
    types = np.append(metadata["tokenizer.ggml.token_type"], [4, 4]).astype(np.int32)
    types[2] = 4  # <|im_end|>, which is EOS
    metadata["tokenizer.ggml.token_type"] = types
    tokenizer = ByteLevelBpe.from_metadata(metadata, "small.gguf")
    texts = ["a <mole> b<mole> xy", "<mole><mole>", "", "<|im_end|>"]
    ids = [tokenizer.encode(text) for text in texts]
    assert ids[1:3] == [[size, size], []]
    assert size + 1 in ids[0]
    assert 2 not in ids[3]
    assert ids == llama_cpp_ids(write_vocabulary(tmp_path / "small.gguf", metadata), texts)


def test_a_word_that_is_a_token_needs_no_merges_where_the_family_says_so(
    ours: dict[str, ByteLevelBpe],
) -> None:
    metadata = {"tokenizer.ggml.tokens": ["a", "b", "ab"], "tokenizer.ggml.merges": ["x y"]}
    assert ByteLevelBpe.from_metadata(metadata | {"tokenizer.ggml.pre": "llama3"}, "tiny.gguf").encode("ab") == [2]
    assert ByteLevelBpe.from_metadata(metadata | {"tokenizer.ggml.pre": "smollm"}, "tiny.gguf").encode("ab") == [0, 1]


def test_what_the_file_does_not_say_follows_the_family() -> None:
    metadata = {"tokenizer.ggml.tokens": ["a", "b"], "tokenizer.ggml.merges": ["a b"]}
    smollm = ByteLevelBpe.from_metadata(metadata | {"tokenizer.ggml.pre": "smollm"}, "tiny.gguf")
    llama3 = ByteLevelBpe.from_metadata(metadata | {"tokenizer.ggml.pre": "llama-bpe"}, "tiny.gguf")
    told = ByteLevelBpe.from_metadata(
        metadata | {"tokenizer.ggml.pre": "smollm", "tokenizer.ggml.add_bos_token": True}, "tiny.gguf"
    )
    assert (smollm.add_bos, llama3.add_bos, told.add_bos) == (False, True, True)
    assert (smollm.bos_id, smollm.eos_id) == (None, None)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"tokenizer.ggml.pre": "qwen35"}, "unknown way 'qwen35'"),
        ({"tokenizer.ggml.pre": None}, "unknown way None"),
        ({"tokenizer.ggml.merges": None}, "no list of strings tokenizer.ggml.merges"),
        ({"tokenizer.ggml.tokens": []}, "no list of strings tokenizer.ggml.tokens"),
        ({"tokenizer.ggml.token_type": np.ones(3, np.int32)}, "numbers tokenizer.ggml.token_type"),
        ({"tokenizer.ggml.eos_token_id": 70_000}, "tokenizer.ggml.eos_token_id = 70000"),
    ],
)
def test_a_damaged_vocabulary_is_refused(bpe_metadata: dict[str, Metadata], change: Metadata, sentence: str) -> None:
    with pytest.raises(BadInput, match=r"^small\.gguf ") as refused:
        ByteLevelBpe.from_metadata(bpe_metadata["smollm"] | change, "small.gguf")
    assert sentence in str(refused.value)
