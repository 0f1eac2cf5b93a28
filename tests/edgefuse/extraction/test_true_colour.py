import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgefuse.extraction.true_colour import opened, true_colours
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.image import load_image

tifffile = pytest.importorskip("tifffile")

REFLECTANCE = np.linspace(0.02, 0.5, 12)
"""Of each of the bands, in their order."""


def write(path: Path, values: np.ndarray, planes: str = "contig") -> Path:
    """Twelve bands (12,), each the same everywhere, in a TIFF of 6 x 5 pixels."""
    bands = np.broadcast_to(values, (5, 6, len(values)))
    data = bands if planes == "contig" else np.moveaxis(bands, -1, 0)
    tifffile.imwrite(path, np.ascontiguousarray(data), photometric="minisblack", planarconfig=planes)
    return path


def colour(path: Path) -> list[int]:
    pixels = np.asarray(load_image(opened(path)))
    assert pixels.shape == (5, 6, 3)
    assert (pixels == pixels[0, 0]).all()
    return pixels[0, 0].tolist()


@pytest.mark.parametrize("planes", ["contig", "separate"])
@pytest.mark.parametrize(("kind", "full"), [("u2", 10_000), ("f4", 1.0), ("f8", 1.0)])
def test_bands_4_3_2_become_red_green_blue(tmp_path: Path, planes: str, kind: str, full: float) -> None:
    path = write(tmp_path / "image_2016-01-03.tiff", (REFLECTANCE * full).astype(kind), planes)
    expected = [round(255 * min(1, 2.5 * REFLECTANCE[band])) for band in (3, 2, 1)]
    assert np.allclose(colour(path), expected, atol=1)
    assert colour(path)[0] > colour(path)[2]


@pytest.mark.parametrize("compression", ["lzw", "deflate", "packbits"])
def test_files_that_are_compressed_are_read(tmp_path: Path, compression: str) -> None:
    bands = np.broadcast_to((REFLECTANCE * 10_000).astype("u2"), (5, 6, 12))
    settings = {"photometric": "minisblack", "planarconfig": "contig", "compression": compression}
    tifffile.imwrite(tmp_path / "a.tiff", bands, predictor=compression != "packbits", **settings)
    assert colour(tmp_path / "a.tiff") == colour(write(tmp_path / "b.tiff", bands[0, 0]))


def test_8_bits_stay_as_they_are_and_what_is_missing_is_black(tmp_path: Path) -> None:
    assert colour(write(tmp_path / "a.tif", np.arange(10, 130, 10, dtype="u1"))) == [40, 30, 20]
    assert colour(write(tmp_path / "b.tif", np.full(12, np.nan, "f4"))) == [0, 0, 0]


def test_bright_clouds_are_white(tmp_path: Path) -> None:
    assert colour(write(tmp_path / "a.tif", np.full(12, 9000, "u2"))) == [255, 255, 255]


def test_any_other_picture_is_left_to_the_picture_reader(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "plain.tiff")
    for picture in (tmp_path / "plain.tiff", tmp_path / "none.tiff", tmp_path / "a.jpg", b"bytes"):
        assert opened(picture) is picture


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_a_file_that_is_none_gets_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "broken.tiff").write_bytes(b"II*\0 and no more")
    with pytest.raises(BadInput, match=r"broken\.tiff is not a TIFF file that can be read"):
        opened(tmp_path / "broken.tiff")
    tifffile.imwrite(tmp_path / "flat.tiff", np.zeros((4, 5), "i8"))
    with pytest.raises(BadInput, match=r"int64 in the shape \(4, 5\), not at least four bands"):
        true_colours(tmp_path / "flat.tiff")


@pytest.mark.parametrize("damage", [b"", b"\xff" * 40])
def test_a_damaged_file_gets_one_sentence(tmp_path: Path, damage: bytes, caplog: pytest.LogCaptureFixture) -> None:
    noise = np.random.default_rng(0).integers(0, 9000, (40, 40, 12), np.uint16)
    path = tmp_path / "a.tiff"
    tifffile.imwrite(path, noise, photometric="minisblack", planarconfig="contig", compression="zlib")
    data = path.read_bytes()
    opened(path)  # while it is whole
    path.write_bytes(data[: len(data) // 2] + damage + (data[len(data) // 2 + 40 :] if damage else b""))
    with pytest.raises(BadInput, match=r"a\.tiff is not a TIFF file that can be read"):
        opened(path)
    assert not caplog.records  # lines of the libraries' own


def test_a_picture_of_too_many_pixels_is_refused_by_the_picture_reader(tmp_path: Path) -> None:
    Image.new("1", (20_000, 20_000)).save(tmp_path / "a.tif", compression="group4")
    assert opened(tmp_path / "a.tif") == tmp_path / "a.tif"
    with pytest.raises(BadInput, match="megapixels"):
        load_image(tmp_path / "a.tif")


def test_a_file_that_unpacks_to_too_much_is_refused_before_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.tif", np.zeros(12, "u2"))
    monkeypatch.setattr("edgefuse.extraction.true_colour.MAX_VALUES", 359)
    with pytest.raises(BadInput, match=r"a\.tif holds 360 values, over 359; cut it smaller"):
        opened(path)


def test_without_tifffile_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.tif", np.zeros(12, "u2"))
    monkeypatch.setitem(sys.modules, "tifffile", None)
    with pytest.raises(BadInput, match=r"pip install 'edgefuse\[geotiff\]'"):
        opened(path)
