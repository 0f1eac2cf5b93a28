"""From a picture in any common form to an image encoder's input, driven by data, never by a model's name."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import io
import logging
import math
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from edgefuse_runtimes.bands import Layout, layout_of, true_colours
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.machine import loaded_libraries
from edgefuse_runtimes.spec import TRUE_COLOUR, Bands, Preprocess

Picture = Path | str | bytes | Image.Image

MAX_PIXELS = 100_000_000
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM")
"""What may be decoded: each format more is one more parser that a hostile file can reach."""

MAX_RESIZED_PIXELS = 4_000_000
"""Of a picture that is resized whole before it is cropped; of a longer strip only the crop is made (see `_cropped`)."""

REACH = 4
"""Pixels (of the larger side of the two, picture and result) that no filter reaches beyond."""

STRIP_ROWS = 64
"""Rows of a picture with transparency that are laid on white at a time."""

ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns a picture of each EXIF orientation upright."""

_RESAMPLE = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
_DECODER_ERRORS = (
    OSError, SyntaxError, ValueError, TypeError, AssertionError, EOFError, LookupError, ArithmeticError, struct.error,
    zlib.error,
)  # fmt: skip
"""What Pillow's parsers raise over files that contradict themselves."""

# Pillow warns and logs of pictures that it decodes all the same, or beside the exception that becomes our sentence; and
# from 89 megapixels on, where `load_image` refuses at its own limit.
warnings.filterwarnings("ignore", module=r"PIL\.")
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
logging.getLogger("PIL").addHandler(logging.NullHandler())


