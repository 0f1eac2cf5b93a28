"""SentencePiece BPE with byte fallback as in LLaMA-2, from a GGUF file, a tokenizer.model or a tokenizer.json.

Ids of a GGUF file equal llama.cpp's with `parse_special=False`, those of a tokenizer.model equal `sentencepiece`'s,
those of a tokenizer.json equal `tokenizers`' with `encode_special_tokens`. The three differ from each other, and ours
from llama.cpp's, where docs/reference/tokenizers.md says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.tokenizers.merging import merge, remember
from edgefuse_runtimes.tokenizers.normalize import well_formed
from edgefuse_runtimes.tokenizers.sentencepiece_model import read_model
from edgefuse_runtimes.tokenizers.tokenizer_json import read_frame, read_ids, read_ranks, refuse_missing, says
from edgefuse_runtimes.tokenizers.vocabulary import (
    NORMAL,
    UNUSED,
    USER_DEFINED,
    numbers,
    read_vocabulary,
    split_user_defined,
)

SPACE = "▁"
"""How vocabularies write a space."""

Stretches = Callable[[str], list[str | int]]
"""From a text to what may be merged within itself, spaces written as in the vocabulary, and ids of finished tokens."""

_SPACES = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}
_SPACE_IN_FRONT = {"type": "Prepend", "prepend": SPACE}


class SentencePieceBpe:
    """Tokenizer of `tokenizer.ggml.model` = "llama", a tokenizer.model, or a tokenizer.json with byte fallback."""

    def __init__(
        self,
        ids: Mapping[str, int],
        ranks: Mapping[str, int],
        joiner: str,
        byte_ids: Sequence[int],
        stretches: Stretches,
        *,
        bos_id: int | None,
        eos_id: int | None,
        add_bos: bool,
    ) -> None:
        """Bring together what a file says.

        Args:
            ids: of the tokens that a text may become.
            ranks: of pairs, as `merge` takes them with `joiner`.
            joiner: "" where any pair may merge that is a token, " " where there is a list of merges.
            byte_ids: of the 256 bytes, for characters outside the vocabulary.
            stretches: what comes before merging.
            bos_id: begins a text; `eos_id` ends one.
            eos_id: see there.
            add_bos: whether the file wants texts to begin with BOS.
        """
        self._ids = ids
        self._ranks = ranks
        self._joiner = joiner
        self._byte_ids = byte_ids
        self._stretches = stretches
        self._words = _word_pattern(ids)
        self._word_ids = remember(self._merged_ids)
        self.bos_id = bos_id
        self.eos_id = eos_id
        self.add_bos = add_bos

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any], source: str) -> SentencePieceBpe:
        """Read the tokens and scores of the GGUF file `source`; what it leaves out is as in llama.cpp.

        Raises:
            BadInput: an entry is missing or damaged, or a byte has no token.
        """
        vocabulary = read_vocabulary(metadata, source, bos_id=1, eos_id=2, add_bos=True)
        scores = numbers(metadata, "tokenizer.ggml.scores", len(vocabulary.tokens), source)  # (v,)
        prefix = SPACE if metadata.get("tokenizer.ggml.add_space_prefix", True) else ""

        def stretches(text: str) -> list[str | int]:
            parts = split_user_defined(text, vocabulary.user_defined)
            return [part if isinstance(part, int) else prefix + part.replace(" ", SPACE) for part in parts]

        return cls(
            vocabulary.ids,
            _ranks(vocabulary.ids, scores),
            "",
            _byte_ids({text: token_id for token_id, text in enumerate(vocabulary.tokens)}, source),
            stretches,
            bos_id=vocabulary.bos_id,
            eos_id=vocabulary.eos_id,
            add_bos=vocabulary.add_bos,
        )

    @classmethod
    def from_model(cls, content: bytes, source: str) -> SentencePieceBpe:
        """Read the tokenizer.model `source`, whose bytes are `content`.

        Raises:
            BadInput: it is damaged, no BPE model, changes texts, or a byte has no token.
        """
        try:
            model = read_model(content)
        except ValueError as error:
            raise BadInput(
                f"{source} is no SentencePiece model that edgefuse can use ({error}); use another."
            ) from error
        if any(piece.type == UNUSED for piece in model.pieces):
            raise BadInput(f"{source} has unused pieces, which are not supported; use another SentencePiece model.")
        texts = {piece.text: token_id for token_id, piece in enumerate(model.pieces)}
        kinds = (NORMAL, USER_DEFINED)
        ids = {text: token_id for text, token_id in texts.items() if text and model.pieces[token_id].type in kinds}
        cut_out = [text for text, token_id in ids.items() if model.pieces[token_id].type == USER_DEFINED]
        longest_first = "|".join(map(re.escape, sorted(cut_out, key=len, reverse=True)))
        user_defined = re.compile(f"({longest_first})" if cut_out else "(?!)")
        prefix = SPACE if model.space_in_front else ""

        def stretches(text: str) -> list[str | int]:
            parts = user_defined.split(prefix + text.replace(" ", SPACE))  # a stretch, a token, a stretch, ...
            return [ids[part] if place % 2 else part for place, part in enumerate(parts)] if text else []

        return cls(
            ids,
            _ranks(ids, np.array([piece.score for piece in model.pieces])),
            "",
            _byte_ids(texts, source),
            stretches,
            bos_id=model.bos_id,
            eos_id=model.eos_id,
            add_bos=model.bos_id is not None,
        )

    @classmethod
    def from_json(cls, data: Mapping[str, Any], source: str) -> SentencePieceBpe:
        """Read the vocabulary, the merges and the rules of the tokenizer.json `source`.

        Raises:
            BadInput: a rule is unknown, an entry is missing or damaged, or a byte has no token.
        """
        model = data["model"]
        plain = ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "ignore_merges")
        front = _space_in_front(data.get("normalizer"), data.get("pre_tokenizer"))
        if front is None or any(model.get(key) for key in plain):
            raise BadInput(
                f"{source} does not treat spaces as LLaMA does (normalizer, pre_tokenizer, model); "
                "use an encoder that does."
            )
        vocabulary, special = read_ids(data, source)
        byte_ids = _byte_ids(vocabulary, source)
        hidden = {*special, *byte_ids}
        ranks = read_ranks(data, source)
        refuse_missing((pair.replace(" ", "") for pair in ranks), vocabulary, source)
        frame = read_frame(data, source)

        def stretches(text: str) -> list[str | int]:
            marked = text.replace(" ", SPACE)
            has_space = front == "always" or (front == "where there is none" and not marked.startswith(SPACE))
            return [SPACE + marked if has_space else marked] if text else []

        return cls(
            {text: token_id for text, token_id in vocabulary.items() if token_id not in hidden},
            ranks,
            " ",
            byte_ids,
            stretches,
            bos_id=frame.first,
            eos_id=frame.last,
            add_bos=frame.first is not None,
        )

    def encode(self, text: str) -> list[int]:
        """Ids of `text`; no special token is added or recognised."""
        ids: list[int] = []
        for stretch in self._stretches(well_formed(text)):
            if isinstance(stretch, int):
                ids.append(stretch)
                continue
            for word in self._words.findall(stretch):
                ids += self._word_ids(word)
        return ids

    def _merged_ids(self, word: str) -> list[int]:
        ids: list[int] = []
        for piece in merge(word, self._ranks, self._joiner):
            token_id = self._ids.get(piece)
            if token_id is not None:
                ids.append(token_id)
            else:
                ids += [self._byte_ids[byte] for byte in piece.encode()]
        return ids


def _space_in_front(normalizer: Any, pre_tokenizer: Any) -> str | None:
    """When a tokenizer.json puts a space in front: "always", "where there is none", "never"; None: unknown."""
    if pre_tokenizer is None:
        if says(normalizer, {"type": "Sequence", "normalizers": [_SPACE_IN_FRONT, _SPACES]}):
            return "always"
        return "never" if says(normalizer, _SPACES) else None
    if normalizer is not None or not says(pre_tokenizer, {"type": "Metaspace", "replacement": SPACE, "split": False}):
        return None
    schemes = {"always": "where there is none", "first": "where there is none", "never": "never"}
    return schemes.get(str(pre_tokenizer.get("prepend_scheme")))


def _ranks(ids: Mapping[str, int], scores: Any) -> dict[str, int]:
    """Rank of each token in merging, from the scores (v,): the highest first, equal ones together."""
    _, ranks = np.unique(-scores, return_inverse=True)  # (v,)
    return {text: int(ranks[token_id]) for text, token_id in ids.items()}


def _byte_ids(ids: Mapping[str, int], source: str) -> list[int]:
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
