"""Where texts are cut into words, against the expressions of `tokenizers`."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefuse_runtimes.tokenizers.presplit import PRESPLITS, reduce, split


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gpt-2", ["It", "'s", " 2024", ",", " isn", "'t", "  ", " it", "?", "\n"]),
        ("smollm", ["It", "'s", " ", "2", "0", "2", "4", ",", " isn", "'t", "  ", " it", "?", "\n"]),
        ("llama3", ["It", "'s", " ", "202", "4", ",", " isn", "'t", "  ", " it", "?\n"]),
    ],
)
def test_each_family_cuts_in_its_own_way(name: str, words: list[str]) -> None:
    assert split("It's 2024, isn't   it?\n", PRESPLITS[name].words) == words


def test_characters_outside_ascii_count_by_their_class() -> None:
    assert reduce("é٣\u3000😀\u0301b") == "a0\v!!b"
    assert split("año ٣٤ 😀!\u3000x", PRESPLITS["smollm"].words) == [
        "año",
        " ",
        "٣",
        "٤",
        " 😀!",
        "\u3000",
        "x",
    ]


def test_spaces_before_a_digit_stay_together_only_where_digits_are_cut_out_first() -> None:
    assert split("a   1", PRESPLITS["smollm"].words) == ["a", "   ", "1"]
    assert split("a   1", PRESPLITS["gpt-2"].words) == ["a", "  ", " 1"]


@given(data=st.data())
@settings(deadline=None)
def test_words_are_the_whole_text(any_text: st.SearchStrategy[str], data: st.DataObject) -> None:
    text = data.draw(any_text)
    for presplit in PRESPLITS.values():
        assert "".join(split(text, presplit.words)) == text


@given(data=st.data())
@settings(deadline=None, max_examples=300)
def test_cuts_equal_those_of_tokenizers(
    assigned_text: st.SearchStrategy[str], pre_tokenizers: dict[str, Any], data: st.DataObject
) -> None:
    text = data.draw(assigned_text)
    for name, reference in pre_tokenizers.items():
        assert split(text, PRESPLITS[name].words) == [word for word, _ in reference.pre_tokenize_str(text)]


def test_the_long_s_begins_no_contraction_as_in_llama_cpp(pre_tokenizers: dict[str, Any]) -> None:
    assert split("it'ſ ok", PRESPLITS["llama3"].words) == ["it", "'ſ", " ok"]
    assert split("it'ſa", PRESPLITS["llama3"].words) == ["it", "'ſa"]
    assert [word for word, _ in pre_tokenizers["llama-bpe"].pre_tokenize_str("it'ſa")] == ["it", "'ſ", "a"]


def test_a_letter_newer_than_the_table_is_no_letter(pre_tokenizers: dict[str, Any]) -> None:
    text = "a\u1c89b"  # a letter since Unicode 16
    assert split(text, PRESPLITS["gpt-2"].words) == ["a", "\u1c89", "b"]
    assert len(pre_tokenizers["gpt-2"].pre_tokenize_str(text)) == 1
