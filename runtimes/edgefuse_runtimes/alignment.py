"""From the encoders' two vectors to what the head reads: one length, one width, one centre.

The steps are those of Restrepo et al. (medRxiv 2024.06.03.24308401): L2-normalise, match unequal widths, move both
modalities along the gap between them, L2-normalise again. Unequal widths may also stay; there is no gap then. A last
step, which the paper does not have, gives the head inputs around 0 of size 1 (docs/explanation/method.md says why).
All numbers were fitted on training rows; here they are only applied.
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
    """(d, w): to the common width; None where the width stays, or is stretched."""
    centre: Floats
    """(w,): mean of the shifted training rows."""
    scale: Floats
    """(): one number for all coordinates, so that angles between samples stay as they are."""
    stretch: int | None = None
    """The common width w that vectors are stretched to, if they are."""
    components: Floats | None = None
    """(w, k): to k principal components of the centred rows, each brought to variance 1, in place of dividing by
    `scale`; None: all coordinates stay."""

    @property
    def width(self) -> int:
        """Of aligned vectors: k or w."""
        return len(self.centre) if self.components is None else self.components.shape[1]


@dataclass(frozen=True)
class Alignment:
    """The fitted alignment of both modalities."""

    text: Steps
    image: Steps
    gap: Floats | None
    """(w,): mean of the image rows minus mean of the text rows, both of unit length; None: of unequal widths."""
    shift: float
    """lambda: 1 closes the gap, 0 leaves it, below 0 widens it; without a gap always 0."""

    @property
    def widths(self) -> dict[Modality, int]:
        """Of aligned vectors; equal where there is a gap and no components are taken."""
        return {"text": self.text.width, "image": self.image.width}


def apply(alignment: Alignment, text: Floats, image: Floats) -> tuple[Floats, Floats]:
    """Aligned (text, image), each (w,) or (n, w), of one sample's vectors (d,) or of n rows (n, d)."""
    return align_text(alignment, text), align_image(alignment, image)


def align_text(alignment: Alignment, text: Floats) -> Floats:
    """Aligned text alone (..., w): half the shift along the gap, towards the image."""
    return _aligned(alignment.text, alignment.gap, alignment.shift / 2, text)


def align_image(alignment: Alignment, image: Floats) -> Floats:
    """Aligned image alone (..., w): half the shift against the gap, towards the text."""
    return _aligned(alignment.image, alignment.gap, -alignment.shift / 2, image)


def matched(rows: Floats, projection: Floats | None, stretch: int | None = None) -> Floats:
    """Rows (..., d) of unit length in the common width (..., w): projected, stretched, or as they are."""
    unit = l2_normalize(rows)  # (..., d)
    if projection is not None:
        return l2_normalize(unit @ projection)  # (..., w)
    return unit if stretch is None else l2_normalize(stretched(unit, stretch))  # (..., w)


def stretched(rows: Floats, width: int) -> Floats:
    """Rows (..., d) with as many coordinates as `width`, by linear interpolation along the coordinate index.

    The first and the last coordinate stay what they are: numpy.interp(linspace(0, 1, w), linspace(0, 1, d), row), or
    torch's interpolate(mode="linear", align_corners=True).
    """
    places = np.linspace(0, rows.shape[-1] - 1, width)  # (w,): in units of the old index
    left = np.minimum(places.astype(np.int64), max(rows.shape[-1] - 2, 0))  # (w,)
    right = np.minimum(left + 1, rows.shape[-1] - 1)  # (w,)
    share = (places - left).astype(np.float32)  # (w,)
    between: Floats = rows[..., left] * (1 - share) + rows[..., right] * share  # (..., w)
    return between


def shifted(rows: Floats, offset: Floats) -> Floats:
    """Rows (..., w) moved by `offset` (w,) and brought back to unit length."""
    return l2_normalize(rows + offset)  # (..., w)


def to_arrays(alignment: Alignment) -> dict[str, NDArray[Any]]:
    """Named arrays for an npz file; `from_arrays` reads them back."""
    arrays: dict[str, NDArray[Any]] = {"shift": np.array(alignment.shift, np.float32)}
    if alignment.gap is not None:
        arrays["gap"] = alignment.gap
    for modality, steps in (("text", alignment.text), ("image", alignment.image)):
        arrays[f"{modality}.centre"], arrays[f"{modality}.scale"] = steps.centre, steps.scale
        if steps.projection is not None:
            arrays[f"{modality}.projection"] = steps.projection
        if steps.components is not None:
            arrays[f"{modality}.components"] = steps.components
        if steps.stretch is not None:
            arrays[f"{modality}.stretch"] = np.array(steps.stretch, np.float32)
    return arrays


def from_arrays(arrays: Arrays, widths: Mapping[Modality, int]) -> Alignment:
    """The alignment for encoders of these widths; inverse of `to_arrays`.

    Raises:
        BadInput: an array is missing, not finite, or of a wrong shape or kind.
    """
    raw = "gap" not in arrays and widths["text"] != widths["image"]
    common = np.size(arrays.get("gap", ()))
    fitted = Alignment(
        text=_read_steps(arrays, "text", widths["text"], widths["text"] if raw else common),
        image=_read_steps(arrays, "image", widths["image"], widths["image"] if raw else common),
        gap=None if raw else float_array(arrays, "gap", (common,)),
        shift=float(float_array(arrays, "shift", ())),
    )
    if raw and fitted.shift != 0:
        raise BadInput("The head's alignment has a shift and no gap to shift along; train the head again.")
    return fitted


def _aligned(steps: Steps, gap: Floats | None, share: float, rows: Floats) -> Floats:
    # Single precision rounds a row alone and a row of a batch in two ways, and small components blow that up.
    exact: Floats = rows if steps.components is None else rows.astype(np.float64)
    common = matched(exact, steps.projection, steps.stretch)  # (..., w)
    if gap is not None:
        common = shifted(common, np.float32(share) * gap)
    centred: Floats = common - steps.centre  # (..., w)
    if steps.components is not None:
        return (centred @ steps.components).astype(np.float32)  # (..., k)
    return np.divide(centred, steps.scale)  # (..., w)


def _read_steps(arrays: Arrays, modality: Modality, d: int, width: int) -> Steps:
    projected, is_stretched = f"{modality}.projection" in arrays, f"{modality}.stretch" in arrays
    if is_stretched and (projected or float_array(arrays, f"{modality}.stretch", ()) != width):
        raise BadInput(f"The head's array '{modality}.stretch' does not fit the width {width}; train the head again.")
    if not (projected or is_stretched or d == width):
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
        stretch=width if is_stretched else None,
        components=_read_components(arrays, f"{modality}.components", width),
    )


def _read_components(arrays: Arrays, name: str, width: int) -> Floats | None:
    if name not in arrays:
        return None
    shape = arrays[name].shape
    count = shape[1] if len(shape) == 2 and 1 <= shape[1] <= width else 1
    return float_array(arrays, name, (width, count))
