"""Decoded pictures become the encoder's input as with transformers' image processors."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from edgefuse_runtimes.encoder import open_encoder
from edgefuse_runtimes.image import MAX_RESIZED_PIXELS, load_image, prepare
from edgefuse_runtimes.spec import EncoderSpec, Preprocess

Processor = Callable[[Image.Image], np.ndarray]

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
UNSCALED = Preprocess("shortest", 256, "bicubic", 224, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
ONE_LEVEL = 1 / 255 + 1e-6

SETTINGS: dict[str, tuple[dict[str, Any], Preprocess]] = {
    "BitImageProcessor": (  # DINOv2's
        {"size": {"shortest_edge": 256}, "crop_size": 224, "resample": 3},
        Preprocess("shortest", 256, "bicubic", 224, *IMAGENET),
    ),
    "CLIPImageProcessor": (
        {"size": {"shortest_edge": 224}, "crop_size": 224, "resample": 3},
        Preprocess("shortest", 224, "bicubic", 224, *IMAGENET),
    ),
    "ViTImageProcessor": (
        {"size": {"height": 224, "width": 224}, "resample": 2},
        Preprocess("squash", 224, "bilinear", 224, *IMAGENET),
    ),
}
SIZES = [(300, 225), (225, 300), (256, 256), (224, 224), (37, 41), (41, 37), (5, 7), (1023, 777), (60, 479)]
STRIPS = [(100, 1200), (1001, 37), (777, 20)]


def picture(width: int, height: int, seed: int = 0) -> Image.Image:
    """Soft random colours, as in a photograph; every corner differs."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def pixels(prepared: np.ndarray, preprocess: Preprocess) -> np.ndarray:
    """What was normalised, (3, h, w) in 0..1."""
    mean, std = (np.array(values)[:, None, None] for values in (preprocess.mean, preprocess.std))
    return prepared * std + mean


@pytest.fixture(scope="module")
def processor() -> Callable[..., Processor]:
    """An image processor of transformers, the kind that works with Pillow."""
    reason = "transformers' image processors are the reference; they come with the extra export-torch"
    transformers = pytest.importorskip("transformers", reason=reason)
    pytest.importorskip("torch", reason=reason)

    def make(name: str, **settings: Any) -> Processor:
        mean, std = IMAGENET
        made = getattr(transformers, name)(image_mean=list(mean), image_std=list(std), **settings)
        return lambda image: made(image, return_tensors="np", input_data_format="channels_last")["pixel_values"][0]

    return make


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("size", [*SIZES, *STRIPS])
@pytest.mark.parametrize("draw", [picture, noise])
def test_prepare_equals_transformers(processor, name, size, draw) -> None:
    settings, preprocess = SETTINGS[name]
    image = draw(*size, seed=sum(size))

    ours, theirs = prepare(image, preprocess), processor(name, **settings)(image)

    assert ours.shape == (3, 224, 224)
    assert ours.dtype == np.float32
    assert np.abs(pixels(ours, preprocess) - pixels(theirs, preprocess)).max() <= ONE_LEVEL
    np.testing.assert_allclose(ours, theirs, atol=ONE_LEVEL / min(preprocess.std))


@pytest.mark.parametrize(
    ("size", "side"),
    [
        ((1, 4000), 32),
        ((4000, 1), 32),
        ((2, 60_000), 32),
        ((9000, 7), 64),
        ((40, 40_000), 64),
        pytest.param((1, 4000), 256, marks=pytest.mark.slow, id="3 GB in transformers"),
        pytest.param((4000, 1), 256, marks=pytest.mark.slow, id="3 GB in transformers too"),
    ],
)
@pytest.mark.parametrize("draw", [picture, noise])
def test_long_strips_equal_transformers(processor, size, side, draw) -> None:
    assert side * side * max(size) / min(size) > MAX_RESIZED_PIXELS
    preprocess = Preprocess("shortest", side, "bicubic", side * 7 // 8, *IMAGENET)
    settings = {"size": {"shortest_edge": side}, "crop_size": preprocess.crop, "resample": 3}
    image = draw(*size, seed=1)

    ours, theirs = prepare(image, preprocess), processor("BitImageProcessor", **settings)(image)

    assert np.abs(pixels(ours, preprocess) - pixels(theirs, preprocess)).max() <= ONE_LEVEL


@pytest.mark.parametrize("size", [(1, 4000), (4000, 1), (2, 60_000), (1, 5_000_000), (300, 30_000)])
def test_a_strip_never_grows_beyond_its_middle(size, monkeypatch) -> None:
    grown = []
    resize = Image.Image.resize

    def watched(self: Image.Image, size: tuple[int, int], *rest: object, **options: object) -> Image.Image:
        grown.append(size[0] * size[1])
        return resize(self, size, *rest, **options)

    monkeypatch.setattr(Image.Image, "resize", watched)

    assert prepare(Image.new("RGB", size, "red"), UNSCALED).shape == (3, 224, 224)
    assert max(grown) <= 224 * 300


@pytest.mark.parametrize(("kind", "code"), [("nearest", 0), ("lanczos", 1), ("bilinear", 2), ("bicubic", 3)])
def test_squash_is_a_plain_resize(kind, code) -> None:
    image = noise(91, 55)

    ours = prepare(image, Preprocess("squash", 32, kind, 32, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)))

    expected = np.asarray(image.resize((32, 32), code), np.float32).transpose(2, 0, 1) / 255
    np.testing.assert_allclose(ours, expected, atol=1e-6)


