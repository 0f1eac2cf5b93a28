"""What both kinds of tokenizer read from a tokenizer.json, the file of the library `tokenizers`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgefuse_runtimes.errors import BadInput

AGAIN = "fetch the file again or export the encoder again"


@dataclass(frozen=True)
class Frame:
    """The special tokens around every text."""

    first: int
    last: int


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


def read_frame(data: Mapping[str, Any], source: str) -> Frame:
    """What the post-processor puts around one text.

    Raises:
        BadInput: that is not one token before it and one after it.
    """
    processor = data.get("post_processor")
    frame = None
    if isinstance(processor, dict):
        is_template = processor.get("type") == "TemplateProcessing"
        frame = _of_template(processor) if is_template else (_id(processor.get("cls")), _id(processor.get("sep")))
    if frame is None or frame[0] is None or frame[1] is None:
        raise BadInput(
            f"{source} does not put one special token before a text and one after it (post_processor); "
            "use an encoder that does."
        )
    return Frame(frame[0], frame[1])


def _of_template(processor: Mapping[str, Any]) -> tuple[int | None, int | None] | None:
    """First and last id of a template of a special token, the text A, and a special token."""
    try:
        before, text, after = processor["single"]
        tokens = processor["special_tokens"]
        (first,), (last,) = (tokens[part["SpecialToken"]["id"]]["ids"] for part in (before, after))
        return (_id(["", first]), _id(["", last])) if text["Sequence"]["id"] == "A" else None
    except (KeyError, TypeError, ValueError):
        return None


def _id(token: Any) -> int | None:
    """The id of a special token, written as its text and its id."""
    is_pair = isinstance(token, list) and len(token) == 2 and type(token[1]) is int and token[1] >= 0
    return token[1] if is_pair else None


def says(part: Any, wanted: Any) -> bool:
    """Whether a part of the file is `wanted`; keys that `wanted` does not name may say anything."""
    if isinstance(wanted, dict):
        return isinstance(part, dict) and all(says(part.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(part, list) and len(part) == len(wanted) and all(map(says, part, wanted))
    return bool(part == wanted)
