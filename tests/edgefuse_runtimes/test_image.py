"""Pictures of every common kind are decoded, upright."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgefuse_runtimes.image import load_image, views


def picture(width: int, height: int, seed: int = 0) -> Image.Image:
    """Soft random colours, as in a photograph; every corner differs."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def difference(a: Image.Image, b: Image.Image) -> int:
    assert a.mode == b.mode == "RGB"
    assert a.size == b.size
    return int(np.abs(np.asarray(a, np.int16) - np.asarray(b, np.int16)).max())


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


def test_eight_views_are_those_of_all_orientations_and_the_first_are_fewer_views() -> None:
    pixels = np.asarray(picture(32, 32), np.float32).transpose(2, 0, 1)  # (3, 32, 32)
    eight = views(pixels, 8)
    turned = [stored_as(pixels.transpose(1, 2, 0)).transpose(2, 0, 1) for stored_as in STORED.values()]
    assert sorted(view.tobytes() for view in eight) == sorted(view.tobytes() for view in turned)
    for count, orientations in ((1, (1,)), (2, (1, 2)), (4, (1, 2, 4, 3))):
        np.testing.assert_array_equal(views(pixels, count), eight[:count])
        np.testing.assert_array_equal(eight[:count], [turned[number - 1] for number in orientations])
