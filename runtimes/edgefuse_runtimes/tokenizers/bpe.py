"""Byte-level BPE as in GPT-2, SmolLM2 and LLaMA-3, from a GGUF file's metadata.

Ids equal llama.cpp's with `parse_special=False`. Where the references differ:

- A note that spells a special token ("<|im_start|>") is plain text here and in llama.cpp; `tokenizers`
  makes it the special token unless its `encode_special_tokens` is set.
- Letters and numbers that came after Unicode 15.1 are neither here and in llama.cpp; `tokenizers` follows the
  version it was built with.
- LLaMA-3's contractions without regard to case ("'S") are ASCII here and in llama.cpp; in `tokenizers` the
  long s (U+017F) also counts as an s.
- A byte without a token (SmolLM2's vocabulary lacks 21, among them U+0004) leaves no id. Its neighbours stay
  apart here and in llama.cpp; `tokenizers` takes it out first, and they may be merged.
- Lone surrogates, which UTF-8 cannot write, count as U+FFFD, as if the note had been read as UTF-8 with
  replacement; the references never see any.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.tokenizers.merging import merge, remember
from edgefuse_runtimes.tokenizers.presplit import PRESPLITS, split
from edgefuse_runtimes.tokenizers.vocabulary import read_vocabulary, split_user_defined, strings, well_formed


def _byte_symbols() -> dict[int, str]:
    """What stands for each byte in GPT-2's vocabulary: itself where visible, else one from U+0100 on."""
    visible = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(0x100) if byte not in visible]
    return {byte: chr(byte) for byte in visible} | {byte: chr(0x100 + place) for place, byte in enumerate(others)}


BYTE_SYMBOLS = _byte_symbols()


class ByteLevelBpe:
    """Tokenizer of `tokenizer.ggml.model` = "gpt2"."""

    def __init__(self, metadata: Mapping[str, Any], source: str) -> None:
        """Read the tokens and merges of the GGUF file `source`.

        Raises:
            BadInput: the pre-split is unknown, or an entry is missing or damaged.
        """
        name = metadata.get("tokenizer.ggml.pre")
        if name not in PRESPLITS:
            raise BadInput(
                f"{source} cuts texts into words in the unknown way {name!r} (tokenizer.ggml.pre); "
                f"use an encoder with one of {', '.join(PRESPLITS)}."
            )
        self._presplit = PRESPLITS[name]
        vocabulary = read_vocabulary(metadata, source, bos_id=None, eos_id=None, add_bos=self._presplit.add_bos)
        merges = strings(metadata, "tokenizer.ggml.merges", source)
        falling_ranks = range(len(merges) - 1, -1, -1)
        self._ranks = dict(zip(reversed(merges), falling_ranks, strict=True))  # of equal merges the first counts
        self._ids = vocabulary.ids
        self._user_defined = vocabulary.user_defined
        self._word_ids = remember(self._merged_ids)
        self.bos_id = vocabulary.bos_id
        self.eos_id = vocabulary.eos_id
        self.add_bos = vocabulary.add_bos

    def encode(self, text: str) -> list[int]:
        """Ids of `text`; no special token is added or recognised."""
        ids: list[int] = []
        for part in split_user_defined(well_formed(text), self._user_defined):
            if isinstance(part, int):
                ids.append(part)
                continue
            for word in split(part, self._presplit.words):
                ids += self._word_ids(word)
        return ids

    def _merged_ids(self, word: str) -> list[int]:
        symbols = word.encode().decode("latin-1").translate(BYTE_SYMBOLS)
        if self._presplit.ignore_merges and symbols in self._ids:
            return [self._ids[symbols]]
        ids: list[int] = []
        for piece in merge(symbols, self._ranks, " "):
            token_id = self._ids.get(piece)
            if token_id is not None:
                ids.append(token_id)
            else:
                ids += [self._ids[symbol] for symbol in piece if symbol in self._ids]
        return ids
