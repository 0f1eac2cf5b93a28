"""CLIP's byte-pair encoding against `tokenizers`."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefuse_runtimes.tokenizers import tokenizer_from_json
from edgefuse_runtimes.tokenizers.clip_bpe import ClipBpe


@pytest.fixture(scope="module")
def ours(clip_tokenizer: Any) -> Any:
    return tokenizer_from_json(clip_tokenizer.to_str().encode(), "tokenizer.json")


@given(data=st.data())
@settings(settings.get_profile("texts"))
def test_ids_equal_those_of_tokenizers(
    any_text: st.SearchStrategy[str], clip_tokenizer: Any, ours: ClipBpe, data: st.DataObject
) -> None:
    text = data.draw(any_text)
    assert ours.encode(text) == clip_tokenizer.encode(text, add_special_tokens=False).ids


@pytest.mark.parametrize(
    "text",
    [
        "ΟΔΟΣ Straße İstanbul IT'S IT'LL",
        "e\u0301 \u00e9 \u1100\u1161\u11a8 \u212b",
        "it's '' ''s 's's !'re 12'd",
        "a\u0301\u0899 a\u0899\u0301 \U00011935\U00011930",  # marks that came after Unicode 9
        "\u2000\u3000a\u2028\x85b\x1cc",
        "½Ⅷ²٤٥ 2019-03-07",
        "<|startoftext|> a</w> <|endoftext|>",
    ],
)
def test_what_is_easily_missed(clip_tokenizer: Any, ours: ClipBpe, text: str) -> None:
    assert ours.encode(text) == clip_tokenizer.encode(text, add_special_tokens=False).ids


def test_the_frame_is_what_the_post_processor_says(clip_tokenizer: Any, ours: ClipBpe) -> None:
    assert [ours.bos_id, ours.eos_id] == clip_tokenizer.encode("").ids
    assert ours.size == clip_tokenizer.get_vocab_size()


def test_a_note_cannot_spell_a_special_token(ours: ClipBpe) -> None:
    assert not {ours.bos_id, ours.eos_id} & set(ours.encode("<|startoftext|> <|endoftext|>"))
