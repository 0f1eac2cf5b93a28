"""Golden samples are the same wherever they are drawn, with the vectors that numpy gives for them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgefuse.datasets.drawn import draw
from edgefuse.kits.encoders import FIRST_SEED, Encoders
from edgefuse.kits.golden import COUNT, NOTES, PICTURES, VECTORS, golden_vectors, probe_sample
from edgefuse_runtimes.encoder import encode_notes, encode_pictures, open_encoder
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.tokenizers import open_tokenizer


@pytest.fixture
def encoders(tiny_encoders: Path, tmp_path: Path) -> Encoders:
    """A copy of the tiny encoders that may be changed."""
    return Encoders.open(Path(shutil.copytree(tiny_encoders, tmp_path / "E")))


def test_pictures_and_notes_are_drawn_samples_of_their_seeds(encoders: Encoders) -> None:
    for index in range(COUNT):
        drawn = draw(FIRST_SEED + index)
        np.testing.assert_array_equal(Image.open(encoders.file(PICTURES[index])), drawn.image)
        assert encoders.file(NOTES[index]).read_text().rstrip("\n") == drawn.note


@pytest.mark.parametrize(("modality", "engine"), [("image", "onnxruntime"), ("image", "numpy"), ("text", "numpy")])
def test_the_stored_vectors_are_those_of_the_encoders(encoders: Encoders, modality: str, engine: str) -> None:
    if engine == "onnxruntime":
        pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (extra export)")
    spec = getattr(encoders, modality)
    with open_encoder(spec, encoders.folder, engine=engine) as encoder:
        if modality == "image":
            found = encode_pictures(encoder, [encoders.file(name) for name in PICTURES])  # (k, d_i)
        else:
            notes = [encoders.file(name).read_text() for name in NOTES]
            found, _ = encode_notes(encoder, open_tokenizer(encoders.file(spec.file)), notes)  # (k, d_t)
    stored = golden_vectors(encoders.file, spec)
    assert stored.shape == (COUNT, spec.width)
    np.testing.assert_allclose(found, stored, rtol=0, atol=1e-5 * float(np.abs(stored).max()))


@pytest.mark.parametrize("modality", ["image", "text"])
def test_the_probe_sample_is_the_first_one_with_its_vector(encoders: Encoders, modality: str) -> None:
    spec = getattr(encoders, modality)
    sample = probe_sample(encoders.file, spec)()
    stored = golden_vectors(encoders.file, spec)
    with open_encoder(spec, encoders.folder, engine="numpy") as encoder:
        found = encoder.encode(sample.batch)[0]  # (d,)
    np.testing.assert_allclose(found, stored[0], rtol=0, atol=1e-5 * float(np.abs(stored).max()))
    np.testing.assert_array_equal(sample.expected, stored[0])
    np.testing.assert_allclose(sample.centre, stored.mean(axis=0), rtol=1e-6)


@pytest.mark.parametrize("content", [None, b"", b"no archive", b"PK\x03\x04 half an archive", b"\x93NUMPY\x01\x00"])
def test_vectors_that_cannot_be_read_are_named(encoders: Encoders, content: bytes | None) -> None:
    encoders.file(VECTORS).unlink()
    if content is not None:
        encoders.file(VECTORS).write_bytes(content)
    with pytest.raises(BadInput, match=r"golden\.npz cannot be read .*; make or copy the folder again"):
        golden_vectors(encoders.file, encoders.image)


def test_one_plain_array_is_no_archive_of_vectors(encoders: Encoders) -> None:
    with encoders.file(VECTORS).open("wb") as file:
        np.save(file, np.zeros((COUNT, 24), np.float32))
    with pytest.raises(BadInput, match="cannot be read"):
        golden_vectors(encoders.file, encoders.image)


VECTORS_OF_24 = np.ones((COUNT, 24), np.float32)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"text": VECTORS_OF_24}, "are not 8 image vectors of width 24"),
        ({"image": VECTORS_OF_24[1:]}, "are not 8 image vectors of width 24"),
        ({"image": VECTORS_OF_24[:, 1:]}, "are not 8 image vectors of width 24"),
        ({"image": VECTORS_OF_24[0]}, "are not 8 image vectors of width 24"),
        ({"image": VECTORS_OF_24.astype(np.float64)}, "are not 8 image vectors of width 24"),
        ({"image": VECTORS_OF_24 * np.nan}, "hold NaN or infinite numbers"),
        ({"image": np.array([{}], dtype=object)}, "cannot be read"),
    ],
)
def test_other_arrays_are_refused(encoders: Encoders, arrays: dict[str, np.ndarray], said: str) -> None:
    np.savez(encoders.file(VECTORS), **arrays)
    with pytest.raises(BadInput, match=said):
        golden_vectors(encoders.file, encoders.image)


def test_a_golden_note_that_is_no_text_is_named(encoders: Encoders) -> None:
    encoders.file(NOTES[0]).write_bytes(b"Age: \x80")
    with pytest.raises(BadInput, match=r"The golden note .*0\.txt cannot be read \(.*0x80.*\); make or copy"):
        probe_sample(encoders.file, encoders.text)()
