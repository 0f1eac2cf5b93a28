"""Pictures decoded in the memory there is: in full where that fits, else a JPEG at a half, a quarter or an eighth."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image

from edgefuse_runtimes.errors import DoesNotFit
from edgefuse_runtimes.image import ORIENTATION, Picture, load_image
from edgefuse_runtimes.machine import available_memory
from edgefuse_runtimes.memory_plan import LIBRARIES, MIB, RESERVE
from edgefuse_runtimes.spec import Preprocess

REDUCTIONS = (1, 2, 4, 8)
"""What a JPEG decoder can divide both sides by, at little cost: it drops the finer frequencies."""

BYTES_PER_PIXEL = {"1": 1, "L": 1, "P": 1, "LA": 4, "I;16": 2, "I;16B": 2, "I;16L": 2}
"""Of a decoded picture in Pillow; 4 in every mode that is not named."""

WEBP_COPIES = 4
"""libwebp holds two whole pictures, Pillow two more."""

POINTER = 8
"""Bytes for each row of a picture in Pillow, which is much for a strip of one pixel's width."""

ALWAYS = 1_000_000
"""Pixels of a picture that is decoded without asking."""

SMALL = 6 * MIB
"""For resizing and the encoder's input."""

_PROMISED: list[int] = []
"""Bytes for each large picture that some thread decodes now; guarded by the condition."""
_CHANGED = threading.Condition()


@dataclass(frozen=True)
class PictureFacts:
    """What decoding a picture depends on."""

    format: str
    mode: str
    width: int
    height: int
    is_progressive: bool = False
    """Whether a JPEG keeps all its coefficients until its end."""
    is_turned: bool = False
    """Whether its EXIF orientation asks for a turn."""


def decoding_bytes(facts: PictureFacts, reduction: int = 1) -> int:
    """Bytes at the peak while a picture is decoded, turned, and made RGB.

    Args:
        facts: of the picture.
        reduction: what both sides are divided by while decoding.
    """
    pixels = -(-facts.width // reduction) * -(-facts.height // reduction)
    rows = POINTER * -(-max(facts.width, facts.height) // reduction)  # turned, the width counts
    decoded = pixels * BYTES_PER_PIXEL.get(facts.mode, 4) + rows
    scratch = facts.width * facts.height * 2 * 3 if facts.is_progressive else 0  # int16 coefficients
    if facts.format == "WEBP":
        scratch = (WEBP_COPIES - 1) * pixels * 4
    turned = decoded if facts.is_turned else 0
    in_rgb = 0 if facts.mode == "RGB" else pixels * (4 + (6 if facts.mode.startswith("I") else 0)) + rows
    return SMALL + decoded + max(scratch, turned, in_rgb)


def fitting_reduction(facts: PictureFacts, available: int, shortest: int) -> int | None:
    """The least reduction that fits into `available` bytes and leaves both sides `shortest` pixels; None: none does."""
    room = available - LIBRARIES["numpy"] - RESERVE
    allowed = [
        reduction
        for reduction in REDUCTIONS
        if reduction == 1 or (facts.format == "JPEG" and min(facts.width, facts.height) >= reduction * shortest)
    ]
    return next((reduction for reduction in allowed if decoding_bytes(facts, reduction) <= room), None)


def load_within(picture: Picture, preprocess: Preprocess, notify: Callable[[str], None]) -> Image.Image:
    """`load_image` in the memory that is available; `notify` is told where a JPEG had to be decoded smaller.

    It is never decoded smaller than it is resized to for the encoder. What threads decode side by side fits together,
    else one waits for the other.

    Raises:
        BadInput: the picture cannot be read.
        DoesNotFit: there is too little memory for it.
    """
    done = contextlib.ExitStack()

    def reduction_of(opened: Image.Image, name: str) -> int:
        is_decoded = isinstance(picture, Image.Image) and not getattr(opened, "tile", None)
        if is_decoded or opened.width * opened.height <= ALWAYS:
            return 1
        facts = facts_of(opened)
        with _CHANGED:
            while True:
                available = available_memory()
                reduction = fitting_reduction(facts, available.bytes - sum(_PROMISED), preprocess.size)
                if reduction == 1 or not _PROMISED:
                    break
                _CHANGED.wait()
            promised = decoding_bytes(facts, reduction or 1)
            _PROMISED.append(promised)
            done.callback(_give_back, promised)
        megapixels = f"{facts.width * facts.height / 1e6:.0f} megapixels"
        if reduction is None:
            needed = decoding_bytes(facts) + LIBRARIES["numpy"] + RESERVE
            raise DoesNotFit(
                f"Decoding {name} ({facts.format or 'a picture'} of {megapixels}) needs {-(-needed // MIB)} MiB of "
                f"memory and {available.bytes // MIB} MiB are available ({available.limit}); make the picture smaller"
                f"{'' if facts.format == 'JPEG' else ' or save it as a JPEG'}, or free some memory."
            )
        if reduction > 1:
            notify(
                f"The picture of {megapixels} was decoded at 1/{reduction} of its width and height for want of memory "
                f"({available.bytes // MIB} MiB available)."
            )
        return reduction

    with done:
        return load_image(picture, reduction_of, preprocess.bands)


def _give_back(promised: int) -> None:
    with _CHANGED:
        _PROMISED.remove(promised)
        _CHANGED.notify_all()


def facts_of(opened: Image.Image) -> PictureFacts:
    """The facts of a picture whose header was read."""
    kind = opened.format or ""
    has_exif = kind != "PNG" or "exif" in opened.info  # asked for its EXIF data, Pillow decodes a PNG first
    return PictureFacts(
        "JPEG" if kind == "MPO" else kind,
        "RGBA" if opened.has_transparency_data else opened.mode,
        opened.width,
        opened.height,
        bool(opened.info.get("progressive")),
        has_exif and opened.getexif().get(ORIENTATION, 1) != 1,
    )
