"""Pictures of every common kind are decoded, upright; everything else becomes one sentence."""

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


def picture(width: int, height: int, seed: int = 0) -> Image.Image:
    """Soft random colours, as in a photograph; every corner differs."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def difference(a: Image.Image, b: Image.Image) -> int:
    assert a.mode == b.mode == "RGB"
    assert a.size == b.size
    return int(np.abs(np.asarray(a, np.int16) - np.asarray(b, np.int16)).max())


def png(width: int, height: int, depth: int, colour: int, data: bytes) -> bytes:
    """A PNG whose header says what it is told to."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


# Kinds of pictures


UPRIGHT = picture(96, 64)
STORED = {  # what EXIF 2.32, 4.6.4 says of row 0 and column 0 of the stored picture, for each orientation
    1: lambda v: v,  # top, left
    2: lambda v: v[:, ::-1],  # top, right
    3: lambda v: v[::-1, ::-1],  # bottom, right
    4: lambda v: v[::-1],  # bottom, left
    5: lambda v: v.swapaxes(0, 1),  # left, top
    6: lambda v: v[:, ::-1].swapaxes(0, 1),  # right, top
    7: lambda v: v[::-1, ::-1].swapaxes(0, 1),  # right, bottom
    8: lambda v: v[::-1].swapaxes(0, 1),  # left, bottom
}


def stored(orientation: int) -> tuple[Image.Image, Image.Exif]:
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = STORED[orientation](np.asarray(UPRIGHT))
    return Image.fromarray(np.ascontiguousarray(pixels)), exif


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_photograph_is_turned_upright(orientation, tmp_path) -> None:
    turned, exif = stored(orientation)
    path = tmp_path / "turned.jpg"
    turned.save(path, quality=95, subsampling=0, exif=exif)

    assert difference(load_image(path), UPRIGHT) <= 6


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_other_formats_are_turned_once(kind, orientation) -> None:
    turned, exif = stored(orientation)
    options = {"lossless": True} if kind == "WEBP" else {}

    assert difference(load_image(encoded(turned, kind, exif=exif, **options)), UPRIGHT) == 0


def test_an_opened_picture_is_turned_too() -> None:
    turned, exif = stored(6)
    with Image.open(io.BytesIO(encoded(turned, "PNG", exif=exif))) as opened:
        assert difference(load_image(opened), UPRIGHT) == 0


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_means_nothing_is_ignored(orientation) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation

    assert difference(load_image(encoded(UPRIGHT, "PNG", exif=exif)), UPRIGHT) == 0


def test_exif_data_that_cannot_be_written_again_is_no_obstacle() -> None:
    """A camera's date that is no text: reading the orientation is all we need of the EXIF data."""
    exif = struct.pack("<2sHIH", b"II", 42, 8, 2)
    exif += struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)
    exif += struct.pack("<HHII", 0x0132, 3, 1, 7) + struct.pack("<I", 0)  # DateTime, as a number
    turned, _ = stored(6)

    assert difference(load_image(encoded(turned, "PNG", exif=b"Exif\0\0" + exif)), UPRIGHT) == 0


GREY = UPRIGHT.convert("L")