def load_image(
    picture: Picture, reduction_of: Callable[[Image.Image, str], int] | None = None, bands: Bands = TRUE_COLOUR
) -> Image.Image:
    """Decode to 8-bit RGB, turned upright by its EXIF orientation; transparency becomes white.

    A TIFF file that has more bands than any picture becomes the true colours that are among them.

    Args:
        picture: to decode.
        reduction_of: what to divide both sides of a JPEG by while decoding it (1, 2, 4 or 8), from the picture whose
            header was read, and its name; may raise to refuse it.
        bands: see `Preprocess.bands`.

    Raises:
        BadInput: the file is missing, empty, not a picture, broken, without pixels, or over 100 megapixels.
    """
    name = str(picture) if isinstance(picture, str | Path) else "the picture"
    try:
        opened = picture if isinstance(picture, Image.Image) else _opened(_stream(picture, name), name)
        if isinstance(opened, Layout):
            assert not isinstance(picture, Image.Image)  # of which Pillow knows all
            return _coloured(picture, opened, name, bands, reduction_of)
        if opened.width * opened.height > MAX_PIXELS:
            raise _too_large(name)
        if opened.format == "TIFF":
            _silence_libtiff()
        if not opened.width * opened.height:
            raise BadInput(f"{name} has no pixels; take or copy the picture again.")
        reduction = 1 if reduction_of is None else reduction_of(opened, name)
        if reduction > 1:
            opened.draft(None, (opened.width // reduction, opened.height // reduction))
        upright = _upright(opened)
        del opened  # a turned picture and its RGB twin are enough to hold at a time
        return _to_rgb(upright, name)
    except UnidentifiedImageError as error:
        raise BadInput(
            f"{name} is not a picture that edgefuse can read; give a JPEG, PNG, WebP, TIFF, BMP or GIF file."
        ) from error
    except Image.DecompressionBombError as error:
        raise _too_large(name) from error
    except PermissionError as error:
        raise BadInput(f"{name} may not be read by this user; change its permissions.") from error
    except _DECODER_ERRORS as error:
        why = str(error) or "it contradicts itself"
        raise BadInput(f"{name} is damaged and cannot be decoded ({why}); take or copy the picture again.") from error


def read_picture(picture: Picture, preprocess: Preprocess) -> NDArray[np.float32]:
    """The encoder's input (3, crop, crop) of a picture.

    Raises:
        BadInput: as `load_image`.
    """
    return prepare(load_image(picture, bands=preprocess.bands), preprocess)


def prepare(image: Image.Image, preprocess: Preprocess) -> NDArray[np.float32]:
    """The encoder's input (3, crop, crop): resized, centre-cropped, normalised per channel."""
    cropped = np.asarray(_cropped(image, preprocess))  # (crop, crop, 3) in 0..255
    pixels = cropped.transpose(2, 0, 1).astype(np.float32, order="C")  # (3, crop, crop)
    mean, std = (np.array(values, np.float32)[:, None, None] for values in (preprocess.mean, preprocess.std))
    # In place: a batch prepares pictures beside an encoder that wants the cores.
    pixels /= np.float32(255)
    pixels -= mean
    pixels /= std
    return pixels


def views(pixels: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """The first `count` views (count, 3, S, S) of an encoder's input (3, S, S), see `Preprocess.views`.

    The first 4, turned by a quarter, are the last 4 of 8.
    """
    mirrored = pixels[:, :, ::-1]  # (3, S, S)
    upright = [pixels, mirrored, pixels[:, ::-1], mirrored[:, ::-1]]
    return np.stack([*upright, *(np.rot90(view, axes=(1, 2)) for view in upright)][:count])


def _opened(source: Path | io.BytesIO, name: str) -> Image.Image | Layout:
    """The picture whose header was read, or what a TIFF file says that is none, but holds the bands of one.

    Of bands that lie one after the other Pillow would show the first.
    """
    layout = _layout(source, name, surely=True)
    if layout is not None:
        return layout
    try:
        return Image.open(source, formats=FORMATS)
    except UnidentifiedImageError:
        layout = _layout(source, name, surely=False)
        if layout is None:
            raise
        return layout


def _layout(source: Path | io.BytesIO, name: str, *, surely: bool) -> Layout | None:
    with source.open("rb") if isinstance(source, Path) else contextlib.nullcontext(source) as file:
        layout = layout_of(file, name, surely=surely)
        file.seek(0)
        return layout


def _coloured(
    picture: Path | str | bytes,
    layout: Layout,
    name: str,
    bands: Bands,
    reduction_of: Callable[[Image.Image, str], int] | None,
) -> Image.Image:
    """The true colours of a TIFF file of many bands."""
    _silence_libtiff()

    def admit(unpacked: Image.Image) -> None:
        if reduction_of is not None:
            reduction_of(unpacked, f"{name}, all bands side by side")

    with io.BytesIO(picture) if isinstance(picture, bytes) else Path(picture).open("rb") as file:
        return true_colours(file, layout, bands, name, admit)


@functools.cache
def _silence_libtiff() -> None:
    """libtiff writes lines of its own to stderr, beside the exception that comes of the same fault."""
    for path in loaded_libraries("libtiff"):
        library = ctypes.CDLL(path)
        for name in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
            if hasattr(library, name):
                getattr(library, name)(None)


def _stream(picture: Path | str | bytes, name: str) -> Path | io.BytesIO:
    if isinstance(picture, bytes):
        if not picture:
            raise BadInput(f"{name} is empty (0 bytes); take or copy it again.")
        return io.BytesIO(picture)
    path = Path(picture)
    if not path.exists():
        raise BadInput(f"There is no picture at {name}; check the path.")
    if path.is_dir():
        raise BadInput(f"{name} is a folder, not a picture; name one file.")
    if path.stat().st_size == 0:
        raise BadInput(f"{name} is empty (0 bytes); take or copy the picture again.")
    return path


def _too_large(name: str) -> BadInput:
    return BadInput(f"{name} has over {MAX_PIXELS // 1_000_000} megapixels; make the picture smaller first.")


def _upright(image: Image.Image) -> Image.Image:
    """The picture turned by its EXIF orientation.

    `ImageOps.exif_transpose` also writes all of the EXIF data anew, which fails on data that is slightly off.
    """
    image.load()  # Pillow turns a TIFF itself while loading it, and forgets the orientation then
    turn = _TURNS.get(image.getexif().get(ORIENTATION, 1))
    return image if turn is None else image.transpose(turn)


def _to_rgb(image: Image.Image, name: str) -> Image.Image:
    if image.mode in ("I;16", "I;16B", "I;16L", "I"):
        values = np.asarray(image)  # (H, W)
        if values.min() < 0 or values.max() > 65535:
            raise BadInput(f"{name} holds values beyond 16 bits; save it as an 8-bit or 16-bit picture.")
        return Image.fromarray((values // 257).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise BadInput(f"{name} holds floating-point values; save it as an 8-bit or 16-bit picture.")
    if image.has_transparency_data:
        return _on_white(image)
    return image if image.mode == "RGB" else image.convert("RGB")  # convert would copy what is right already


def _on_white(image: Image.Image) -> Image.Image:
    """The picture laid on white, a strip at a time: four copies of a photograph would fill a small memory."""
    made = Image.new("RGB", image.size)
    for top in range(0, image.height, STRIP_ROWS):
        strip = image.crop((0, top, image.width, min(top + STRIP_ROWS, image.height))).convert("RGBA")
        white = Image.new("RGBA", strip.size, "white")
        made.paste(Image.alpha_composite(white, strip).convert("RGB"), (0, top))
    return made


def shrunk(image: Image.Image, preprocess: Preprocess) -> Image.Image:
    """The whole picture as it is resized before it is cropped; the picture itself where that would make it larger.

    `prepare` makes the same of both.
    """
    width, height = _resized_size(image, preprocess)
    is_larger = width * height >= image.width * image.height
    return image if is_larger else image.resize((width, height), _RESAMPLE[preprocess.resample])


def _cropped(image: Image.Image, preprocess: Preprocess) -> Image.Image:
    """The picture resized, and of that the centre crop."""
    resample, crop = _RESAMPLE[preprocess.resample], preprocess.crop
    width, height = _resized_size(image, preprocess)
    left, top = (width - crop) // 2, (height - crop) // 2
    if width * height <= MAX_RESIZED_PIXELS:
        return image.resize((width, height), resample).crop((left, top, left + crop, top + crop))
    # A 1 x 4000 strip would grow to 256 x 1,024,000 for a crop of 224. What cannot reach the crop is cut off, and each
    # side resampled to what the crop shows, in the order in which Pillow enlarges pictures.
    across, down = image.width / width, image.height / height
    reach_x, reach_y = (REACH * max(scale, 1) for scale in (across, down))
    x, y = max(0, int(left * across - reach_x)), max(0, int(top * down - reach_y))
    right = min(image.width, math.ceil((left + crop) * across + reach_x))
    bottom = min(image.height, math.ceil((top + crop) * down + reach_y))
    middle = image.crop((x, y, right, bottom))
    columns = middle.resize(
        (crop, middle.height), resample, box=(left * across - x, 0, (left + crop) * across - x, middle.height)
    )
    return columns.resize((crop, crop), resample, box=(0, top * down - y, crop, (top + crop) * down - y))


def _resized_size(image: Image.Image, preprocess: Preprocess) -> tuple[int, int]:
    if preprocess.resize == "squash":
        return preprocess.size, preprocess.size
    short, long = sorted(image.size)
    # The long side is cut to whole pixels, as torchvision and transformers do.
    grown = int(preprocess.size * long / short)
    return (preprocess.size, grown) if image.width <= image.height else (grown, preprocess.size)
