"""Real vocabularies of every kind, on the texts of real data sets and on drawn ones."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgefuse.datasets import open_dataset
from edgefuse_runtimes.tokenizers import Tokenizer, open_tokenizer

pytestmark = pytest.mark.shared

Reference = Callable[[list[str]], list[list[int]]]
LONG = ["lesion" * 1600, " " * 10_000, "?!" * 5000, "mole, " * 1600, "一" * 10_000, "😂" * 10_000]


@pytest.fixture(scope="module")
def texts(shared_folder: Path, many_texts: list[str]) -> list[str]:
    """Notes, captions, long texts and drawn ones."""
    notes = {sample.text for sample in open_dataset("ham10000", shared_folder / "data" / "ham10000-mini").samples}
    with (shared_folder / "data" / "coco-captions-mini" / "captions.csv").open(encoding="utf-8") as file:
        captions = {" ".join(row) for row in csv.reader(file)}
    assert len(notes) > 50
    assert len(captions) > 500
    return [*sorted(notes), *sorted(captions), *LONG, *many_texts]


def assert_equal(tokenizer: Tokenizer, reference: Reference, texts: list[str]) -> None:
    for text, ids in zip(texts, reference(texts), strict=True):
        assert tokenizer.encode(text) == ids, ascii(text)[:200]


def of_tokenizers(path: Path) -> Reference:
    """`tokenizers` with special tokens as plain text."""
    library = pytest.importorskip("tokenizers", reason="the reference for a tokenizer.json")
    model = library.Tokenizer.from_file(str(path))
    model.no_truncation()
    model.no_padding()
    model.encode_special_tokens = True
    return lambda texts: [encoding.ids for encoding in model.encode_batch(texts, add_special_tokens=False)]


@pytest.mark.parametrize("name", ["minilm", "clip", "smollm2"])
def test_ids_of_a_tokenizer_json(name: str, shared_checkpoint: Callable[[str], Path], texts: list[str]) -> None:
    path = shared_checkpoint(name) / "tokenizer.json"
    assert_equal(open_tokenizer(path), of_tokenizers(path), texts)


def as_gguf(folder: Path, vocabulary: int, target: Path) -> Path:
    """The tokenizer of a folder as `edgefuse export` writes it."""
    gguf = pytest.importorskip("gguf", reason="the gguf package writes the file to read")
    from edgefuse_export.vocabulary import add_tokenizer

    writer = gguf.GGUFWriter(target, "llama")
    add_tokenizer(writer, folder, vocabulary)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return target


def test_ids_of_smollm2_from_gguf(
    shared_checkpoint: Callable[[str], Path],
    llama_cpp_ids: Callable[[Path, list[str]], list[list[int]]],
    texts: list[str],
    tmp_path: Path,
) -> None:
    path = as_gguf(shared_checkpoint("smollm2"), 49152, tmp_path / "smollm2.gguf")
    assert_equal(open_tokenizer(path), lambda texts: llama_cpp_ids(path, texts), texts)


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory, load_script: Callable[[str], Any]) -> Path:
    """A folder with a real SentencePiece model of 32 000 pieces, of LLaMA's kind; fetched once."""
    folder = tmp_path_factory.mktemp("pieces")
    load_script("bench/compare_llama_export.py").sentencepiece_model(folder / "tokenizer.model")
    return folder


@pytest.mark.real
def test_ids_of_a_tokenizer_model(pieces: Path, texts: list[str]) -> None:
    library = pytest.importorskip("sentencepiece", reason="the reference for a tokenizer.model")
    reference = library.SentencePieceProcessor(model_file=str(pieces / "tokenizer.model"))
    assert_equal(open_tokenizer(pieces / "tokenizer.model"), reference.encode, texts)


@pytest.mark.real
def test_ids_of_a_sentencepiece_vocabulary_from_gguf(
    pieces: Path, llama_cpp_ids: Callable[[Path, list[str]], list[list[int]]], texts: list[str], tmp_path: Path
) -> None:
    path = as_gguf(pieces, 32000, tmp_path / "pieces.gguf")
    assert_equal(open_tokenizer(path), lambda texts: llama_cpp_ids(path, texts), texts)


@pytest.mark.real
def test_ids_of_a_sentencepiece_vocabulary_from_tokenizer_json(
    pieces: Path, as_tokenizer_json: Callable[..., Any], texts: list[str], tmp_path: Path
) -> None:
    library = pytest.importorskip("sentencepiece", reason="it reads the model that becomes a tokenizer.json")
    model = library.SentencePieceProcessor(model_file=str(pieces / "tokenizer.model"))
    path = tmp_path / "tokenizer.json"
    path.write_text(as_tokenizer_json(model).to_str(), encoding="utf-8")
    assert_equal(open_tokenizer(path), of_tokenizers(path), texts)
