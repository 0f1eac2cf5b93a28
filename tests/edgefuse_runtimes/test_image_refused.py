"""What is no whole picture of a known kind becomes one sentence."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.image import load_image


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def png(width: int, height: int, depth: int, colour: int, data: bytes) -> bytes:
    """A PNG whose header says what it is told to."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def refusal(given: object) -> str:
    with pytest.raises(BadInput) as caught:
        load_image(given)  # type: ignore[arg-type]
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    return sentence


def test_missing_folder_empty_and_text_file(tmp_path) -> None:
    empty, text = tmp_path / "empty.jpg", tmp_path / "notes.jpg"
    empty.touch()
    text.write_text("Age: 45 years.")

    assert "There is no picture" in refusal(tmp_path / "missing.jpg")
    assert "is a folder" in refusal(tmp_path)
    assert "is empty" in refusal(empty)
    assert "is not a picture" in refusal(text)
    assert str(text) in refusal(str(text))
    assert "is empty" in refusal(b"")
    assert "is not a picture" in refusal(b"Age: 45 years.")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP"])
@pytest.mark.parametrize("part", [0.2, 0.5, 0.9])
def test_a_half_copied_picture_is_refused(kind, part, tmp_path) -> None:
    whole = encoded(noise(120, 90), kind)
    path = tmp_path / "half"
    path.write_bytes(whole[: int(len(whole) * part)])

    assert str(path) in refusal(path)


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch) -> None:
    def locked(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")  # simulated: root may read every file

    path = tmp_path / "locked.png"
    noise(6, 4).save(path)
    monkeypatch.setattr(Image, "open", locked)

    assert "permission" in refusal(path)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("size", [(10_001, 10_000), (15_000, 12_000), (60_000, 60_000), (2**31 - 1, 1)])
def test_over_100_megapixels_is_refused_before_decoding(size, monkeypatch) -> None:
    def never(self: ImageFile.ImageFile) -> None:
        raise AssertionError("decoding began")

    monkeypatch.setattr(ImageFile.ImageFile, "load", never)

    assert "100 megapixels" in refusal(png(*size, depth=1, colour=0, data=b"\0"))


def test_a_header_that_lies_is_refused() -> None:
    assert "damaged" in refusal(png(9_000, 9_000, depth=1, colour=0, data=b"\0" * 50))


def test_values_beyond_16_bits_and_floats_are_refused() -> None:
    assert "beyond 16 bits" in refusal(encoded(Image.fromarray(np.full((4, 4), 70_000, np.int32)), "TIFF"))
    assert "beyond 16 bits" in refusal(encoded(Image.fromarray(np.full((4, 4), -1, np.int32)), "TIFF"))
    assert "floating-point" in refusal(encoded(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF"))


def small_pictures() -> list[bytes]:
    image, exif = noise(40, 32), Image.Exif()
    exif[0x0112] = 6  # turned
    rgb = [encoded(image, kind, exif=exif) for kind in ("JPEG", "PNG", "WEBP", "TIFF")]
    tiff = [encoded(image, "TIFF", compression=name) for name in ("tiff_lzw", "tiff_adobe_deflate", "jpeg")]
    others = [encoded(image, kind) for kind in ("GIF", "BMP", "PPM")]
    grey = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    return [*rgb, *tiff, *others, encoded(grey, "PNG"), encoded(image.convert("RGBA"), "PNG")]


WHOLE = small_pictures()
EDIT = st.tuples(
    st.sampled_from(["set", "cut", "put"]),
    st.one_of(st.integers(0, 200), st.integers(0, 4000)),
    st.one_of(st.binary(min_size=1, max_size=4), st.sampled_from([b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff"])),
)


@settings(max_examples=400, deadline=None)
@given(whole=st.sampled_from(WHOLE), edits=st.lists(EDIT, min_size=1, max_size=4))
def test_mutated_pictures_are_decoded_or_refused(whole, edits) -> None:
    data = bytearray(whole)
    for what, place, piece in edits:
        at = place % (len(data) + 1)
        if what == "cut":
            del data[at:]
        else:
            data[at : at + (len(piece) if what == "set" else 0)] = piece
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's remarks on damaged metadata
        try:
            image = load_image(bytes(data))
        except BadInput:
            return
    assert image.mode == "RGB"
    assert np.asarray(image).shape == (image.height, image.width, 3)


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (0, 0)])
def test_a_picture_without_pixels_is_refused(size) -> None:
    with pytest.raises(BadInput, match="has no pixels"):
        load_image(Image.new("RGB", size))


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate"])
def test_a_broken_tiff_is_told_once(tmp_path: Path, capfd: pytest.CaptureFixture[str], compression: str) -> None:
    """Its decoder would write lines of its own to stderr, past Python."""
    path = tmp_path / "broken.tif"
    noise(64, 64).save(path, compression=compression)
    content = bytearray(path.read_bytes())
    content[200:2000] = bytes(1800)
    path.write_bytes(bytes(content))
    with pytest.raises(BadInput, match="is damaged and cannot be decoded"):
        load_image(path)
    assert capfd.readouterr() == ("", "")