@pytest.mark.parametrize(
    ("kind", "image", "tolerance"),
    [
        ("JPEG", GREY, 6),
        ("PNG", GREY, 0),
        ("TIFF", GREY, 0),
        ("BMP", GREY, 0),
        ("PNG", UPRIGHT.convert("RGBA"), 0),
        ("PNG", GREY.convert("LA"), 0),
        ("WEBP", UPRIGHT, 40),
        ("PPM", UPRIGHT, 0),
        ("TIFF", UPRIGHT.convert("CMYK"), 1),
        ("JPEG", UPRIGHT.convert("CMYK"), 10),
    ],
)
def test_kinds_become_rgb(kind, image, tolerance) -> None:
    expected = GREY.convert("RGB") if image.mode in ("L", "LA") else UPRIGHT

    assert difference(load_image(encoded(image, kind)), expected) <= tolerance


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_grey_keeps_its_range(kind) -> None:
    levels = np.arange(256, dtype=np.uint16).reshape(16, 16) * 257  # 0 .. 65535

    image = load_image(encoded(Image.fromarray(levels), kind))

    np.testing.assert_array_equal(np.asarray(image), np.repeat(levels[..., None] // 257, 3, axis=2))


def test_big_endian_16_bit_tiff_keeps_its_range() -> None:
    levels = np.arange(256, dtype=">u2").reshape(16, 16) * 257
    values = levels.astype(">u2").tobytes()
    tags = [
        (256, 16),
        (257, 16),
        (258, 16),
        (259, 1),
        (262, 1),
        (273, 8),
        (277, 1),
        (278, 16),
        (279, len(values)),
    ]
    folder = struct.pack(">H", len(tags))
    folder += b"".join(struct.pack(">HHII", tag, 4, 1, value) for tag, value in tags) + bytes(4)
    tiff = struct.pack(">2sHI", b"MM", 42, 8 + len(values)) + values + folder

    image = load_image(tiff)

    np.testing.assert_array_equal(np.asarray(image)[..., 0], np.arange(256).reshape(16, 16))


def test_16_bit_grey_png_equals_its_8_bit_twin() -> None:
    twin = np.asarray(GREY).astype(np.uint16) * 257

    assert difference(load_image(encoded(Image.fromarray(twin), "PNG")), GREY.convert("RGB")) == 0


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_becomes_white(mode) -> None:
    red = Image.new("RGBA", (8, 8), (255, 0, 0, 255))
    red.paste((255, 0, 0, 0), (0, 0, 4, 8))
    if mode == "P":
        image, options = Image.new("P", (8, 8), 1), {"transparency": 0}
        image.putpalette([9, 9, 9, 255, 0, 0])
        image.paste(0, (0, 0, 4, 8))
    else:
        image, options = red.convert(mode), {}

    pixels = np.asarray(load_image(encoded(image, "PNG", **options)))

    assert (pixels[:, :4] == 255).all()
    assert tuple(pixels[0, 7]) == ((76, 76, 76) if mode == "LA" else (255, 0, 0))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_of_a_large_picture_is_laid_on_white_alike_in_every_strip(mode) -> None:
    rng = np.random.default_rng(5)
    full = Image.fromarray(rng.integers(0, 256, (150, 70, 4), dtype=np.uint8))
    image = full.quantize(100) if mode == "P" else full.convert(mode)

    straight = image.convert("RGBA")
    expected = Image.alpha_composite(Image.new("RGBA", image.size, "white"), straight).convert("RGB")

    assert load_image(encoded(image, "PNG")).tobytes() == expected.tobytes()


def test_half_transparent_is_mixed_with_white() -> None:
    image = Image.new("RGBA", (2, 2), (0, 0, 0, 128))

    assert np.asarray(load_image(image))[0, 0] == pytest.approx([127] * 3, abs=1)


def test_one_bit_and_animated_pictures() -> None:
    stripes = np.zeros((8, 8), bool)
    stripes[::2] = True
    first, second = Image.new("RGB", (8, 8), "blue"), Image.new("RGB", (8, 8), "red")

    assert np.asarray(load_image(encoded(Image.fromarray(stripes), "PNG")))[:2, 0, 0].tolist() == [255, 0]
    animated = encoded(first, "GIF", save_all=True, append_images=[second])
    assert np.asarray(load_image(animated))[0, 0].tolist() == [0, 0, 255]


def test_a_phone_jpeg_with_two_pictures_is_its_first() -> None:
    both = encoded(UPRIGHT, "MPO", save_all=True, append_images=[picture(96, 64, seed=9)], quality=95)

    assert difference(load_image(both), UPRIGHT) <= 40


@pytest.mark.parametrize("form", [Path, str, bytes, "image"])
def test_path_text_bytes_and_image_give_the_same(form, tmp_path) -> None:
    path = tmp_path / "picture.png"
    UPRIGHT.save(path)
    given = path.read_bytes() if form is bytes else Image.open(path) if form == "image" else form(path)

    assert difference(load_image(given), UPRIGHT) == 0


# Bad input: one sentence


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
    UPRIGHT.save(path)
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
    image, (turned, exif) = UPRIGHT.resize((40, 32)), stored(6)
    rgb = [encoded(turned.resize((40, 32)), kind, exif=exif) for kind in ("JPEG", "PNG", "WEBP", "TIFF")]
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
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(path, compression=compression)
    content = bytearray(path.read_bytes())
    content[200:2000] = bytes(1800)
    path.write_bytes(bytes(content))
    with pytest.raises(BadInput, match="is damaged and cannot be decoded"):
        load_image(path)
    assert capfd.readouterr() == ("", "")
