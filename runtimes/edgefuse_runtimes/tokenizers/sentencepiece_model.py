"""Reading a tokenizer.model, the file of the library SentencePiece: a serialized sentencepiece.ModelProto.

Field numbers and defaults are those of sentencepiece_model.proto.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgefuse_runtimes import protobuf
from edgefuse_runtimes.tokenizers.vocabulary import CONTROL, NORMAL

_BPE = 2  # TrainerSpec.ModelType
_FLOAT = np.dtype("<f4")
_MODEL_TYPE, _SPACE_AT_THE_END, _BOS_PIECE, _EOS_PIECE = 3, 24, 46, 47  # of TrainerSpec
_CHARACTER_MAP, _SPACE_IN_FRONT, _REMOVES_SPACES, _MARKS_SPACES = 2, 3, 4, 5  # of NormalizerSpec


@dataclass(frozen=True)
class Piece:
    """One entry of the vocabulary."""

    text: str
    score: float
    type: int
    """NORMAL, UNKNOWN, ... of `vocabulary.py`."""


@dataclass(frozen=True)
class SentencePieceModel:
    """A BPE model that changes nothing in a text but its spaces."""

    pieces: list[Piece]
    """By id."""
    space_in_front: bool
    """Whether a text gets a space in front."""
    bos_id: int | None
    eos_id: int | None


def read_model(content: bytes) -> SentencePieceModel:
    """The model in the file whose bytes are `content`.

    Raises:
        ValueError: it is damaged, or of a kind that is not supported; the text says why, as a part of a sentence.
    """
    pieces: list[Piece] = []
    trainer: dict[int, Any] = {_MODEL_TYPE: 1}
    normalizer: dict[int, Any] = {_SPACE_IN_FRONT: 1, _REMOVES_SPACES: 1, _MARKS_SPACES: 1}
    for number, value in protobuf.fields(memoryview(content)):
        if number == 1:
            pieces.append(_piece(dict(protobuf.fields(protobuf.chunk(value)))))
        elif number == 2:
            trainer.update(protobuf.fields(protobuf.chunk(value)))
        elif number == 3:
            normalizer.update(protobuf.fields(protobuf.chunk(value)))
    if trainer[_MODEL_TYPE] != _BPE or not pieces:
        raise ValueError("it is not a BPE model of SentencePiece")
    if normalizer.get(_CHARACTER_MAP) or normalizer[_REMOVES_SPACES] or not normalizer[_MARKS_SPACES]:
        raise ValueError("it changes texts before it cuts them (normalisation or removal of white space)")
    if trainer.get(_SPACE_AT_THE_END):
        raise ValueError("it marks a space at the end of a word")
    control = {piece.text: number for number, piece in enumerate(pieces) if piece.type == CONTROL}
    return SentencePieceModel(
        pieces,
        bool(normalizer[_SPACE_IN_FRONT]),
        control.get(protobuf.text(trainer.get(_BOS_PIECE, memoryview(b"<s>")))),
        control.get(protobuf.text(trainer.get(_EOS_PIECE, memoryview(b"</s>")))),
    )


def _piece(fields: Mapping[int, protobuf.Field]) -> Piece:
    """From the fields of a ModelProto.SentencePiece: 1 the text, 2 the score, 3 the type."""
    if 1 not in fields:
        raise ValueError("it has a piece without a text")
    score = protobuf.numbers(fields[2], _FLOAT) if 2 in fields else np.zeros(1)
    if len(score) != 1 or np.isnan(score[0]):
        raise ValueError("it has a piece whose score is not a number")
    return Piece(protobuf.text(fields[1]), float(score[0]), protobuf.unsigned(fields.get(3, NORMAL)))
