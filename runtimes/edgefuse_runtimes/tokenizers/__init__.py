"""From a note to the token ids that a text encoder reads, with the vocabulary of the encoder's own file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.gguf.reader import read_gguf
from edgefuse_runtimes.spec import Tokenization
from edgefuse_runtimes.tokenizers.bpe import ByteLevelBpe
from edgefuse_runtimes.tokenizers.sentencepiece import SentencePieceBpe

_LINE_END = re.compile("\r\n|\r|\n")


class Tokenizer(Protocol):
    """A vocabulary and the rule by which a text becomes ids of it."""

    @property
    def bos_id(self) -> int | None:
        """The token that begins a text; None: the vocabulary has none."""
        ...

    @property
    def eos_id(self) -> int | None:
        """The token that ends a text; None: the vocabulary has none."""
        ...

    @property
    def add_bos(self) -> bool:
        """Whether the file wants texts to begin with BOS."""
        ...

    def encode(self, text: str) -> list[int]:
        """Ids of `text`, which is plain text throughout: no special token is added or recognised."""
        ...


@dataclass(frozen=True)
class Tokens:
    """A note as an encoder reads it."""

    ids: NDArray[np.int32]
    """(t,), t >= 1."""
    dropped: int
    """How many tokens were cut at the end."""


def open_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer of the GGUF file at `path`.

    Raises:
        BadInput: the file cannot be read, its tokenizer is of an unknown kind, or its vocabulary is damaged.
    """
    return tokenizer_from_metadata(read_gguf(path).metadata, str(path))


def tokenizer_from_metadata(metadata: Mapping[str, Any], source: str) -> Tokenizer:
    """The tokenizer described by the metadata of the GGUF file `source`, which may be open already.

    Raises:
        BadInput: the kind is unknown, or the vocabulary is damaged.
    """
    match metadata.get("tokenizer.ggml.model"):
        case "gpt2":
            return ByteLevelBpe(metadata, source)
        case "llama":
            return SentencePieceBpe(metadata, source)
        case other:
            raise BadInput(
                f"{source} has a tokenizer of the unknown kind {other!r} (tokenizer.ggml.model); "
                "use an encoder with one of gpt2, llama."
            )


def tokenize(tokenizer: Tokenizer, tokenization: Tokenization, note: str) -> Tokens:
    r"""Ids of `note`, (t,) with 1 <= t <= max_tokens.

    White space at both ends is left out: it says nothing, and a file's last line end would be the token whose
    hidden state stands for the note. Line ends (\n, \r\n, \r) become one space each when asked, BOS is put in
    front when asked, and what is longer than max_tokens is cut at its end. An encoder needs a token, so an empty
    note becomes BOS alone even when BOS is not asked for, or EOS alone where there is no BOS.

    Raises:
        BadInput: max_tokens is below 1, or a BOS (or, for an empty note, an EOS) is needed and there is none.
    """
    if tokenization.max_tokens < 1:
        raise BadInput(f"The token limit is {tokenization.max_tokens}; it must be at least 1.")
    note = note.strip()
    ids = tokenizer.encode(_LINE_END.sub(" ", note) if tokenization.newline_to_space else note)
    if tokenization.add_bos or not ids:
        ids = [_first_id(tokenizer, tokenization), *ids]
    kept = np.array(ids[: tokenization.max_tokens], np.int32)  # (t,)
    return Tokens(kept, dropped=len(ids) - len(kept))


def _first_id(tokenizer: Tokenizer, tokenization: Tokenization) -> int:
    if tokenizer.bos_id is not None:
        return tokenizer.bos_id
    if tokenization.add_bos:
        raise BadInput("BOS is asked for, but the text encoder has no such token; export it again without.")
    if tokenizer.eos_id is None:
        raise BadInput("The note is empty, and the text encoder has no token for that; give a note with text.")
    return tokenizer.eos_id
