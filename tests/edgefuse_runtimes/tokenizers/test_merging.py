"""Byte-pair merging against the plain description of it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from edgefuse_runtimes.tokenizers.merging import REMEMBERED_LENGTH, merge, remember


def plain_merge(symbols: list[str], ranks: Mapping[str, int], joiner: str) -> list[str]:
    """Look at every pair again after every merge."""
    pieces = list(symbols)
    while True:
        pairs = [
            (ranks[left + joiner + right], place)
            for place, (left, right) in enumerate(pairwise(pieces))
            if left + joiner + right in ranks
        ]
        if not pairs:
            return pieces
        _, place = min(pairs)
        pieces[place : place + 2] = [pieces[place] + pieces[place + 1]]


PIECES = st.text("ab", min_size=1, max_size=4)


@given(st.text("abc", max_size=24), st.dictionaries(st.text("abc", min_size=2, max_size=6), st.integers(0, 5)))
def test_tokens_as_ranks_with_ties(word: str, ranks: dict[str, int]) -> None:
    assert merge(word, ranks, "") == plain_merge(list(word), ranks, "")


@given(st.text("ab", max_size=24), st.lists(st.tuples(PIECES, PIECES).map(" ".join), unique=True))
def test_a_merge_table_as_ranks(word: str, merges: list[str]) -> None:
    ranks = {line: rank for rank, line in enumerate(merges)}
    assert merge(word, ranks, " ") == plain_merge(list(word), ranks, " ")


def test_the_leftmost_of_equal_pairs_is_merged_first() -> None:
    assert merge("aaaaa", {"aa": 0}, "") == ["aa", "aa", "a"]


def test_a_pair_of_a_lower_rank_that_comes_up_is_merged_at_once() -> None:
    ranks = {"bc": 1, "abc": 0, "ca": 2}
    assert merge("abcabc", ranks, "") == plain_merge(list("abcabc"), ranks, "") == ["abc", "abc"]
    ranks = {"bb": 1, "bba": 0, "bab": 2}  # left to right alone would join the second "bb" first
    assert merge("bbabb", ranks, "") == plain_merge(list("bbabb"), ranks, "") == ["bba", "bb"]


def test_a_long_word_takes_few_look_ups() -> None:
    class Counting(dict[str, int]):
        count = 0

        def get(self, key: str, default: int = -1) -> int:  # type: ignore[override]
            self.count += 1
            return super().get(key, default)

    ranks = Counting({"a" * 2**power: power for power in range(1, 8)})
    assert merge("a" * 10_000, ranks, "") == ["a" * 128] * 78 + ["a" * 16]
    assert ranks.count < 3 * 10_000


def test_only_short_words_are_remembered() -> None:
    asked = []

    def word_ids(word: str) -> list[int]:
        asked.append(word)
        return [len(word)]

    look_up = remember(word_ids)
    short, long = "a" * REMEMBERED_LENGTH, "a" * (REMEMBERED_LENGTH + 1)
    assert [look_up(short), look_up(short), look_up(long), look_up(long)] == [[32], [32], [33], [33]]
    assert asked == [short, long, long]
