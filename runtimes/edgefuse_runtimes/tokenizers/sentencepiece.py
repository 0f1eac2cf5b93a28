"""SentencePiece BPE with byte fallback as in LLaMA-2, from a GGUF file's metadata.

Ids equal those of `sentencepiece` (of a model whose normaliser changes nothing, as LLaMA's) and of
llama.cpp with `parse_special=False`. Where the references differ:

- A note that spells a control, unknown or byte token ("</s>", "<0x41>") is plain text here and in
  `sentencepiece`. llama.cpp joins pieces to any token of the vocabulary, so there it becomes the control
  token where a part of the spelling ("</s") is a token too.
- Lone surrogates, which UTF-8 cannot write, count as U+FFFD, as if the note had been read as UTF-8 with
  replacement; the references never see any.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.tokenizers.merging import merge, remember
from edgefuse_runtimes.tokenizers.vocabulary import numbers, read_vocabulary, split_user_defined, well_formed

SPACE = "▁"
"""How vocabularies write a space."""


class SentencePieceBpe:
    """Tokenizer of `tokenizer.ggml.model` = "llama"."""

    def __init__(self, metadata: Mapping[str, Any], source: str) -> None:
        """Read the tokens and scores of the GGUF file `source`.

        Raises:
            BadInput: an entry is missing or damaged, or a byte has no token.
        """
        # What the file leaves out is as in llama.cpp.
        vocabulary = read_vocabulary(metadata, source, bos_id=1, eos_id=2, add_bos=True)
        scores = numbers(metadata, "tokenizer.ggml.scores", len(vocabulary.tokens), source)  # (v,)
        _, ranks = np.unique(-scores, return_inverse=True)  # (v,): the highest score first, equal ones together
        self._ranks = {text: int(ranks[token_id]) for text, token_id in vocabulary.ids.items()}
        self._ids = vocabulary.ids
        self._byte_ids = _byte_ids(vocabulary.tokens, source)
        self._user_defined = vocabulary.user_defined
        self._prefix = SPACE if metadata.get("tokenizer.ggml.add_space_prefix", True) else ""
        self._words = _word_pattern(vocabulary.ids)
        self._word_ids = remember(self._merged_ids)
        self.bos_id = vocabulary.bos_id
        self.eos_id = vocabulary.eos_id
        self.add_bos = vocabulary.add_bos

    def encode(self, text: str) -> list[int]:
        """Ids of `text`; no special token is added or recognised."""
        ids: list[int] = []
        prefix = self._prefix
        for part in split_user_defined(well_formed(text), self._user_defined):
            if isinstance(part, int):
                ids.append(part)
                prefix = self._prefix
                continue
            for word in self._words.findall(prefix + part.replace(" ", SPACE)):
                ids += self._word_ids(word)
            prefix = ""
        return ids

    def _merged_ids(self, word: str) -> list[int]:
        ids: list[int] = []
        for piece in merge(word, self._ranks, ""):
            token_id = self._ids.get(piece)
            if token_id is not None:
                ids.append(token_id)
            else:
                ids += [self._byte_ids[byte] for byte in piece.encode()]
        return ids


def _byte_ids(tokens: list[str], source: str) -> list[int]:
    ids = {text: token_id for token_id, text in enumerate(tokens)}
    try:
        return [ids[f"<0x{byte:02X}>"] for byte in range(256)]
    except KeyError as error:
        raise BadInput(
            f"{source} has no token {error} for characters outside its vocabulary; "
            "use an encoder whose SentencePiece model was made with byte fallback."
        ) from error


def _word_pattern(texts: Iterable[str]) -> re.Pattern[str]:
    """Stretches that no merge can cross: they end before a space mark, if no token holds one further in."""
    if any(SPACE in text.lstrip(SPACE) for text in texts):
        return re.compile(".+", re.DOTALL)
    return re.compile(f"{SPACE}+[^{SPACE}]*|[^{SPACE}]+")
