"""Byte-pair merging: the one algorithm that byte-level BPE and SentencePiece BPE share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from heapq import heapify, heappop, heappush
from itertools import pairwise

REMEMBERED_WORDS = 4096
REMEMBERED_LENGTH = 32
"""In characters: longer words are rare, and remembering them could take much memory."""


def merge(symbols: Sequence[str], ranks: Mapping[str, int], joiner: str) -> list[str]:
    """Join neighbours until no pair has a rank: the lowest rank first, among equal ranks the leftmost pair.

    All pairs of one rank are joined in one go, from left to right. That is right as long as no pair of a lower rank
    comes up meanwhile, and in a table that was learnt none does: a token is in no pair before it was made. The rest of
    any other word is merged pair by pair. A word of t symbols takes O(t log t).

    Args:
        symbols: t non-empty pieces of text.
        ranks: rank (>= 0) of a pair, found under `left + joiner + right`.
        joiner: " " where `ranks` holds lines of a merge table, "" where it holds tokens.

    Returns:
        At most t pieces, whose concatenation is that of `symbols`.
    """
    count = len(symbols)
    pieces = list(symbols)
    before, after, current = _linked(pieces, ranks, joiner)
    waiting: dict[int, list[int]] = {}
    for place, rank in enumerate(current):
        if rank >= 0:
            waiting.setdefault(rank, []).append(place)
    order = list(waiting)
    heapify(order)
    while order:
        rank = heappop(order)
        for place in sorted(waiting.pop(rank)):
            if current[place] != rank:
                continue
            absorbed = after[place]
            piece = pieces[place] = pieces[place] + pieces[absorbed]
            pieces[absorbed] = ""
            current[absorbed] = current[place] = -1
            following = after[place] = after[absorbed]
            previous = before[place]
            lowest = rank + 1
            if following < count:
                before[following] = place
                found = current[place] = ranks.get(piece + joiner + pieces[following], -1)
                if found in waiting:
                    waiting[found].append(place)
                elif found >= 0:
                    waiting[found] = [place]
                    heappush(order, found)
                    lowest = found
            if previous >= 0:
                found = current[previous] = ranks.get(pieces[previous] + joiner + piece, -1)
                if found in waiting:
                    waiting[found].append(previous)
                elif found >= 0:
                    waiting[found] = [previous]
                    heappush(order, found)
                    lowest = min(lowest, found)
            if lowest <= rank:
                return _merge_one_by_one([piece for piece in pieces if piece], ranks, joiner)
    return [piece for piece in pieces if piece]


def _linked(pieces: list[str], ranks: Mapping[str, int], joiner: str) -> tuple[list[int], list[int], list[int]]:
    """The places before and after each piece, and the rank of the pair that starts there, -1 for none.

    A place that waits under another rank than this waited for an older pair.
    """
    count = len(pieces)
    current = [ranks.get(left + joiner + right, -1) for left, right in pairwise(pieces)]
    current.append(-1)
    return list(range(-1, count - 1)), list(range(1, count + 1)), current


def _merge_one_by_one(pieces: list[str], ranks: Mapping[str, int], joiner: str) -> list[str]:
    """`merge` for any table: the pairs wait in a heap."""
    count = len(pieces)
    before, after, current = _linked(pieces, ranks, joiner)
    heap = [rank * count + place for place, rank in enumerate(current) if rank >= 0]
    heapify(heap)
    while heap:
        rank, place = divmod(heappop(heap), count)
        if current[place] != rank:
            continue
        absorbed = after[place]
        piece = pieces[place] = pieces[place] + pieces[absorbed]
        pieces[absorbed] = ""
        current[absorbed] = current[place] = -1
        following = after[place] = after[absorbed]
        if following < count:
            before[following] = place
            rank = current[place] = ranks.get(piece + joiner + pieces[following], -1)
            if rank >= 0:
                heappush(heap, rank * count + place)
        previous = before[place]
        if previous >= 0:
            rank = current[previous] = ranks.get(pieces[previous] + joiner + piece, -1)
            if rank >= 0:
                heappush(heap, rank * count + previous)
    return [piece for piece in pieces if piece]


def remember(word_ids: Callable[[str], list[int]]) -> Callable[[str], list[int]]:
    """`word_ids`, with its answers for the latest short words kept; callers must not change them."""
    remembered = lru_cache(REMEMBERED_WORDS)(word_ids)
    return lambda word: remembered(word) if len(word) <= REMEMBERED_LENGTH else word_ids(word)
