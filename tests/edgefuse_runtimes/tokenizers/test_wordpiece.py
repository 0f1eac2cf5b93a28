"""WordPiece against `tokenizers`."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefuse_runtimes.tokenizers import tokenizer_from_json
from edgefuse_runtimes.tokenizers.wordpiece import WordPiece


@pytest.fixture(scope="module")
def ours(trained_wordpiece: dict[str, Any]) -> dict[str, Any]:
    return {
        name: tokenizer_from_json(model.to_str().encode(), "tokenizer.json")
        for name, model in trained_wordpiece.items()
    }


@given(data=st.data())
@settings(settings.get_profile("texts"))
def test_ids_equal_those_of_tokenizers(
    any_text: st.SearchStrategy[str],
    trained_wordpiece: dict[str, Any],
    ours: dict[str, WordPiece],
    data: st.DataObject,
) -> None:
    text = data.draw(any_text)
    for name, reference in trained_wordpiece.items():
        assert ours[name].encode(text) == reference.encode(text, add_special_tokens=False).ids, name


@pytest.mark.parametrize(
    "text",
    [
        "ΟΔΟΣ Straße İstanbul ǅ",  # case that depends on its place, or that changes the length
        "e\u0301 \u00e9 a\u0328\u0301 \u1100\u1161\u11a8 각",
        "\u0001\u00ad\ufeff\ue000\ufffd\0a\x0b\x0c\x85b",  # left out, not blanks
        "\U0002b820\U0002b91f",  # ideographs that `tokenizers` does not part
        "a\u0301\u0899 a\u0899\u0301 \U00011935\U00011930",  # marks that came after Unicode 9
        "$5.00+tax=£5~^`|",
        "x" * 20 + " " + "x" * 21,
        "[CLS] [MASK] [SEP]",
    ],
)
def test_what_is_easily_missed(trained_wordpiece: dict[str, Any], ours: dict[str, WordPiece], text: str) -> None:
    for name, reference in trained_wordpiece.items():
        assert ours[name].encode(text) == reference.encode(text, add_special_tokens=False).ids, name


def test_the_frame_is_cls_and_sep(ours: dict[str, WordPiece]) -> None:
    tokenizer = ours["uncased"]
    assert (tokenizer.bos_id, tokenizer.eos_id, tokenizer.add_bos) == (2, 3, True)
