"""What every kind of tokenizer reads from a GGUF file's metadata."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefuse_runtimes.errors import BadInput

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
"""Values of tokenizer.ggml.token_type, the same numbers as SentencePiece's."""


@dataclass(frozen=True)
class Vocabulary:
    """Tokens, and which of them a text may become."""

    tokens: list[str]
    """By id, v of them."""
    ids: dict[str, int]
    """By text; without control, unknown and byte tokens, so that nothing a note spells becomes one."""
    user_defined: list[tuple[str, int]]
    """Text and id of the tokens that are cut out of a text before anything else, the longest first."""
    bos_id: int | None
    eos_id: int | None
    add_bos: bool


def read_vocabulary(
    metadata: Mapping[str, Any], source: str, *, bos_id: int | None, eos_id: int | None, add_bos: bool
) -> Vocabulary:
    """Vocabulary from the metadata of a GGUF file.

    A user-defined token that has a role (tokenizer.ggml.*_token_id) counts as a control token: some files
    call "<|im_end|>" user-defined, and a note must not be able to spell it. (llama.cpp has a list of such
    names.)

    Args:
        metadata: as `gguf.reader` gives it.
        source: the file, for messages.
        bos_id: what holds when the file does not say; `eos_id` and `add_bos` likewise.

    Raises:
        BadInput: an entry is missing, of the wrong kind or size, or names a token that is not there.
    """
    tokens = strings(metadata, "tokenizer.ggml.tokens", source)
    types = numbers(metadata, "tokenizer.ggml.token_type", len(tokens), source, default=NORMAL)  # (v,)
    roles = {name: value for name, value in metadata.items() if name.endswith("_token_id")}
    hidden = np.isin(types, (UNKNOWN, CONTROL, BYTE))  # (v,)
    user_defined = types == USER_DEFINED  # (v,)
    hidden |= user_defined & np.isin(np.arange(len(tokens)), list(roles.values()))
    ids = {text: token_id for token_id, text in enumerate(tokens) if text and not hidden[token_id]}
    cut_out = [(text, token_id) for text, token_id in ids.items() if user_defined[token_id]]
    return Vocabulary(
        tokens=tokens,
        ids=ids,
        user_defined=sorted(cut_out, key=lambda item: len(item[0]), reverse=True),
        bos_id=_role(roles, "tokenizer.ggml.bos_token_id", bos_id, len(tokens), source),
        eos_id=_role(roles, "tokenizer.ggml.eos_token_id", eos_id, len(tokens), source),
        add_bos=bool(metadata.get("tokenizer.ggml.add_bos_token", add_bos)),
    )


def _role(roles: Mapping[str, Any], name: str, default: int | None, count: int, source: str) -> int | None:
    value = roles.get(name, default)
    if value is not None and (type(value) is not int or not 0 <= value < count):
        raise BadInput(
            f"{source} has {count} tokens, but says {name} = {value}; get the file again or export it again."
        )
    return value


def strings(metadata: Mapping[str, Any], name: str, source: str) -> list[str]:
    """The list of strings under `name`.

    Raises:
        BadInput: there is none, or it is empty.
    """
    value = metadata.get(name)
    if not isinstance(value, list) or not value or not isinstance(value[0], str):
        raise BadInput(f"{source} has no list of strings {name}; get the file again or export it again.")
    return value


def numbers(
    metadata: Mapping[str, Any], name: str, count: int, source: str, default: float | None = None
) -> NDArray[Any]:
    """The numbers under `name`, (count,); where the file has none, `default` as often.

    Raises:
        BadInput: there are none and no default, there are not `count` of them, or one is not a number.
    """
    if default is not None and name not in metadata:
        return np.full(count, default)
    value = np.asarray(metadata.get(name))
    if value.shape != (count,) or value.dtype.kind not in "iuf" or np.isnan(value).any():
        raise BadInput(f"{source} does not have {count} numbers {name}; get the file again or export it again.")
    return value


def split_user_defined(text: str, tokens: Sequence[tuple[str, int]]) -> list[str | int]:
    """`text` with ids in place of all occurrences of `tokens` (text and id each); an earlier token wins."""
    parts: list[str | int] = [text] if text else []
    for token, token_id in tokens:
        if token in text:
            parts = [piece for part in parts for piece in _cut(part, token, token_id)]
    return parts


def _cut(part: str | int, token: str, token_id: int) -> list[str | int]:
    if isinstance(part, int):
        return [part]
    first, *others = part.split(token)
    pieces: list[str | int] = [first]
    for other in others:
        pieces += [token_id, other]
    return [piece for piece in pieces if piece != ""]