# From files, as photographs come


FILES = [
    pytest.param("JPEG", {"quality": 90}, (640, 480), 1, id="JPEG"),
    pytest.param("JPEG", {"quality": 90}, (480, 640), 6, id="JPEG turned by EXIF"),
    pytest.param("JPEG", {"quality": 90}, (333, 517), 5, id="JPEG mirrored and turned by EXIF"),
    pytest.param("PNG", {}, (37, 41), 1, id="PNG of 37 x 41"),
    pytest.param("PNG", {}, (41, 37), 8, id="PNG turned by EXIF"),
    pytest.param("PNG", {}, (1, 4000), 1, id="PNG of 1 x 4000"),
    pytest.param("WEBP", {"quality": 80}, (500, 375), 1, id="WebP"),
    pytest.param("WEBP", {"quality": 80}, (375, 500), 3, id="WebP turned by EXIF"),
]


def stored(kind: str, options: dict[str, Any], size: tuple[int, int], orientation: int) -> bytes:
    """A photograph's file: soft colours with some noise."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    stream = io.BytesIO()
    Image.blend(picture(*size, seed=3), noise(*size, seed=4), 0.2).save(stream, kind, exif=exif, **options)
    return stream.getvalue()


def as_transformers_users_do(content: bytes, run: Processor) -> np.ndarray:
    """Open with Pillow, turn upright (transformers' `load_image`), process."""
    with Image.open(io.BytesIO(content)) as image:
        return run(ImageOps.exif_transpose(image).convert("RGB"))


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a.ravel() @ b.ravel() / np.linalg.norm(a) / np.linalg.norm(b))


@pytest.mark.parametrize(("kind", "options", "size", "orientation"), FILES)
def test_files_become_the_same_input_and_vector(
    processor, tiny_encoders: Path, kind, options, size, orientation
) -> None:
    """The vectors are those of a tiny encoder with random weights; see below for DINOv2."""
    side = 32 if size == (1, 4000) else 256  # transformers would need gigabytes for more
    preprocess = Preprocess("shortest", side, "bicubic", side * 7 // 8, *IMAGENET)
    settings = {"size": {"shortest_edge": side}, "crop_size": preprocess.crop, "resample": 3}
    content = stored(kind, options, size, orientation)

    ours = prepare(load_image(content), preprocess)
    theirs = as_transformers_users_do(content, processor("BitImageProcessor", **settings))

    assert np.abs(pixels(ours, preprocess) - pixels(theirs, preprocess)).max() <= ONE_LEVEL
    if preprocess.crop == 224:
        a, b = vectors_of(tiny_encoders, [ours, theirs])
        assert cosine(a, b) >= 0.9995


def vectors_of(folder: Path, inputs: list[np.ndarray]) -> np.ndarray:
    from edgefuse.kits.encoders import Encoders

    spec: EncoderSpec = Encoders.open(folder).image
    with open_encoder(spec, folder, engine="numpy") as encoder:
        return np.stack([encoder.encode(one[None].astype(np.float32))[0] for one in inputs])  # (n, d)


@pytest.fixture(scope="module")
def dinov2(shared_checkpoint: Callable[[str], Path]) -> tuple[Any, Processor]:
    """DINOv2-S/14 in torch, and its own image processor."""
    torch = pytest.importorskip("torch", reason="torch runs the checkpoint (extra export-torch)")
    transformers = pytest.importorskip("transformers", reason="the reference (extra export-torch)")
    folder = shared_checkpoint("dinov2")
    model = transformers.AutoModel.from_pretrained(folder).eval()
    made = transformers.AutoImageProcessor.from_pretrained(folder, use_fast=False)

    def encode(inputs: list[np.ndarray]) -> np.ndarray:
        with torch.no_grad():
            return model(torch.from_numpy(np.stack(inputs).astype(np.float32))).last_hidden_state[:, 0].numpy()

    return encode, lambda image: made(image, return_tensors="np", input_data_format="channels_last")["pixel_values"][0]


@pytest.mark.shared
def test_vectors_of_dinov2_are_those_of_its_own_processor(dinov2: tuple[Any, Processor], shared_folder: Path) -> None:
    encode, run = dinov2
    photographs = sorted((shared_folder / "data" / "coco-captions-mini" / "images").glob("*.jpg"))[:12]
    photographs += sorted((shared_folder / "data" / "ham10000-mini").rglob("*.jpg"))[:4]
    assert len(photographs) == 16
    preprocess = SETTINGS["BitImageProcessor"][1]
    drawn = [stored(*case.values) for case in FILES if case.values[2] != (1, 4000)]
    for content in [*(path.read_bytes() for path in photographs), *drawn]:
        ours, theirs = prepare(load_image(content), preprocess), as_transformers_users_do(content, run)
        assert np.abs(pixels(ours, preprocess) - pixels(theirs, preprocess)).max() <= ONE_LEVEL
        assert cosine(*encode([ours, theirs])) >= 0.9995
