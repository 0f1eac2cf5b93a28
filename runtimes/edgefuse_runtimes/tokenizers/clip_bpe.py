"""CLIP's byte-pair encoding: lower case, words without the blanks between them, each with a mark at its end.

Reference: the library `tokenizers`, with the tokenizer.json that transformers writes for CLIPTokenizerFast.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.tokenizers.bpe import BYTE_SYMBOLS
from edgefuse_runtimes.tokenizers.merging import merge, remember
from edgefuse_runtimes.tokenizers.normalize import lower_case, normal_form, well_formed
from edgefuse_runtimes.tokenizers.presplit import OF_TOKENIZERS, Presplit, split
from edgefuse_runtimes.tokenizers.tokenizer_json import read_full_frame, read_ids, read_ranks, refuse_missing, says

END = "</w>"
"""Of a word; the last letter of a word has it, so that a token at the end of a word is another than inside."""

_NORMALIZER = {
    "type": "Sequence",
    "normalizers": [
        {"type": "NFC"},
        {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "},
        {"type": "Lowercase"},
    ],
}
_PRE_TOKENIZER = {
    "type": "Sequence",
    "pretokenizers": [
        {
            "type": "Split",
            "pattern": {"Regex": r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"},
            "behavior": "Removed",
            "invert": True,
        },
        {"type": "ByteLevel", "add_prefix_space": False},
    ],
}
_MODEL = {"end_of_word_suffix": END}
_SILENT = (None, "", False)

# Of reduced text (see `presplit`). White space lies between words whatever it is made of, so that it is not brought
# to one blank first; the cut of GPT-2 that comes after this one in the reference finds nothing more to cut.
_WORDS = Presplit(
    re.compile(r"'(?:[stmd]|re|ve|ll)|[A-Za-z]+|[0-9]|[^\sA-Za-z0-9]+", re.ASCII), stand_ins=OF_TOKENIZERS
)


class ClipBpe:
    """Tokenizer of a tokenizer.json whose model is "BPE" and marks the end of a word."""

    add_bos = True

    def __init__(self, data: Mapping[str, Any], source: str) -> None:
        """Read the vocabulary, the merges and the rules of the file `source`.

        Raises:
            BadInput: a rule is unknown, or an entry is missing or damaged.
        """
        model = data["model"]
        plain = ("continuing_subword_prefix", "dropout", "fuse_unk", "byte_fallback", "ignore_merges")
        if not (
            says(data.get("normalizer"), _NORMALIZER)
            and says(data.get("pre_tokenizer"), _PRE_TOKENIZER)
            and says(model, _MODEL)
            and all(model.get(key) in _SILENT for key in plain)
        ):
            raise BadInput(
                f"{source} does not clean and cut texts as CLIP does (normalizer, pre_tokenizer, model); "
                "use an encoder that does."
            )
        vocabulary, special = read_ids(data, source)
        self.bos_id, self.eos_id = read_full_frame(data, source)
        self.size = 1 + max(vocabulary.values())
        self._ids = {token: token_id for token, token_id in vocabulary.items() if token_id not in special}
        self._ranks = read_ranks(data, source)
        needed = [symbol + end for symbol in BYTE_SYMBOLS.values() for end in ("", END)]
        needed += [pair.replace(" ", "") for pair in self._ranks]
        refuse_missing(needed, self._ids, source)
        self._word_ids = remember(self._merged_ids)

    def encode(self, text: str) -> list[int]:
        """Ids of `text`; no special token is added or recognised."""
        text = lower_case(normal_form("NFC", well_formed(text)))
        return [token_id for word in split(text, _WORDS) for token_id in self._word_ids(word)]

    def _merged_ids(self, word: str) -> list[int]:
        symbols = [*word.encode().decode("latin-1").translate(BYTE_SYMBOLS)]
        symbols[-1] += END
        return [self._ids[piece] for piece in merge(symbols, self._ranks, " ")]
