"""Pictures of a satellite's many bands, which picture readers do not know, as the eye would see them.

Sentinel-2 files have the bands B01, B02, B03, B04 and so on: blue, green and red are the second to the fourth. A value
is a reflectance, of 0 to 1 in floating point or times 10,000 in 16 bits. The same stretch for every file, 2.5 times the
reflectance, is Sentinel Hub's own for true colour; it keeps dates comparable, which one fitted to each file would not.
8-bit files were stretched by whoever made them and stay as they are.
"""

from __future__ import annotations

import logging
import math
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgefuse.extras import importable
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.image import MAX_PIXELS, Picture

RED_GREEN_BLUE = (3, 2, 1)
"""Places of the bands 4, 3 and 2."""
GAIN = 2.5
MAX_VALUES = 16 * MAX_PIXELS
"""Of all bands together: what a small file unpacks to must fit into memory."""
WHITE = {"u1": 255.0, "u2": 10_000 / GAIN, "f4": 1 / GAIN, "f8": 1 / GAIN}
"""The value that becomes 255, by kind and bytes of values."""

# Both say in lines of their own, of each file, what becomes one sentence here or is no fault at all.
warnings.filterwarnings("ignore", module=r"PIL\.TiffImagePlugin")
for library in ("PIL.TiffImagePlugin", "tifffile"):
    logging.getLogger(library).setLevel(logging.CRITICAL + 1)


def opened(picture: Picture) -> Picture:
    """The picture as it is, or, of a path to a TIFF file with more than four bands, its true colours.

    Raises:
        BadInput: such a file cannot be read.
    """
    if isinstance(picture, str | Path) and Path(picture).suffix.lower() in (".tif", ".tiff"):
        path = Path(picture)
        if path.is_file() and not _known_to_pillow(path):
            return true_colours(path)
    return picture


def true_colours(path: Path) -> Image.Image:
    """The bands 4, 3, 2 of a TIFF file as an 8-bit RGB picture.

    Raises:
        BadInput: the file is no TIFF of at least four bands in 8 or 16 bits or floating point.
    """
    tifffile = importable("tifffile", extra="geotiff")
    try:
        with tifffile.TiffFile(path) as file:
            series = file.series[0]
            if math.prod(series.shape) > MAX_VALUES:
                raise BadInput(f"{path} holds {math.prod(series.shape):,} values, over {MAX_VALUES:,}; cut it smaller.")
            bands, axes = series.asarray(), series.axes
    except BadInput:
        raise
    except Exception as error:  # a damaged file leads its parser to errors of any kind
        raise BadInput(f"{path} is not a TIFF file that can be read ({error}); check or replace it.") from error
    if axes in ("SYX", "IYX", "QYX", "CYX"):
        bands = np.moveaxis(bands, 0, -1)  # (H, W, bands)
    if bands.ndim != 3 or bands.shape[2] <= RED_GREEN_BLUE[0] or bands.dtype.str[1:] not in WHITE:
        raise BadInput(
            f"{path} holds values of type {bands.dtype} in the shape {bands.shape}, not at least four bands of "
            "8-bit, 16-bit or floating point numbers; check what it is."
        )
    return Image.fromarray(_stretched(bands[:, :, RED_GREEN_BLUE]))


def _stretched(colours: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Reflectances (H, W, 3) as 0 to 255."""
    scaled = np.nan_to_num(colours.astype(np.float32)) * (255 / WHITE[colours.dtype.str[1:]])
    stretched: NDArray[np.uint8] = np.rint(scaled.clip(0, 255)).astype(np.uint8)
    return stretched


def _known_to_pillow(path: Path) -> bool:
    try:
        with Image.open(path):
            return True
    except Image.DecompressionBombError:
        return True  # and is refused with a sentence when it is loaded
    except Exception:  # noqa: BLE001 - as above
        return False
