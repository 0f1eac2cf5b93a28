"""TIFF files of many bands become true colours, as tifffile reads them; what is damaged or too large is refused."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edgefuse_runtimes import bands as many
from edgefuse_runtimes.decoding import load_within
from edgefuse_runtimes.errors import BadInput, DoesNotFit
from edgefuse_runtimes.image import load_image, read_picture
from edgefuse_runtimes.machine import AvailableMemory
from edgefuse_runtimes.spec import Preprocess

tifffile = pytest.importorskip("tifffile")

REFLECTANCE = np.linspace(0.02, 0.5, 12)
"""Of each of the bands, in their order."""
PREPROCESS = Preprocess("squash", 4, "bilinear", 4, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def packed(values: np.ndarray, planes: str | None = "contig", **options: Any) -> bytes:
    """A TIFF file of bands (H, W, n)."""
    data = values if planes != "separate" else np.moveaxis(values, -1, 0)
    stream = io.BytesIO()
    tifffile.imwrite(stream, np.ascontiguousarray(data), photometric="minisblack", planarconfig=planes, **options)
    return stream.getvalue()


def even(values: Any, kind: str = "u2") -> np.ndarray:
    """Bands (n,), each the same everywhere, in 5 rows of 6 pixels."""
    values = np.asarray(values).astype(kind)
    return np.broadcast_to(values, (5, 6, len(values)))


def colour(picture: bytes | Path) -> list[int]:
    pixels = np.asarray(load_image(picture))
    assert pixels.shape == (5, 6, 3)
    assert (pixels == pixels[0, 0]).all()
    return pixels[0, 0].tolist()


@pytest.mark.parametrize("planes", ["contig", "separate"])
@pytest.mark.parametrize(("kind", "full"), [("u2", 10_000), ("f4", 1.0), ("f8", 1.0)])
def test_bands_4_3_2_become_red_green_blue(tmp_path: Path, planes: str, kind: str, full: float) -> None:
    path = tmp_path / "image_2016-01-03.tiff"
    path.write_bytes(packed(even(REFLECTANCE * full, kind), planes))
    expected = [round(255 * min(1, 2.5 * REFLECTANCE[band])) for band in (3, 2, 1)]
    assert np.allclose(colour(path), expected, atol=1)
    assert colour(path)[0] > colour(path)[2]


def test_an_encoder_s_description_says_which_bands_are_its_colours() -> None:
    picture = packed(even(np.arange(10, 130, 10), "u1"))
    whole = read_picture(picture, Preprocess(**{**vars(PREPROCESS), "bands": (8, 4, 12)})) * 255
    assert np.allclose(whole.mean(axis=(1, 2)), [80, 40, 120], atol=0.01)
    within = load_within(picture, Preprocess(**{**vars(PREPROCESS), "bands": (8, 4, 12)}), print)
    assert np.asarray(within)[0, 0].tolist() == [80, 40, 120]
    with pytest.raises(BadInput, match="has 12 bands, its colours are the bands 8, 4, 13; check what it is"):
        load_image(picture, bands=(8, 4, 13))


@settings(max_examples=80, deadline=None)
@given(
    kind=st.sampled_from(list(many.WHITE)),
    shape=st.tuples(st.integers(2, 40), st.integers(2, 40), st.integers(7, 13)),
    planes=st.sampled_from(["contig", "separate"]),
    order=st.sampled_from("<>"),
    block=st.sampled_from([{}, {"tile": (16, 16)}, {"tile": (32, 16)}, {"rowsperstrip": 7}]),
    compression=st.sampled_from([None, "lzw", "deflate", "packbits", "zstd"]),
    predictor=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_pixels_are_those_of_tifffile(
    kind: str, shape: tuple[int, int, int], planes: str, order: str, block: dict[str, Any], compression: str | None,
    predictor: bool, seed: int,
) -> None:  # fmt: skip
    values = np.random.default_rng(seed).random(shape) * many.WHITE[kind] * 1.2
    values = values.clip(0, 255 if kind == "u1" else None).astype(kind)
    options = {"byteorder": order, "compression": compression, **block}
    if compression not in (None, "packbits"):
        options["predictor"] = predictor
    data = packed(values, planes, **options)
    read = tifffile.imread(io.BytesIO(data))
    bands = (read if planes == "contig" else np.moveaxis(read, 0, -1)).reshape(shape)
    np.testing.assert_array_equal(bands, values)
    wanted = np.rint((bands[..., [3, 2, 1]].astype(np.float64) * 255 / many.WHITE[kind]).clip(0, 255))
    found = np.asarray(load_image(data)).astype(np.float64)
    assert np.abs(found - wanted).max() <= 1  # 0.5 may be rounded either way
    assert np.mean(found != wanted) < 0.02


def test_8_bits_stay_as_they_are_and_what_is_missing_is_black() -> None:
    assert colour(packed(even(np.arange(10, 130, 10), "u1"))) == [40, 30, 20]
    assert colour(packed(even(np.full(12, np.nan), "f4"))) == [0, 0, 0]
    assert colour(packed(even(np.full(12, 9000)))) == [255, 255, 255]  # bright clouds


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("kind", "value", "wanted"), [("f4", np.inf, 255), ("f8", 1e300, 255), ("f8", -np.inf, 0)])
def test_values_beyond_all_measure_are_white_or_black_without_a_warning(kind: str, value: float, wanted: int) -> None:
    assert colour(packed(even(np.full(12, value), kind))) == [wanted] * 3


@pytest.mark.filterwarnings("ignore::UserWarning")  # of Pillow
@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (packed(even(np.zeros(12), "i4")), "has 12 bands of signed 32-bit numbers, packed by TIFF's method 1; save"),
        (packed(even(np.zeros(12)), compression="lzma"), "packed by TIFF's method 34925; save it with"),
        (packed(even(np.zeros(3), "f4")), "has 3 bands, its colours are the bands 4, 3, 2"),
        (b"II*\0 and no more", "is not a picture that edgefuse can read"),
        (packed(np.zeros((5, 6), "f8"), None), "is not a picture that edgefuse can read"),
    ],
)
def test_what_has_no_true_colours_gets_a_sentence(data: bytes, sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        load_image(data)


NOISE = np.random.default_rng(0).integers(0, 9000, (24, 24, 12), np.uint16)


@pytest.mark.parametrize("damage", [b"", b"\xff" * 40])
def test_a_damaged_file_gets_one_sentence(damage: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    data = packed(NOISE, compression="zlib", metadata=None)
    load_image(data)  # while it is whole
    middle = len(data) // 2
    torn = data[:middle] + damage + (data[middle + 40 :] if damage else b"")
    with pytest.raises(BadInput, match="is damaged and cannot be decoded"):
        load_image(torn)
    assert capfd.readouterr() == ("", "")  # libraries wrote no lines of their own


@pytest.mark.filterwarnings("ignore::UserWarning")  # of Pillow
@settings(max_examples=150, deadline=None)
@given(
    which=st.integers(0, 3),
    changes=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=6),
    end=st.integers(0, 3000),
)
def test_whatever_is_damaged_gives_a_picture_or_a_sentence(
    which: int, changes: list[tuple[int, int]], end: int
) -> None:
    small = NOISE[:8, :9]
    options: list[dict[str, Any]] = [{}, {"tile": (16, 16), "compression": "lzw"}, {"planes": "separate"}, {}]
    data = bytearray(packed(small, metadata=None, **options[which]))
    for place, value in changes:
        data[place] = value
    assert outcome(bytes(data[:end] if which == 3 else data)) in ("RGB", "one sentence")


def outcome(data: bytes) -> str:
    try:
        return load_image(data).mode
    except BadInput as error:
        return "one sentence" if ". " not in str(error) else str(error)


def patched(data: bytes, tag: int, value: int) -> bytes:
    """The file with one number of its description changed."""
    (start,) = struct.unpack_from("<L", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    for place in range(start + 2, start + 2 + 12 * count, 12):
        if struct.unpack_from("<H", data, place) == (tag,):
            return data[: place + 2] + struct.pack("<HLL", 4, 1, value) + data[place + 12 :]
    raise AssertionError(f"no entry {tag}")


def test_what_unpacks_to_too_much_is_refused_before_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    data = packed(even(np.zeros(12)))
    assert "unpacks to over 100 MB; cut it smaller" in refusal(patched(data, many.HEIGHT, 700_000))
    assert "unpacks to over 100 MB" in refusal(patched(data, many.WIDTH, 2**32 - 1))
    monkeypatch.setattr("edgefuse_runtimes.decoding.ALWAYS", 0)
    monkeypatch.setattr("edgefuse_runtimes.decoding.available_memory", lambda: AvailableMemory(1 << 20, "a limit"))
    with pytest.raises(DoesNotFit, match=r"the picture, all bands side by side \(TIFF of 0 megapixels\) needs"):
        load_within(data, PREPROCESS, print)


def refusal(data: bytes) -> str:
    with pytest.raises(BadInput) as caught:
        load_image(data)
    return str(caught.value)


@pytest.mark.parametrize(("tag", "value"), [(many.STRIP_BYTES, 1 << 30), (many.STRIPS, 1 << 30), (many.STRIP_ROWS, 1)])
def test_blocks_that_are_not_there_are_damage(tag: int, value: int) -> None:
    said = refusal(patched(packed(even(np.zeros(12))), tag, value))
    assert "is damaged" in said


def test_the_first_of_bands_one_after_the_other_is_not_taken_for_the_picture() -> None:
    """Pillow would show it."""
    data = packed(even(np.arange(10, 130, 10), "u1"), "separate", compression="lzw")
    assert Image.open(io.BytesIO(data)).mode == "L"
    assert colour(data) == [40, 30, 20]


def test_any_other_picture_is_read_as_before(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4), (1, 2, 3)).save(tmp_path / "plain.tiff")
    assert load_image(tmp_path / "plain.tiff").getpixel((0, 0)) == (1, 2, 3)
    Image.new("1", (20_000, 20_000)).save(tmp_path / "a.tif", compression="group4")
    with pytest.raises(BadInput, match="megapixels"):
        load_image(tmp_path / "a.tif")
