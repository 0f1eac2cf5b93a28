"""preprocessor_config.json, in the forms that image processors write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgefuse_export.preprocessing import DINOV2, read_preprocess, squashed
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.image import prepare
from edgefuse_runtimes.spec import Preprocess

BIT: dict[str, Any] = {
    "do_resize": True,
    "size": {"shortest_edge": 256},
    "resample": 3,
    "do_center_crop": True,
    "crop_size": {"height": 224, "width": 224},
    "do_rescale": True,
    "rescale_factor": 0.00392156862745098,
    "do_normalize": True,
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
}
VIT: dict[str, Any] = {
    "do_resize": True,
    "size": {"height": 224, "width": 224},
    "resample": 2,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
}


def write(folder: Path, settings: Any) -> Path:
    file = folder / "preprocessor_config.json"
    file.write_text(json.dumps(settings))
    return file


def test_bit_image_processor(tmp_path: Path) -> None:
    assert read_preprocess(write(tmp_path, BIT)) == DINOV2


def test_vit_image_processor_squashes(tmp_path: Path) -> None:
    expected = Preprocess("squash", 224, "bilinear", 224, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert read_preprocess(write(tmp_path, VIT)) == expected


def test_a_squashed_picture_is_seen_whole_at_the_crop_size() -> None:
    settings = squashed(DINOV2)
    assert settings == Preprocess("squash", 224, "bicubic", 224, DINOV2.mean, DINOV2.std)
    wide = Image.new("RGB", (600, 300))
    wide.paste("white", (0, 0, 30, 300))  # lies outside of the centre crop
    seen, cropped = prepare(wide, settings), prepare(wide, DINOV2)
    expected = np.asarray(wide.resize((224, 224), Image.Resampling.BICUBIC), np.float32).transpose(2, 0, 1) / 255
    mean, std = np.array(DINOV2.mean)[:, None, None], np.array(DINOV2.std)[:, None, None]
    np.testing.assert_allclose(seen * std + mean, expected, atol=1e-6)
    assert np.ptp(cropped, axis=(1, 2)).max() == 0


def test_sizes_may_be_plain_numbers_and_normalisation_may_be_off(tmp_path: Path) -> None:
    settings = BIT | {"size": 224, "crop_size": 224, "do_normalize": False}
    read = read_preprocess(write(tmp_path, settings))
    assert (read.resize, read.size, read.crop) == ("shortest", 224, 224)
    assert (read.mean, read.std) == ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


@pytest.mark.parametrize("settings", [BIT, VIT, BIT | {"size": {"shortest_edge": 224}, "resample": 2}])
def test_pictures_are_prepared_as_by_transformers(tmp_path: Path, settings: dict[str, Any]) -> None:
    transformers = pytest.importorskip("transformers", reason="transformers is not installed (export-torch)")
    kind = transformers.ViTImageProcessor if settings is VIT else transformers.BitImageProcessor
    pixels = np.random.default_rng(0).integers(0, 256, (300, 411, 3), np.uint8)
    expected = kind(**settings)(Image.fromarray(pixels), return_tensors="np")["pixel_values"][0]
    ours = prepare(Image.fromarray(pixels), read_preprocess(write(tmp_path, settings)))
    np.testing.assert_allclose(ours, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"do_resize": False}, "do_resize is false"),
        ({"rescale_factor": 1 / 127.5}, "not scaled by 1/255"),
        ({"do_rescale": False}, "not scaled by 1/255"),
        ({"crop_size": {"height": 224, "width": 200}}, "is not square"),
        ({"crop_size": {"height": 300, "width": 300}}, "does not give one square input"),
        ({"do_center_crop": False}, "does not give one square input"),
        ({"resample": 5}, "5"),
        ({"size": {"longest_edge": 256}}, "height"),
        ({"image_mean": [0.5, 0.5]}, "not enough values"),
        ({"image_std": [0.5, 0.5, float("nan")]}, "not finite"),
        ({"size": {"shortest_edge": 0}}, "side 0"),
    ],
)
def test_what_cannot_be_done_is_refused(tmp_path: Path, change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BadInput, match=f"asks for preprocessing that edgefuse cannot do .*{sentence}"):
        read_preprocess(write(tmp_path, BIT | change))


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"preprocessor_config\.json is missing"):
        read_preprocess(tmp_path / "preprocessor_config.json")
