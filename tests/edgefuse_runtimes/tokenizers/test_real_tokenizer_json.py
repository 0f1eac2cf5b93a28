"""The vocabularies of MiniLM (BERT's) and CLIP, on the texts of real data sets."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgefuse.datasets import open_dataset
from edgefuse_runtimes.tokenizers import open_tokenizer

pytestmark = pytest.mark.shared


@pytest.fixture(params=["minilm", "clip"])
def pair(request: pytest.FixtureRequest, shared_checkpoint: Callable[[str], Path]) -> tuple[Any, Any]:
    library = pytest.importorskip("tokenizers", reason="the reference")
    path = shared_checkpoint(request.param) / "tokenizer.json"
    reference = library.Tokenizer.from_file(str(path))
    reference.no_truncation()
    reference.no_padding()
    reference.encode_special_tokens = True
    return open_tokenizer(path), reference


def test_ids_of_notes_and_captions(pair: tuple[Any, Any], shared_folder: Path) -> None:
    ours, reference = pair
    notes = {sample.text for sample in open_dataset("ham10000", shared_folder / "data" / "ham10000-mini").samples}
    with (shared_folder / "data" / "coco-captions-mini" / "captions.csv").open(encoding="utf-8") as file:
        captions = {" ".join(row) for row in csv.reader(file)}
    assert len(notes) > 50
    assert len(captions) > 500
    for text in sorted(notes | captions):
        assert ours.encode(text) == reference.encode(text, add_special_tokens=False).ids, text


def test_ids_of_any_text(pair: tuple[Any, Any], thousand_texts: list[str]) -> None:
    import unicodedata

    ours, reference = pair
    for text in thousand_texts:
        known = "".join(letter for letter in text if unicodedata.category(letter) != "Cn")
        assert ours.encode(known) == reference.encode(known, add_special_tokens=False).ids, ascii(known)


def test_ids_of_long_texts(pair: tuple[Any, Any]) -> None:
    ours, reference = pair
    for text in ("lesion" * 2000, " " * 10_000, "?!" * 5000, "mole, " * 2000, "一" * 10_000):
        assert ours.encode(text) == reference.encode(text, add_special_tokens=False).ids
