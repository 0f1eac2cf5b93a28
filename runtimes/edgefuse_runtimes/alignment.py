"""From the encoders' two vectors to what the head reads: one length, one width, one centre.

The steps are those of Restrepo et al. (medRxiv 2024.06.03.24308401): L2-normalise, match unequal widths, move
both modalities along the gap between them, L2-normalise again. A last step, which the paper does not have, gives
the head inputs around 0 of size 1 (docs/explanation/method.md says why). All numbers were fitted on training
rows; here they are only applied.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.fusion import Arrays, Floats, float_array
from edgefuse_runtimes.pooling import l2_normalize
from edgefuse_runtimes.spec import Modality


@dataclass(frozen=True)
class Steps:
    """What was fitted for one modality with vectors of width d."""

    projection: Floats | None
    """(d, w): to the common width; None where d = w already."""
    centre: Floats
    """(w,): mean of the shifted training rows."""
    scale: Floats
    """(): one number for all coordinates, so that angles between samples stay as they are."""


@dataclass(frozen=True)
class Alignment:
    """The fitted alignment of both modalities."""

    text: Steps
    image: Steps
    gap: Floats
    """(w,): mean of the image rows minus mean of the text rows, both of unit length."""
    shift: float
    """lambda: 1 closes the gap, 0 leaves it, below 0 widens it."""

    @property
    def width(self) -> int:
        """The common width w of aligned vectors."""
        return len(self.gap)


def apply(alignment: Alignment, text: Floats, image: Floats) -> tuple[Floats, Floats]:
    """Aligned (text, image), each (w,) or (n, w), of one sample's vectors (d,) or of n rows (n, d)."""
    return align_text(alignment, text), align_image(alignment, image)


def align_text(alignment: Alignment, text: Floats) -> Floats:
    """Aligned text alone (..., w): half the shift along the gap, towards the image."""
    return _finish(alignment.text, matched(text, alignment.text.projection), _half(alignment))


def align_image(alignment: Alignment, image: Floats) -> Floats:
    """Aligned image alone (..., w): half the shift against the gap, towards the text."""
    return _finish(alignment.image, matched(image, alignment.image.projection), -_half(alignment))


def matched(rows: Floats, projection: Floats | None) -> Floats:
    """Rows (..., d) of unit length in the common width (..., w)."""
    unit = l2_normalize(rows)  # (..., d)
    return unit if projection is None else l2_normalize(unit @ projection)  # (..., w)


def shifted(rows: Floats, offset: Floats) -> Floats:
    """Rows (..., w) moved by `offset` (w,) and brought back to unit length."""
    return l2_normalize(rows + offset)  # (..., w)


def to_arrays(alignment: Alignment) -> dict[str, NDArray[Any]]:
    """Named arrays for an npz file; `from_arrays` reads them back."""
    arrays: dict[str, NDArray[Any]] = {"gap": alignment.gap, "shift": np.array(alignment.shift, np.float32)}
    for modality, steps in (("text", alignment.text), ("image", alignment.image)):
        arrays[f"{modality}.centre"], arrays[f"{modality}.scale"] = steps.centre, steps.scale
        if steps.projection is not None:
            arrays[f"{modality}.projection"] = steps.projection
    return arrays


def from_arrays(arrays: Arrays, widths: Mapping[Modality, int]) -> Alignment:
    """The alignment for encoders of these widths; inverse of `to_arrays`.

    Raises:
        BadInput: an array is missing, not finite, or of a wrong shape or kind.
    """
    width = np.size(arrays.get("gap", ()))
    return Alignment(
        text=_read_steps(arrays, "text", widths["text"], width),
        image=_read_steps(arrays, "image", widths["image"], width),
        gap=float_array(arrays, "gap", (width,)),
        shift=float(float_array(arrays, "shift", ())),
    )


def _half(alignment: Alignment) -> Floats:
    return np.float32(alignment.shift / 2) * alignment.gap  # (w,)


def _finish(steps: Steps, rows: Floats, offset: Floats) -> Floats:
    return (shifted(rows, offset) - steps.centre) / steps.scale  # (..., w)


def _read_steps(arrays: Arrays, modality: Modality, d: int, width: int) -> Steps:
    projected = f"{modality}.projection" in arrays
    if not projected and d != width:
        raise BadInput(
            f"The head's alignment has width {width} and no projection for {modality} vectors of width {d}; "
            "train the head again."
        )
    scale = float_array(arrays, f"{modality}.scale", ())
    if scale <= 0:
        raise BadInput(f"The head's array '{modality}.scale' is not positive; train the head again.")
    return Steps(
        projection=float_array(arrays, f"{modality}.projection", (d, width)) if projected else None,
        centre=float_array(arrays, f"{modality}.centre", (width,)),
        scale=scale,
    )
