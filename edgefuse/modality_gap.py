"""The gap between text and image vectors, and how widely each modality is spread: before and after the shift.

All is measured on training rows, in one width and at length 1. Both measures of variance are given: the one that the
method's authors print, and the plain one, which does not depend on what the other modality does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgefuse.embeddings.table import Table
from edgefuse.training import align
from edgefuse_runtimes.alignment import Alignment, matched, shifted
from edgefuse_runtimes.errors import BadInput

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]


class Pair(NamedTuple):
    """Text and image rows of unit length in one width (n, w); row k of both is one sample."""

    text: Floats
    image: Floats


@dataclass(frozen=True)
class Measures:
    """Of one pair of modalities; every dictionary has "text" and "image"."""

    gap: float
    """||mean of the image rows - mean of the text rows||: between 0 and 2."""
    cosine: float
    """Between the two means."""
    cone: dict[str, float]
    """Mean resultant length R = ||sum of the rows|| / n: 1 where all are one vector, near 0 where they cancel."""
    variance_joint: dict[str, float]
    """A modality's variance, mean over the first two principal components of both together (the paper's)."""
    variance: dict[str, float]
    """Mean over all coordinates of a modality's variance."""


@dataclass(frozen=True)
class Fit:
    """An alignment that was fitted on the training rows of a table."""

    table: Table
    matching: align.Matching
    alignment: Alignment

    def before(self, part: str = "train") -> Pair:
        """The matched rows of one part of the split, not yet shifted."""
        rows = np.flatnonzero(self.table.splits == part)
        text = matched(self.table.text[rows], *self.matching.text)  # (n, w)
        return Pair(text, matched(self.table.image[rows], *self.matching.image))

    def after(self, before: Pair) -> Pair:
        """Matched rows, shifted."""
        if self.alignment.gap is None:
            return before
        half = np.float32(self.alignment.shift / 2) * self.alignment.gap  # (w,)
        return Pair(shifted(before.text, half), shifted(before.image, -half))


def fit(table: Table, match: align.Method, shift: float | None = None, text_components: int | None = None) -> Fit:
    """Fit the alignment as `train` does; a shift of None closes the gap where there is one.

    Raises:
        BadInput: the table has no training rows, or a shift is wanted between widths that stay unequal.
    """
    rows = np.flatnonzero(table.splits == "train")
    if not len(rows):
        raise BadInput(
            f"{table.folder} has no training rows, on which the alignment is fitted; extract it with more samples."
        )
    text, image = table.text[rows], table.image[rows]  # (n, d_t), (n, d_i)
    matching = align.match(text, image, match, text_components)
    if shift is None:
        shift = 1.0 if align.may_shift(text, image, matching) else 0.0
    return Fit(table, matching, align.fit(text, image, matching, shift))


def measure(pair: Pair) -> Measures:
    """The measures of a pair."""
    plane = components(pair, 2)  # (w, 2)
    sides = pair._asdict()
    return Measures(
        gap=gap(pair),
        cosine=cosine(pair),
        cone={name: cone(rows) for name, rows in sides.items()},
        variance_joint={name: _variance(rows @ plane) for name, rows in sides.items()},
        variance={name: _variance(rows) for name, rows in sides.items()},
    )


def gap(pair: Pair) -> float:
    """||mean of the image rows - mean of the text rows||."""
    return float(np.linalg.norm(_mean(pair.image) - _mean(pair.text)))


def cosine(pair: Pair) -> float:
    """Between the two means."""
    text, image = _mean(pair.text), _mean(pair.image)  # (w,) each
    return float(text @ image / (np.linalg.norm(text) * np.linalg.norm(image)))


def cone(rows: Floats) -> float:
    """Mean resultant length R = ||sum of the rows|| / n of rows (n, w) of length 1 (Mardia and Jupp 2000)."""
    return float(np.linalg.norm(_mean(rows)))


def components(pair: Pair, count: int) -> Doubles:
    """The first principal components (w, count) of both modalities together, each pointing from text to image."""
    mean = (_mean(pair.text) + _mean(pair.image)) / 2  # (w,)
    covariance = np.zeros((len(mean), len(mean)))  # (w, w), times 2n
    for rows in pair:
        for part in align.parts(rows):
            centred = part - mean  # (m, w)
            covariance += centred.T @ centred
    directions = align.leading_directions(covariance, count)  # (w, count)
    apart = _mean(pair.image) - _mean(pair.text)  # (w,)
    return np.ascontiguousarray(directions * np.where(apart @ directions < 0, -1, 1))


def kept_length(rows: Floats, way: align.Way) -> float | None:
    """The share of the squared length of rows (n, d) that a projection leaves them; None where nothing is projected."""
    if way.projection is None:
        return None
    return float(np.sum((matched(rows, None) @ way.projection) ** 2) / len(rows))


def kept_cosines(rows: Floats, common: Floats, count: int = 512) -> float | None:
    """How far the cosines between samples are as before: the correlation of those of rows (n, d) and `common` (n, w).

    Over all pairs of the first `count` rows; None where all cosines of one side are equal.
    """
    above = np.triu_indices(min(len(rows), count), 1)
    before, after = (_cosines(side[:count])[above] for side in (rows, common))  # (pairs,) each
    if not len(before) or min(before.std(), after.std()) < align.SMALLEST_SCALE:
        return None
    return float(np.corrcoef(before, after)[0, 1])


def to_json(measures: Measures) -> dict[str, Any]:
    """The measures as plain JSON types, under the names that the documentation explains."""
    return {
        "gap": measures.gap,
        "cosine_of_means": measures.cosine,
        "mean_resultant_length": measures.cone,
        "variance_joint_pca": measures.variance_joint,
        "variance": measures.variance,
    }


def _mean(rows: NDArray[Any]) -> Doubles:
    return np.asarray(rows.mean(axis=0, dtype=np.float64))  # (w,)


def _variance(rows: NDArray[Any]) -> float:
    return float(np.mean(rows.var(axis=0, dtype=np.float64)))


def _cosines(rows: Floats) -> Doubles:
    unit = matched(rows, None).astype(np.float64)  # (m, d)
    return np.asarray(unit @ unit.T)  # (m, m)
