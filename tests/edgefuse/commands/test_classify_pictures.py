"""`edgefuse classify`: pictures that are turned, converted or refused."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

NOTE = "Age: 45 years. Sex: male. Localization: trunk."

Answer = Callable[..., dict[str, Any]]


def saved(path: Path, image: Image.Image, **options: Any) -> Path:
    image.save(path, **options)
    return path


def colours(picture: Path) -> Image.Image:
    return Image.open(picture).convert("RGB")


def test_a_photo_with_an_orientation_gets_the_answer_of_the_upright_one(
    answer: Answer, picture: Path, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it
    lying = colours(picture).transpose(Image.Transpose.ROTATE_90)
    turned, unturned = saved(tmp_path / "turned.png", lying, exif=exif), saved(tmp_path / "lying.png", lying)
    assert answer(turned)["probabilities"] == answer(picture)["probabilities"]
    assert answer(unturned)["probabilities"] != answer(picture)["probabilities"]


def deep(image: Image.Image) -> Image.Image:
    return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)


@pytest.mark.parametrize(
    ("name", "convert", "twin"),
    [
        ("grey.png", lambda image: image.convert("L"), lambda image: image.convert("L").convert("RGB")),
        ("rgba.png", lambda image: image.convert("RGBA"), lambda image: image),
        ("cmyk.tif", lambda image: image.convert("CMYK"), lambda image: image.convert("CMYK").convert("RGB")),
        ("cmyk.jpg", lambda image: image.convert("CMYK"), None),
        ("16-bit.png", deep, lambda image: image.convert("L").convert("RGB")),
    ],
)
def test_other_kinds_of_pictures_get_the_answer_of_their_rgb_twin(
    answer: Answer, picture: Path, tmp_path: Path, name: str, convert: Any, twin: Any
) -> None:
    file = saved(tmp_path / name, convert(colours(picture)))
    same = Image.open(file).convert("RGB") if twin is None else twin(colours(picture))
    assert answer(file)["probabilities"] == answer(saved(tmp_path / "twin.png", same))["probabilities"]


@pytest.mark.parametrize("planes", ["contig", "separate"])
def test_a_satellite_s_bands_get_the_answer_of_their_true_colours(
    answer: Answer, picture: Path, tmp_path: Path, planes: str
) -> None:
    tifffile = pytest.importorskip("tifffile")
    pixels = np.asarray(colours(picture))  # (H, W, 3)
    bands = np.repeat(pixels[..., :1] // 2, 12, axis=2)  # (H, W, 12)
    bands[..., [3, 2, 1]] = pixels
    data = bands if planes == "contig" else np.moveaxis(bands, 2, 0)
    options = {"photometric": "minisblack", "planarconfig": planes, "compression": "deflate", "predictor": True}
    tifffile.imwrite(tmp_path / "week.tiff", np.ascontiguousarray(data), **options)
    assert answer(tmp_path / "week.tiff")["probabilities"] == answer(picture)["probabilities"]


def test_a_missing_picture(refusal: Callable[..., str], tmp_path: Path) -> None:
    assert refusal(tmp_path / "no.jpg") == f"There is no picture at {tmp_path / 'no.jpg'}; check the path."


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("half.jpg", "half", "half.jpg is damaged and cannot be decoded"),
        ("letter.jpg", b"Dear doctor,\nhere is the picture.\n", "letter.jpg is not a picture that edgefuse can read"),
        ("empty.png", b"", "empty.png is empty (0 bytes); take or copy the picture again."),
    ],
)
def test_an_unreadable_picture(
    refusal: Callable[..., str], picture: Path, tmp_path: Path, name: str, content: bytes | str, said: str
) -> None:
    if content == "half":
        whole = io.BytesIO()
        colours(picture).save(whole, "JPEG")
        content = whole.getvalue()[: len(whole.getvalue()) // 2]
    (tmp_path / name).write_bytes(content)
    sentence = refusal(tmp_path / name)
    assert sentence.startswith(f"{tmp_path}/{said}")
    assert sentence.count(";") == 1  # what to do


def test_a_picture_over_100_megapixels(tiny_kit: Path, tmp_path: Path) -> None:
    huge = saved(tmp_path / "huge.png", Image.new("1", (10_001, 10_000)))
    arguments = ["classify", str(huge), "--note", NOTE, "--kit", str(tiny_kit), "--engine", "numpy"]
    command = [sys.executable, "-m", "edgefuse", *arguments]  # on its own: Pillow's warning would be a second line
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"edgefuse: {huge} has over 100 megapixels; make the picture smaller first.\n"


def test_a_folder_is_no_picture(refusal: Callable[..., str], tmp_path: Path) -> None:
    assert "is a folder, not a picture" in refusal(tmp_path)
