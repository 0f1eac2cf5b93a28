"""A source's preprocessor_config.json, turned into an encoder's `Preprocess`."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from edgefuse_export.sources import read_object
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.spec import Preprocess

FILE = "preprocessor_config.json"

DINOV2 = Preprocess(
    resize="shortest",
    size=256,
    resample="bicubic",
    crop=224,
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
)
"""What facebook/dinov2-* come with."""

_RESAMPLE: dict[int, Literal["nearest", "lanczos", "bilinear", "bicubic"]] = {
    0: "nearest",
    1: "lanczos",
    2: "bilinear",
    3: "bicubic",
}


def read_preprocess(file: Path) -> Preprocess:
    """Read the settings of a BitImageProcessor, CLIPImageProcessor, ViTImageProcessor or the like.

    Raises:
        BadInput: the file is missing, damaged or asks for something else than resize, crop, scale, normalise.
    """
    settings = read_object(file)
    try:
        return _parse(settings)
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{file} asks for preprocessing that edgefuse cannot do ({error}); correct the file.") from error


def squashed(preprocess: Preprocess) -> Preprocess:
    """The same with both sides brought to the crop size: all of the picture is seen, and its shape is lost.

    This is what the authors' code does before DINOv2.
    """
    return replace(preprocess, resize="squash", size=preprocess.crop)


def _parse(settings: dict[str, Any]) -> Preprocess:
    if not settings.get("do_resize", True):
        raise ValueError("do_resize is false")
    if not settings.get("do_rescale", True) or not math.isclose(settings.get("rescale_factor", 1 / 255), 1 / 255):
        raise ValueError("pixels are not scaled by 1/255")
    resize, size = _size(settings["size"])
    crop = _square(settings["crop_size"]) if settings.get("do_center_crop", "crop_size" in settings) else size
    if crop > size or (resize == "shortest" and not settings.get("do_center_crop", "crop_size" in settings)):
        raise ValueError(f"size {settings['size']} does not give one square input")
    normalize = settings.get("do_normalize", True)
    return Preprocess(
        resize=resize,
        size=size,
        resample=_RESAMPLE[settings.get("resample", 2)],
        crop=crop,
        mean=_channels(settings["image_mean"]) if normalize else (0.0, 0.0, 0.0),
        std=_channels(settings["image_std"]) if normalize else (1.0, 1.0, 1.0),
    )


def _size(size: Any) -> tuple[Literal["shortest", "squash"], int]:
    if isinstance(size, int):
        return "shortest", _side(size)
    if "shortest_edge" in size:
        return "shortest", _side(size["shortest_edge"])
    return "squash", _square(size)


def _square(size: Any) -> int:
    if isinstance(size, int):
        return _side(size)
    if size["height"] != size["width"]:
        raise ValueError(f"size {size} is not square")
    return _side(size["height"])


def _side(value: Any) -> int:
    if not isinstance(value, int) or not 1 <= value <= 4096:
        raise ValueError(f"side {value!r}")
    return value


def _channels(values: Any) -> tuple[float, float, float]:
    red, green, blue = (float(value) for value in values)
    if not all(map(math.isfinite, (red, green, blue))):
        raise ValueError(f"values {values} are not finite")
    return red, green, blue
