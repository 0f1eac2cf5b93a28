"""From a note to what an encoder reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.spec import Tokenization
from edgefuse_runtimes.tokenizers import open_tokenizer, tokenize, tokenizer_from_metadata
from edgefuse_runtimes.tokenizers.bpe import ByteLevelBpe
from edgefuse_runtimes.tokenizers.sentencepiece import SentencePieceBpe


@dataclass
class Letters:
    """A tokenizer whose ids are code points."""

    bos_id: int | None = 1
    eos_id: int | None = 2
    add_bos: bool = True

    def encode(self, text: str) -> list[int]:
        return [ord(letter) for letter in text]


def rule(max_tokens: int = 512, *, add_bos: bool = True, newline_to_space: bool = True) -> Tokenization:
    return Tokenization(max_tokens=max_tokens, add_bos=add_bos, newline_to_space=newline_to_space)


def test_bos_comes_first_and_ids_are_int32() -> None:
    tokens = tokenize(Letters(), rule(), "ab")
    assert tokens.ids.dtype == np.int32
    assert tokens.ids.tolist() == [1, 97, 98]
    assert tokens.dropped == 0


def test_line_ends_become_one_space_each() -> None:
    assert tokenize(Letters(), rule(add_bos=False), "a\nb\r\nc\r\n\nd").ids.tolist() == [*map(ord, "a b c  d")]
    kept = tokenize(Letters(), rule(add_bos=False, newline_to_space=False), "a\r\nb")
    assert kept.ids.tolist() == [*map(ord, "a\r\nb")]


@pytest.mark.parametrize("newline_to_space", [True, False])
def test_white_space_at_both_ends_is_left_out(newline_to_space: bool) -> None:
    tokens = tokenize(Letters(), rule(add_bos=False, newline_to_space=newline_to_space), " \r\n\ta b \n")
    assert tokens.ids.tolist() == [*map(ord, "a b")]


def test_a_long_note_is_cut_at_its_end_and_the_cut_is_counted() -> None:
    tokens = tokenize(Letters(), rule(4), "abcdef")
    assert tokens.ids.tolist() == [1, 97, 98, 99]
    assert tokens.dropped == 3


@given(st.text(max_size=20), st.integers(1, 8), st.booleans(), st.booleans())
def test_there_is_always_a_token_and_never_too_many(
    note: str, max_tokens: int, add_bos: bool, newline_to_space: bool
) -> None:
    tokens = tokenize(Letters(), rule(max_tokens, add_bos=add_bos, newline_to_space=newline_to_space), note)
    assert 1 <= len(tokens.ids) <= max_tokens
    assert tokens.dropped >= 0


def test_an_empty_note_is_bos_alone_or_else_eos() -> None:
    assert tokenize(Letters(), rule(), "").ids.tolist() == [1]
    assert tokenize(Letters(), rule(add_bos=False), "").ids.tolist() == [1]
    assert tokenize(Letters(bos_id=None), rule(add_bos=False), "").ids.tolist() == [2]


@pytest.mark.parametrize(
    ("tokenizer", "tokenization", "note", "sentence"),
    [
        (Letters(bos_id=None), rule(), "a", "no such token"),
        (Letters(bos_id=None, eos_id=None), rule(add_bos=False), "", "note is empty"),
        (Letters(), rule(0), "a", "must be at least 1"),
    ],
)
def test_what_cannot_be_fed_is_refused(
    tokenizer: Letters, tokenization: Tokenization, note: str, sentence: str
) -> None:
    with pytest.raises(BadInput, match=sentence):
        tokenize(tokenizer, tokenization, note)


def test_a_file_says_which_tokenizer_it_needs(
    bpe_metadata: dict[str, dict[str, Any]],
    trained_sentencepiece: Callable[..., Any],
    sentencepiece_metadata: Callable[[Any], dict[str, Any]],
    write_vocabulary: Callable[[Path, dict[str, Any]], Path],
    tmp_path: Path,
) -> None:
    bpe = open_tokenizer(write_vocabulary(tmp_path / "bpe.gguf", bpe_metadata["smollm"]))
    assert isinstance(bpe, ByteLevelBpe)
    assert bpe.encode("lesion") == ByteLevelBpe.from_metadata(bpe_metadata["smollm"], "bpe.gguf").encode("lesion")
    metadata = sentencepiece_metadata(trained_sentencepiece())
    pieces = open_tokenizer(write_vocabulary(tmp_path / "pieces.gguf", metadata))
    assert isinstance(pieces, SentencePieceBpe)
    assert pieces.encode("lesion") == SentencePieceBpe.from_metadata(metadata, "pieces.gguf").encode("lesion")
    assert tokenize(pieces, rule(), "").ids.tolist() == [pieces.bos_id]


@pytest.mark.parametrize("metadata", [{}, {"tokenizer.ggml.model": "bert"}])
def test_an_unknown_kind_is_named(metadata: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match=rf"^text\.gguf .*kind {metadata.get('tokenizer.ggml.model')!r}"):
        tokenizer_from_metadata(metadata, "text.gguf")
