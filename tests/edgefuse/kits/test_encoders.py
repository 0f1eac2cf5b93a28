"""An encoders folder is opened only when it is whole, and its identity is what decides the vectors."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from edgefuse.kits.encoders import SCHEMA, SPECS, Encoders, identity, write_encoders
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.spec import TokenizerFile


@pytest.fixture
def folder(tiny_encoders: Path, tmp_path: Path) -> Path:
    """A copy of the tiny encoders that may be changed."""
    return Path(shutil.copytree(tiny_encoders, tmp_path / "E"))


def test_what_was_written_is_read(tiny_encoders: Path, tmp_path: Path) -> None:
    known = Encoders.open(tiny_encoders)
    for name in (known.image.file, known.text.file):
        shutil.copy(tiny_encoders / name, tmp_path / name)
    write_encoders(tmp_path, known.image, known.text)
    found = Encoders.open(tmp_path)
    assert (found.image, found.text) == (known.image, known.text)
    assert found.file("golden.npz").read_bytes() == known.file("golden.npz").read_bytes()
    assert found.file("golden/7.png").read_bytes() == known.file("golden/7.png").read_bytes()


def test_only_what_decides_a_vector_is_part_of_the_identity(tiny_encoders: Path) -> None:
    image = Encoders.open(tiny_encoders).image
    assert identity(replace(image, licence="MIT", source={"name": "elsewhere"}, recipe={})) == identity(image)
    assert image.preprocess is not None
    for other in (
        replace(image, sha256="0" * 64),
        replace(image, pooling="mean" if image.pooling != "mean" else "first"),
        replace(image, preprocess=replace(image.preprocess, resample="lanczos")),
    ):
        assert identity(other) != identity(image)


def test_the_tokenizers_file_is_part_of_the_identity(tiny_encoders: Path) -> None:
    text = Encoders.open(tiny_encoders).text
    assert "tokenizer" not in identity(text)  # a GGUF file holds its own, and tables made before still fit
    first, second, elsewhere = (
        replace(text, format="onnx", tokenizer=TokenizerFile(name, letter * 64, 8))
        for name, letter in (("tokenizer.json", "1"), ("tokenizer.json", "2"), ("words.json", "1"))
    )
    assert identity(first) != identity(second)
    assert identity(first) == identity(elsewhere)


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(BadInput, match="is not an encoders folder"):
            Encoders.open(folder)


@pytest.mark.parametrize("name", ["image.onnx", "text.gguf", "golden.npz", "golden/5.png", "golden/7.txt"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(BadInput, match=rf"lacks the file {name}; export the encoders again"):
        Encoders.open(folder)


@pytest.mark.parametrize("name", ["image.onnx", "text.gguf"])
def test_a_flipped_bit_is_seen(folder: Path, name: str) -> None:
    data = bytearray((folder / name).read_bytes())
    data[-1] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(BadInput, match=rf"{name} is not the file that was exported \(sha256 differs\)"):
        Encoders.open(folder)


def test_another_schema_is_refused_whatever_else_it_says(folder: Path) -> None:
    (folder / SPECS).write_text(json.dumps({"schema": SCHEMA + 1, "vision": {}}))
    with pytest.raises(BadInput, match=f"has schema {SCHEMA + 1}, this edgefuse reads {SCHEMA}"):
        Encoders.open(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '"encoders"', "\ufeff{}"])
def test_a_list_that_is_no_list_of_encoders_is_refused(folder: Path, text: str) -> None:
    (folder / SPECS).write_text(text)
    with pytest.raises(BadInput, match=r"encoders\.json is damaged"):
        Encoders.open(folder)


@pytest.mark.parametrize("change", [{"image": None}, {"text": {}}, {"text": {"modality": "sound"}}])
def test_a_description_that_says_too_little_is_refused(folder: Path, change: dict[str, object]) -> None:
    (folder / SPECS).write_text(json.dumps(json.loads((folder / SPECS).read_text()) | change))
    with pytest.raises(BadInput, match="description cannot be read"):
        Encoders.open(folder)
