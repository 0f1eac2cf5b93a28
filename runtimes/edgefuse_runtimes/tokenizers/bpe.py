"""Byte-level BPE as in GPT-2, SmolLM2 and LLaMA-3, from a GGUF file's metadata or from a tokenizer.json.

Ids of a GGUF file equal llama.cpp's with `parse_special=False`, those of a tokenizer.json equal `tokenizers`' with
`encode_special_tokens`. The two differ from each other where docs/reference/tokenizers.md says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.tokenizers.merging import merge, remember
from edgefuse_runtimes.tokenizers.normalize import well_formed
from edgefuse_runtimes.tokenizers.presplit import PRESPLITS, PRESPLITS_OF_TOKENIZERS, Presplit, split
from edgefuse_runtimes.tokenizers.tokenizer_json import ranks_of, read_frame, read_ids, read_ranks, refuse_missing
from edgefuse_runtimes.tokenizers.vocabulary import read_vocabulary, split_user_defined, strings

LLAMA3_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def _byte_symbols() -> dict[int, str]:
    """What stands for each byte in GPT-2's vocabulary: itself where visible, else one from U+0100 on."""
    visible = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(0x100) if byte not in visible]
    return {byte: chr(byte) for byte in visible} | {byte: chr(0x100 + place) for place, byte in enumerate(others)}


BYTE_SYMBOLS = _byte_symbols()


class ByteLevelBpe:
    """Tokenizer of `tokenizer.ggml.model` = "gpt2", or of a tokenizer.json whose pre-tokenizer is byte-level."""

    def __init__(
        self,
        ids: Mapping[str, int],
        ranks: Mapping[str, int],
        presplit: Presplit,
        *,
        bos_id: int | None,
        eos_id: int | None,
        add_bos: bool,
        user_defined: Sequence[tuple[str, int]] = (),
        joins_over_gaps: bool = False,
    ) -> None:
        """Bring together what a file says.

        Args:
            ids: of the tokens that a text may become.
            ranks: of each pair "left right" of the merges.
            presplit: how a text is cut into words.
            bos_id: begins a text; `eos_id` ends one.
            eos_id: see there.
            add_bos: whether the file wants texts to begin with BOS.
            user_defined: text and id of what is cut out first, the longest first.
            joins_over_gaps: whether the neighbours of a byte without a token may be merged with each other.
        """
        self._ids = ids
        self._ranks = ranks
        self._presplit = presplit
        self._user_defined = user_defined
        self._joins_over_gaps = joins_over_gaps and not all(symbol in ids for symbol in BYTE_SYMBOLS.values())
        self._word_ids = remember(self._merged_ids)
        self.bos_id = bos_id
        self.eos_id = eos_id
        self.add_bos = add_bos

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any], source: str) -> ByteLevelBpe:
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
        presplit = PRESPLITS[name]
        vocabulary = read_vocabulary(metadata, source, bos_id=None, eos_id=None, add_bos=presplit.add_bos)
        return cls(
            vocabulary.ids,
            ranks_of(strings(metadata, "tokenizer.ggml.merges", source)),
            presplit,
            bos_id=vocabulary.bos_id,
            eos_id=vocabulary.eos_id,
            add_bos=vocabulary.add_bos,
            user_defined=vocabulary.user_defined,
        )

    @classmethod
    def from_json(cls, data: Mapping[str, Any], source: str) -> ByteLevelBpe:
        """Read the vocabulary, the merges and the rules of the tokenizer.json `source`.

        Raises:
            BadInput: a rule is unknown, or an entry is missing or damaged.
        """
        try:
            presplit = PRESPLITS_OF_TOKENIZERS[presplit_name(data)]
        except ValueError as error:
            raise BadInput(
                f"{source} does not cut texts as GPT-2, SmolLM2 or LLaMA-3 do ({error}); use an encoder that does."
            ) from error
        vocabulary, special = read_ids(data, source)
        ids = {token: token_id for token, token_id in vocabulary.items() if token_id not in special}
        ranks = read_ranks(data, source)
        refuse_missing((pair.replace(" ", "") for pair in ranks), vocabulary, source)
        if data["model"].get("unk_token") is not None:
            refuse_missing(BYTE_SYMBOLS.values(), ids, source)
        frame = read_frame(data, source)
        return cls(
            ids,
            ranks,
            presplit,
            bos_id=frame.first,
            eos_id=frame.last,
            add_bos=frame.first is not None,
            joins_over_gaps=True,
        )

    def encode(self, text: str) -> list[int]:
        """Ids of `text`; no special token is added or recognised."""
        ids: list[int] = []
        for part in split_user_defined(well_formed(text), self._user_defined):
            if isinstance(part, int):
                ids.append(part)
                continue
            for word in split(part, self._presplit):
                ids += self._word_ids(word)
        return ids

    def _merged_ids(self, word: str) -> list[int]:
        symbols = word.encode().decode("latin-1").translate(BYTE_SYMBOLS)
        if self._presplit.ignore_merges and symbols in self._ids:
            return [self._ids[symbols]]
        if self._joins_over_gaps:
            symbols = "".join(symbol for symbol in symbols if symbol in self._ids)
        ids: list[int] = []
        for piece in merge(symbols, self._ranks, " "):
            token_id = self._ids.get(piece)
            if token_id is not None:
                ids.append(token_id)
            else:
                ids += [self._ids[symbol] for symbol in piece if symbol in self._ids]
        return ids


def presplit_name(data: Mapping[str, Any]) -> str:
    """llama.cpp's name (tokenizer.ggml.pre) of the way in which a tokenizer.json cuts texts into words.

    Raises:
        ValueError: it is not byte-level, or cuts in another way; the text says which, as a part of a sentence.
    """
    model, settings = data["model"], data.get("pre_tokenizer")
    if model.get("type", "BPE") != "BPE" or model.get("byte_fallback") or data.get("normalizer"):
        raise ValueError("it is not a byte-level BPE without normalizer")
    if any(model.get(key) for key in ("dropout", "continuing_subword_prefix", "end_of_word_suffix")):
        raise ValueError("its BPE model has a dropout, prefix or suffix")
    ignores_merges = bool(model.get("ignore_merges"))
    steps = settings.get("pretokenizers") if isinstance(settings, dict) and "pretokenizers" in settings else [settings]
    match steps:
        case [*before, {"type": "ByteLevel", "add_prefix_space": False, **level}]:
            words_of_gpt2 = level.get("use_regex", True)
        case _:
            raise ValueError("its pre-tokenizer does not end in ByteLevel without prefix space")
    match before:
        case [] if words_of_gpt2 and not ignores_merges:
            return "gpt-2"
        case [{"type": "Digits", "individual_digits": True}] if words_of_gpt2 and not ignores_merges:
            return "smollm"
        case [{"type": "Split", "pattern": {"Regex": words}, "behavior": "Isolated"}] if (
            words == LLAMA3_WORDS and not words_of_gpt2 and ignores_merges
        ):
            return "llama-bpe"
    raise ValueError("its pre-tokenizer is none of GPT-2's, SmolLM's and LLaMA-3's")
