"""A tokenizer.model is read as `sentencepiece` reads it, or refused with a sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.tokenizers import open_tokenizer
from edgefuse_runtimes.tokenizers.sentencepiece import SentencePieceBpe
from edgefuse_runtimes.tokenizers.sentencepiece_model import read_model


def test_every_piece_is_read(trained_sentencepiece: Callable[..., Any]) -> None:
    reference = trained_sentencepiece(vocab_size=801, user_defined_symbols=["melanoma"])
    model = read_model(reference.serialized_model_proto())
    numbers = range(reference.vocab_size())
    assert [piece.text for piece in model.pieces] == [reference.id_to_piece(number) for number in numbers]
    assert [piece.score for piece in model.pieces] == [reference.get_score(number) for number in numbers]
    for number, piece in enumerate(model.pieces):
        kinds = (reference.is_unknown(number), reference.is_control(number), reference.is_byte(number))
        assert (piece.type == 2, piece.type == 3, piece.type == 6) == kinds
        assert (piece.type == 4) == (piece.text == "melanoma")
    assert (model.space_in_front, model.bos_id, model.eos_id) == (True, reference.bos_id(), reference.eos_id())


def test_special_tokens_may_be_named_otherwise_or_not_be_there(trained_sentencepiece: Callable[..., Any]) -> None:
    named = read_model(trained_sentencepiece(bos_piece="<start>", bos_id=3, eos_id=-1).serialized_model_proto())
    assert (named.bos_id, named.eos_id, named.pieces[3].text) == (3, None, "<start>")
    without = SentencePieceBpe.from_model(trained_sentencepiece(bos_id=-1).serialized_model_proto(), "tokenizer.model")
    assert (without.bos_id, without.add_bos) == (None, False)


def test_the_file_is_known_by_its_name(trained_sentencepiece: Callable[..., Any], tmp_path: Path) -> None:
    reference = trained_sentencepiece()
    path = tmp_path / "tokenizer.model"
    path.write_bytes(reference.serialized_model_proto())
    assert open_tokenizer(path).encode("a mole") == reference.encode("a mole")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"model_type": "unigram", "vocab_size": 430}, "not a BPE model of SentencePiece"),
        ({"normalization_rule_name": "nmt_nfkc"}, "changes texts before it cuts them"),
        ({"remove_extra_whitespaces": True}, "changes texts before it cuts them"),
        ({"treat_whitespace_as_suffix": True}, "marks a space at the end of a word"),
        ({"byte_fallback": False}, "has no token '<0x00>'"),
    ],
)
def test_other_models_are_refused(
    trained_sentencepiece: Callable[..., Any], options: dict[str, Any], said: str
) -> None:
    content = trained_sentencepiece(**options).serialized_model_proto()
    with pytest.raises(BadInput, match=rf"^tokenizer\.model .*{said}"):
        SentencePieceBpe.from_model(content, "tokenizer.model")


@pytest.mark.parametrize(
    "content", [b"", b"no model", b"\x0a\xff\x01", b"\x0a\x02\x0a\x05", b"\x0a\x00\x12\x02\x18\x02"]
)
def test_what_is_no_model_is_refused(content: bytes) -> None:
    with pytest.raises(BadInput, match=r"^tokenizer\.model is no SentencePiece model that edgefuse can use"):
        SentencePieceBpe.from_model(content, "tokenizer.model")


@settings(deadline=None)
@given(edits=st.lists(st.tuples(st.integers(0, 20_000), st.binary(min_size=1, max_size=3)), min_size=1, max_size=4))
def test_a_damaged_model_is_read_or_refused(whole: bytes, edits: list[tuple[int, bytes]]) -> None:
    content = bytearray(whole)
    for place, piece in edits:
        at = place % len(content)
        content[at : at + len(piece)] = piece
    try:
        SentencePieceBpe.from_model(bytes(content), "tokenizer.model").encode("A mole. Ein Muttermal")
    except BadInput:
        return


@pytest.fixture(scope="module")
def whole(trained_sentencepiece: Callable[..., Any]) -> bytes:
    content: bytes = trained_sentencepiece().serialized_model_proto()
    return content
