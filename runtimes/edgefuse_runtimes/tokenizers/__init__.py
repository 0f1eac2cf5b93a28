"""From a note to the token ids that a text encoder reads, with the vocabulary that came with the encoder."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.gguf.reader import read_gguf
from edgefuse_runtimes.spec import EncoderSpec, Tokenization
from edgefuse_runtimes.tokenizers.bpe import ByteLevelBpe
from edgefuse_runtimes.tokenizers.clip_bpe import ClipBpe
from edgefuse_runtimes.tokenizers.sentencepiece import SentencePieceBpe
from edgefuse_runtimes.tokenizers.tokenizer_json import parse
from edgefuse_runtimes.tokenizers.wordpiece import WordPiece

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


def tokenizer_of(spec: EncoderSpec, locate: Callable[[str], Path]) -> Tokenizer:
    """The tokenizer of a text encoder: of its own file (GGUF), or of the tokenizer.json beside it.

    Args:
        spec: of the encoder.
        locate: from the name of a file beside the spec to its path.

    Raises:
        BadInput: the file is missing, is not the one that was exported, or cannot be used.
    """
    if spec.tokenizer is None:
        return open_tokenizer(locate(spec.file))
    path = locate(spec.tokenizer.file)
    content = _read(path)
    if hashlib.sha256(content).hexdigest() != spec.tokenizer.sha256:
        raise BadInput(f"{path} is not the file that was exported (sha256 differs); export or copy it again.")
    return tokenizer_from_json(content, str(path))


def open_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer in the file at `path`: a tokenizer.json, a tokenizer.model (SentencePiece), or a GGUF file.

    Raises:
        BadInput: the file cannot be read, its tokenizer is of an unknown kind, or its vocabulary is damaged.
    """
    if path.suffix == ".json":
        return tokenizer_from_json(_read(path), str(path))
    if path.suffix == ".model":
        return SentencePieceBpe.from_model(_read(path), str(path))
    return tokenizer_from_metadata(read_gguf(path).metadata, str(path))


def tokenizer_from_json(content: bytes, source: str) -> WordPiece | ClipBpe | SentencePieceBpe | ByteLevelBpe:
    """The tokenizer that the tokenizer.json `source` describes; `content` is all of it.

    Raises:
        BadInput: the kind is unknown, or the file is damaged.
    """
    data = parse(content, source)
    model = data["model"]
    match model.get("type", "BPE" if "merges" in model else None):  # GPT-2's own file does not say
        case "WordPiece":
            return WordPiece(data, source)
        case "BPE" if model.get("end_of_word_suffix"):
            return ClipBpe(data, source)
        case "BPE" if model.get("byte_fallback"):
            return SentencePieceBpe.from_json(data, source)
        case "BPE":
            return ByteLevelBpe.from_json(data, source)
        case other:
            raise BadInput(
                f"{source} has a tokenizer of the unknown kind {other!r} (model); "
                "use an encoder with one of WordPiece (BERT), BPE (CLIP, GPT-2, LLaMA)."
            )


def tokenizer_from_metadata(metadata: Mapping[str, Any], source: str) -> Tokenizer:
    """The tokenizer described by the metadata of the GGUF file `source`, which may be open already.

    Raises:
        BadInput: the kind is unknown, or the vocabulary is damaged.
    """
    match metadata.get("tokenizer.ggml.model"):
        case "gpt2":
            return ByteLevelBpe.from_metadata(metadata, source)
        case "llama":
            return SentencePieceBpe.from_metadata(metadata, source)
        case other:
            raise BadInput(
                f"{source} has a tokenizer of the unknown kind {other!r} (tokenizer.ggml.model); "
                "use an encoder with one of gpt2, llama."
            )


def tokenize(tokenizer: Tokenizer, tokenization: Tokenization, note: str) -> Tokens:
    r"""Ids of `note`, (t,) with 1 <= t <= max_tokens.

    White space at both ends is left out: it says nothing, and a file's last line end would be the token whose
    hidden state stands for the note. Line ends (\n, \r\n, \r) become one space each when asked; BOS is put in
    front and EOS at the end when asked, and what does not fit between them is cut at its end. An encoder needs a
    token, so an empty note becomes BOS alone even when BOS is not asked for, or EOS alone where there is no BOS.

    Raises:
        BadInput: max_tokens leaves no room for the special tokens or is below 1, or one of them is needed and there
            is none.
    """
    first, last = tokenization.add_bos, tokenization.add_eos
    if tokenization.max_tokens < max(1, first + last):
        raise BadInput(f"The token limit is {tokenization.max_tokens}; it must be at least {max(1, first + last)}.")
    note = note.strip()
    ids = tokenizer.encode(_LINE_END.sub(" ", note) if tokenization.newline_to_space else note)
    before = [_first_id(tokenizer, tokenization)] if first or not (ids or last) else []
    after = [_last_id(tokenizer)] if last else []
    kept = ids[: tokenization.max_tokens - len(before) - len(after)]
    return Tokens(np.array([*before, *kept, *after], np.int32), dropped=len(ids) - len(kept))


def _first_id(tokenizer: Tokenizer, tokenization: Tokenization) -> int:
    if tokenizer.bos_id is not None:
        return tokenizer.bos_id
    if tokenization.add_bos:
        raise BadInput("BOS is asked for, but the text encoder has no such token; export it again without.")
    if tokenizer.eos_id is None:
        raise BadInput("The note is empty, and the text encoder has no token for that; give a note with text.")
    return tokenizer.eos_id


def _last_id(tokenizer: Tokenizer) -> int:
    if tokenizer.eos_id is None:
        raise BadInput("EOS is asked for, but the text encoder has no such token; export it again without.")
    return tokenizer.eos_id


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"The tokenizer {path} cannot be read ({error.strerror}); copy the folder again.") from error
