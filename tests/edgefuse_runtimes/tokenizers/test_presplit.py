"""Where texts are cut into words, against the expressions of `tokenizers`."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefuse_runtimes.tokenizers.presplit import OF_LLAMA_CPP, PRESPLITS, PRESPLITS_OF_TOKENIZERS, split
from edgefuse_runtimes.tokenizers.tokenizers_table import LATE_DIGITS, LATE_LETTERS, LATE_NUMBERS
from edgefuse_runtimes.tokenizers.unicode_table import LETTERS, NUMBERS, SPACES


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gpt-2", ["It", "'s", " 2024", ",", " isn", "'t", "  ", " it", "?", "\n"]),
        ("smollm", ["It", "'s", " ", "2", "0", "2", "4", ",", " isn", "'t", "  ", " it", "?", "\n"]),
        ("llama3", ["It", "'s", " ", "202", "4", ",", " isn", "'t", "  ", " it", "?\n"]),
    ],
)
def test_each_family_cuts_in_its_own_way(name: str, words: list[str]) -> None:
    assert split("It's 2024, isn't   it?\n", PRESPLITS[name]) == words


def test_characters_outside_ascii_count_by_their_class() -> None:
    assert "é٣\u3000😀\u0301b".translate(OF_LLAMA_CPP) == "a0\v!!b"
    assert split("año ٣٤ 😀!\u3000x", PRESPLITS["smollm"]) == [
        "año",
        " ",
        "٣",
        "٤",
        " 😀!",
        "\u3000",
        "x",
    ]


def test_spaces_before_a_digit_stay_together_only_where_digits_are_cut_out_first() -> None:
    assert split("a   1", PRESPLITS["smollm"]) == ["a", "   ", "1"]
    assert split("a   1", PRESPLITS["gpt-2"]) == ["a", "  ", " 1"]


@given(data=st.data())
@settings(deadline=None)
def test_words_are_the_whole_text(any_text: st.SearchStrategy[str], data: st.DataObject) -> None:
    text = data.draw(any_text)
    for presplit in PRESPLITS.values():
        assert "".join(split(text, presplit)) == text


@given(data=st.data())
@settings(settings.get_profile("texts"))
def test_cuts_equal_those_of_tokenizers(
    any_text: st.SearchStrategy[str], pre_tokenizers: dict[str, Any], data: st.DataObject
) -> None:
    text = data.draw(any_text)
    for name, reference in pre_tokenizers.items():
        assert split(text, PRESPLITS_OF_TOKENIZERS[name]) == [word for word, _ in reference.pre_tokenize_str(text)]


def test_characters_at_the_borders_of_classes_are_cut_as_in_tokenizers(pre_tokenizers: dict[str, Any]) -> None:
    classes = (LETTERS, NUMBERS, SPACES, LATE_LETTERS, LATE_NUMBERS, LATE_DIGITS)
    codes = {border + step for borders in classes for border in borders for step in (-1, 0)}
    for code in sorted(codes - set(range(0xD800, 0xE000))):
        letter = chr(code)
        text = f"a{letter}b 1{letter}'{letter}a  {letter}\n"
        for name, reference in pre_tokenizers.items():
            words = [word for word, _ in reference.pre_tokenize_str(text)]
            assert split(text, PRESPLITS_OF_TOKENIZERS[name]) == words, (name, hex(code))
