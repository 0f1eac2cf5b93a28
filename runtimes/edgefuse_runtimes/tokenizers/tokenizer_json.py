"""What every kind of tokenizer reads from a tokenizer.json, the file of the library `tokenizers`."""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgefuse_runtimes.errors import BadInput

AGAIN = "fetch the file again or export the encoder again"


@dataclass(frozen=True)
class Frame:
    """The special tokens around every text; None: there is none."""

    first: int | None
    last: int | None


def parse(content: bytes, source: str) -> dict[str, Any]:
    """The JSON object `content`, whose part "model" is one too.

    Raises:
        BadInput: it is something else.
    """
    try:
        data = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{source} cannot be read as JSON ({error}); {AGAIN}.") from error
    if not isinstance(data, dict) or not isinstance(data.get("model"), dict):
        raise BadInput(f"{source} is no tokenizer.json (it has no model); {AGAIN}.")
    return data


def read_ids(data: Mapping[str, Any], source: str) -> tuple[dict[str, int], frozenset[int]]:
    """The vocabulary, token -> id, and the ids of special tokens, which no text may become.

    Raises:
        BadInput: the vocabulary is damaged, or there are added tokens that are not special.
    """
    vocabulary, added = data["model"].get("vocab"), data.get("added_tokens") or []
    is_whole = isinstance(vocabulary, dict) and all(type(value) is int and value >= 0 for value in vocabulary.values())
    if not is_whole or not vocabulary or len(set(vocabulary.values())) < len(vocabulary):
        raise BadInput(f"{source} has no vocabulary in which every token has an id of its own; {AGAIN}.")
    is_list = isinstance(added, list) and all(isinstance(token, dict) for token in added)
    if not is_list or not all(type(token.get("id")) is int for token in added):
        raise BadInput(f"{source} has a damaged list of added tokens; {AGAIN}.")
    plain = [token for token in added if token.get("special") is not True]
    if plain:
        raise BadInput(
            f"{source} adds the token {plain[0].get('content')!r}, which is not special; "
            "such tokens are not supported, use an encoder without."
        )
    return vocabulary, frozenset(token["id"] for token in added)


def read_ranks(data: Mapping[str, Any], source: str) -> dict[str, int]:
    """Rank of each pair "left right" of the merges; a file writes it as such or as a list of two.

    Raises:
        BadInput: there are none, or one is damaged.
    """
    merges = data["model"].get("merges")
    pairs: list[Any] = [
        " ".join(pair) if isinstance(pair, list) and all(isinstance(part, str) for part in pair) else pair
        for pair in (merges if isinstance(merges, list) else [None])
    ]
    if not all(isinstance(pair, str) and pair.count(" ") == 1 for pair in pairs):
        raise BadInput(f"{source} has a damaged list of merges; {AGAIN}.")
    return ranks_of(pairs)


def ranks_of(pairs: Sequence[str]) -> dict[str, int]:
    """Rank of each line of a merge table: of equal ones the first counts."""
    return dict(zip(reversed(pairs), range(len(pairs) - 1, -1, -1), strict=True))


def refuse_missing(needed: Iterable[str], vocabulary: Container[str], source: str) -> None:
    """See to it that every token that merging can end in is there.

    Raises:
        BadInput: one is not.
    """
    missing = next((token for token in needed if token not in vocabulary), None)
    if missing is not None:
        raise BadInput(f"{source} has no token {missing!r}, which its merges or single bytes need; {AGAIN}.")


def read_frame(data: Mapping[str, Any], source: str) -> Frame:
    """What the post-processor puts around one text.

    Raises:
        BadInput: that is more than one token before it and one after it.
    """
    frame = _frame(data.get("post_processor"))
    if frame is None:
        raise BadInput(
            f"{source} puts something else than at most one special token before a text and one after it "
            "(post_processor); use an encoder that does not."
        )
    return Frame(*frame)


def read_full_frame(data: Mapping[str, Any], source: str) -> tuple[int, int]:
    """The special tokens that the post-processor puts before and after every text.

    Raises:
        BadInput: that is not one token before it and one after it.
    """
    first, last = _frame(data.get("post_processor")) or (None, None)
    if first is None or last is None:
        raise BadInput(
            f"{source} does not put one special token before a text and one after it (post_processor); "
            "use an encoder that does."
        )
    return first, last


def _frame(processor: Any) -> tuple[int | None, int | None] | None:
    """First and last id; None: the processor cannot be understood."""
    match processor:
        case None | {"type": "ByteLevel"}:
            return None, None
        case {"type": "Sequence", "processors": [*steps]} if not any(map(_is_sequence, steps)):
            frames = [frame for frame in map(_frame, steps) if frame != (None, None)]
            return frames[0] if len(frames) == 1 else None if frames else (None, None)
        case {"type": "TemplateProcessing"}:
            return _of_template(processor)
        case {"type": "BertProcessing" | "RobertaProcessing", "cls": [_, int(first)], "sep": [_, int(last)]} if (
            min(first, last) >= 0
        ):
            return first, last
    return None


def _is_sequence(processor: Any) -> bool:
    return isinstance(processor, dict) and processor.get("type") == "Sequence"


def _of_template(processor: Mapping[str, Any]) -> tuple[int | None, int | None] | None:
    """First and last id of a template of a special token or none, the text A, and a special token or none."""
    try:
        parts, tokens = processor["single"], processor["special_tokens"]
        place = next(place for place, part in enumerate(parts) if "Sequence" in part)
        if parts[place]["Sequence"]["id"] != "A":
            return None
        before, after = (
            [number for part in some for number in tokens[part["SpecialToken"]["id"]]["ids"]]
            for some in (parts[:place], parts[place + 1 :])
        )
    except (KeyError, TypeError, AttributeError, StopIteration):
        return None
    if len(before) > 1 or len(after) > 1 or not all(type(number) is int and number >= 0 for number in before + after):
        return None
    return (before[0] if before else None), (after[0] if after else None)


def says(part: Any, wanted: Any) -> bool:
    """Whether a part of the file is `wanted`; keys that `wanted` does not name may say anything."""
    if isinstance(wanted, dict):
        return isinstance(part, dict) and all(says(part.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(part, list) and len(part) == len(wanted) and all(map(says, part, wanted))
    return bool(part == wanted)
