"""The tokenizer of a Hugging Face folder, as the `tokenizer.ggml.*` metadata of a GGUF file.

What ends up in the file equals what llama.cpp's convert_hf_to_gguf.py writes wherever an id depends on it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgefuse.extras import importable
from edgefuse_export.sources import read_object
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.tokenizers.bpe import presplit_name
from edgefuse_runtimes.tokenizers.sentencepiece_model import read_model
from edgefuse_runtimes.tokenizers.vocabulary import CONTROL, NORMAL, UNUSED, USER_DEFINED

ADDED_SCORE, UNUSED_SCORE = -1000.0, -10000.0

_NO_BOS_VOCABULARY = 49152
"""The size by which the script knows vocabularies (Granite's, SmolLM's) whose texts never begin with BOS."""

_SPACE = "▁"
_SPECIAL_ENDS = (("<|", "|>"), ("<｜", "｜>"), ("<unused", ">"))


@dataclass
class Token:
    """One entry of a vocabulary."""

    text: str
    score: float
    type: int


def add_tokenizer(writer: Any, folder: Path, vocabulary: int) -> None:
    """Add a folder's tokenizer to a gguf.GGUFWriter: tokenizer.model (SentencePiece), else tokenizer.json.

    Args:
        writer: gets the metadata.
        folder: a Hugging Face folder.
        vocabulary: rows of the embedding matrix; ids beyond the tokenizer's own become unused tokens.

    Raises:
        BadInput: there is no tokenizer, or one whose ids could not be reproduced on the device.
    """
    config_file = folder / "tokenizer_config.json"
    config = read_object(config_file) if config_file.is_file() else {}
    if isinstance(config.get("add_prefix_space"), bool):
        writer.add_add_space_prefix(config["add_prefix_space"])
    if (folder / "tokenizer.model").is_file():
        _understood(folder / "tokenizer.model", lambda: _add_sentencepiece(writer, folder, config, vocabulary))
    elif (folder / "tokenizer.json").is_file():
        _understood(folder / "tokenizer.json", lambda: _add_byte_level(writer, folder, vocabulary))
    else:
        raise BadInput(
            f"{folder} holds neither tokenizer.model nor tokenizer.json; the model's folder is not complete."
        )


def _understood(file: Path, add: Callable[[], None]) -> None:
    try:
        add()
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        reason = f"{type(error).__name__}: {error}" if isinstance(error, KeyError | AttributeError) else str(error)
        raise BadInput(f"{file} is no tokenizer that edgefuse can use ({reason.rstrip('.')}); use another.") from error


def _add_byte_level(writer: Any, folder: Path, vocabulary: int) -> None:
    tokenizer = read_object(folder / "tokenizer.json")
    model = tokenizer["model"]
    if model.get("byte_fallback"):
        raise ValueError("it is a SentencePiece vocabulary, whose tokenizer.model is missing from the folder")
    pre = presplit_name(tokenizer)
    tokens = _unused(vocabulary)
    for text, number in model["vocab"].items():
        _put(tokens, number, Token(text, 0.0, NORMAL))
    for entry in tokenizer.get("added_tokens", []):
        _put(tokens, entry["id"], _added(entry["content"], entry.get("special", False)))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list([token.text for token in tokens])
    writer.add_token_types([token.type for token in tokens])
    _add_special(writer, folder, vocabulary, merges=True)


def _add_sentencepiece(writer: Any, folder: Path, config: dict[str, Any], vocabulary: int) -> None:
    sentencepiece = read_model((folder / "tokenizer.model").read_bytes())
    tokens = _unused(vocabulary)
    for number, piece in enumerate(sentencepiece.pieces):
        _put(tokens, number, Token(piece.text, piece.score, piece.type))
    added_file = folder / "added_tokens.json"
    added = [
        (number, Token(text, ADDED_SCORE, USER_DEFINED))
        for text, number in (read_object(added_file) if added_file.is_file() else {}).items()
    ] + [
        (int(number), _added(entry["content"], entry.get("special", False)))
        for number, entry in config.get("added_tokens_decoder", {}).items()
    ]
    for number, token in added:
        if number < vocabulary:  # some LLaMA-2 folders add a "<pad>" that the embedding matrix has no row for
            _put(tokens, number, token)
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([token.text for token in tokens])
    writer.add_token_scores([token.score for token in tokens])
    writer.add_token_types([token.type for token in tokens])
    if not sentencepiece.space_in_front and "add_prefix_space" not in config:
        writer.add_add_space_prefix(False)
    _add_special(writer, folder, vocabulary, merges=False)


def _unused(count: int) -> list[Token]:
    return [Token(f"[PAD{number}]", UNUSED_SCORE, UNUSED) for number in range(count)]


def _put(tokens: list[Token], number: int, token: Token) -> None:
    if not 0 <= number < len(tokens):
        raise ValueError(
            f"token {token.text!r} has the id {number}, and the model's vocabulary ends at {len(tokens) - 1}"
        )
    tokens[number] = token


def _added(text: str, special: bool) -> Token:
    looks_special = text in ("<pad>", "<mask>", "<2mass>", "[@BOS@]") or any(
        text.startswith(begin) and text.endswith(end) for begin, end in _SPECIAL_ENDS
    )
    if special or looks_special:
        return Token(text, ADDED_SCORE, CONTROL)
    return Token(text.replace(_SPACE, " "), ADDED_SCORE, USER_DEFINED)


def _add_special(writer: Any, folder: Path, vocabulary: int, merges: bool) -> None:
    """Ids of BOS, EOS, ...; whether a text begins with BOS; the merges of a byte-level BPE."""
    gguf = importable("gguf", "export")
    special = gguf.SpecialVocab(folder, load_merges=merges, n_vocab=vocabulary)
    if merges and not special.merges:
        raise ValueError("it holds no merges")
    adds_bos = False if vocabulary == _NO_BOS_VOCABULARY else _begins_with_bos(folder)
    if adds_bos is not None:
        special.add_special_token["bos"] = adds_bos
    special.add_to_gguf(writer, quiet=True)


def _begins_with_bos(folder: Path) -> bool | None:
    """Whether texts begin with BOS; None: what is usual for the kind of vocabulary.

    What tokenizer.json does to a text counts before what the config states: the rule of the script, by which older
    versions of the gguf package do not go.
    """
    config, tokenizer = (
        read_object(folder / name) if (folder / name).is_file() else {}
        for name in ("tokenizer_config.json", "tokenizer.json")
    )
    named = config.get("bos_token"), config.get("cls_token")
    post: Any = tokenizer.get("post_processor") or {}
    done: bool | None = None
    for step in post.get("processors", [post]):
        match step:
            case {"type": "ByteLevel"}:
                done = bool(done)
            case {"type": "RobertaProcessing"}:
                done = True
            case {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": first}}, _, *_]}:
                done = first in named or not all(named)
    stated = config.get("add_bos_token")
    return stated if done is None and isinstance(stated, bool) else done
