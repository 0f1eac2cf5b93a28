"""Fitting the alignment, on training rows only: whoever calls passes no others.

How the steps were found, on 1,732 dermoscopy pictures with notes of age, sex and site (DINOv2-S, width 384, and
SmolLM2-135M, width 576; matched by PCA), 10 splits by lesion, macro-F1 on validation rows as the mean of the last 8 of
30 epochs, so that no epoch is picked. Differences under .01 are chance.

- Vectors of a language model's last token are nearly one vector: their mean resultant length is .98, and 90 %
  of what differs lies in two directions. So 83 % of the fresh ReLU units of a late head's text block are on
  or off for all rows alike, and their outputs have a variance of 2e-8, far below the 1e-5 that BatchNorm
  adds. Subtracting the training mean and dividing by one number per modality, as the last step, mends both
  (no such unit, .07): early .539 -> .584, late .549 -> .566, image-only .520 -> .554. No difference between
  two samples is turned by it.
- Dividing each coordinate by its own deviation is no better for the image (.555), and after PCA it is harmful
  (early .525): it blows up directions that hold little but rounding, many where few notes are different.
- Standardising raw vectors before the first normalisation gains nothing (early .566, late .574) and would
  leave no gap.
- The shift changed nothing (lambda -1, 0, 1: early .584, .584, .581): of what it moves, the last step leaves
  only the effect of renormalising.

How the default matching was found: bench/compare_matching.py, 10 splits x 3 seeds, shift 0, on those pictures and on
2,000 others in their natural mix of classes. Macro-F1 on validation rows, less that of PCA: project +.006 (early) and
+.028 (late), interpolate +.004 and +.030, none +.001 and +.029; standard errors of about .004. project is the smallest
of the three that are alike. On rows that chose nothing either, late heads gain as much (+.018), and early ones lose
(-.016). PCA puts nearly all that notes differ in into two coordinates; AdamW steps along coordinates, and late heads
learn the rest of a note slowly there. A random rotation after PCA mends that as well (late +.025).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from edgefuse.embeddings.mapped import ChosenRows
from edgefuse_runtimes.alignment import Alignment, Steps, matched, shifted
from edgefuse_runtimes.errors import BadInput

Floats = NDArray[np.float32]
Vectors = Floats | ChosenRows
"""Rows in memory, or rows of a table that are read a part at a time."""

Method = Literal["project", "pca", "interpolate", "none"]
METHODS: tuple[Method, ...] = get_args(Method)
"""How unequal widths may be matched."""
DEFAULT: Method = "project"

ROWS_AT_A_TIME = 1024
COLUMNS_AT_A_TIME = 512
EXACT_WIDTH = 1024
"""Widest vectors of which all principal directions are computed, to take the first of them."""
SPARE_DIRECTIONS = 64
MOST_ITERATIONS = 30
ENOUGH = 1e-6
"""Growth of what is kept of the rows, as a share, at which directions are good enough."""
SMALLEST_SCALE = 1e-6
"""Rows of unit length that differ by less are equal but for rounding, which must not be blown up."""
SMALLEST_COMPONENT = 1e-3
"""Deviation of a principal component below which it is left out. Vectors of length 1 carry rounding of about 1e-7 in
every number from their encoder, another for every way of computing, and dividing by little blows it up."""


class Way(NamedTuple):
    """How one modality comes to its width w: projected, stretched, or as it is."""

    projection: Floats | None = None
    """(d, w)"""
    stretch: int | None = None
    """w"""


class Matching(NamedTuple):
    """How both modalities come to one width, or that they do not."""

    method: Method
    """"none" where nothing was to be done."""
    text: Way
    image: Way
    text_components: int | None = None
    """How many principal components of the aligned notes the head reads; None: their coordinates."""


AS_THEY_ARE = Matching("none", Way(), Way())


def match(text: Vectors, image: Vectors, method: Method = DEFAULT, text_components: int | None = None) -> Matching:
    """Fit how training rows (n, d_t) and (n, d_i), pair by pair, come to one width; equal widths stay as they are.

    project: the wider to the narrower width, by the directions in which it best agrees with its partners.
    pca: the wider to the narrower width, by the directions that keep most of it.
    interpolate: the narrower to the wider width, stretched along the coordinate index (the paper's).
    none: each keeps its own width, so that there is no gap and nothing to shift.
    text_components: of the aligned notes so many principal components are kept in the last step, each brought to
    variance 1. Short notes of a few facts differ in few directions, of very different spread.
    """
    return _matched_by(text, image, method)._replace(text_components=text_components)


def _matched_by(text: Vectors, image: Vectors, method: Method) -> Matching:
    d_t, d_i = text.shape[1], image.shape[1]
    if d_t == d_i or method == "none":
        return AS_THEY_ARE
    if method == "interpolate":
        return Matching(method, *((Way(), Way(stretch=d_t)) if d_t > d_i else (Way(stretch=d_i), Way())))
    wide, narrow = (text, image) if d_t > d_i else (image, text)
    if method == "pca":
        way = Way(principal_directions(wide, narrow.shape[1]))
    else:
        way = Way(agreeing_directions(wide, narrow))
    return Matching(method, way, Way()) if d_t > d_i else Matching(method, Way(), way)


def principal_directions(rows: Vectors, width: int) -> Floats:
    """The orthonormal directions (d, width) that keep most of the rows (n, d), brought to unit length.

    No mean is subtracted: so a row keeps its length as well as any projection allows (Eckart and Young 1936),
    and the mean, without which there is no gap, stays in. Directions point to the mean's side, for a definite
    sign.
    """
    wide = rows.shape[1] > EXACT_WIDTH
    kind: type[np.floating[Any]] = np.float32 if wide else np.float64  # half the memory where it is much
    gram, total = np.zeros((rows.shape[1], rows.shape[1]), kind), np.zeros(rows.shape[1])  # (d, d), (d,)
    for part in parts(rows):
        unit = matched(part, None).astype(kind, copy=False)  # (<= 1024, d)
        for start in range(0, len(gram), COLUMNS_AT_A_TIME):
            some = slice(start, start + COLUMNS_AT_A_TIME)
            gram[:, some] += unit.T @ unit[:, some]
        total += unit.sum(axis=0)
    directions = leading_directions(gram, width)  # (d, width)
    towards = np.where(total @ directions < 0, -1, 1)  # (width,)
    return np.ascontiguousarray(directions * towards, np.float32)


def leading_directions(gram: NDArray[np.floating[Any]], width: int) -> NDArray[np.floating[Any]]:
    """The orthonormal eigenvectors (d, width) of the largest eigenvalues of a symmetric (d, d), largest first.

    Of a wide one all eigenvectors would take five times its memory, and minutes. There some directions more than
    wanted are multiplied by it again and again and made orthonormal (subspace iteration; Golub and Van Loan, Matrix
    Computations, section 8.2.4) until the sum of their eigenvalues, which is what they keep of the rows, grows no
    more; then they are turned into the eigenvectors of what they span.
    """
    if len(gram) <= EXACT_WIDTH:
        return np.asarray(np.linalg.eigh(gram)[1][:, ::-1][:, :width])  # (d, width)
    start = np.random.default_rng(0).standard_normal((len(gram), min(width + SPARE_DIRECTIONS, len(gram))))
    basis = np.linalg.qr(start.astype(gram.dtype))[0]  # (d, w)
    kept = 0.0
    for _ in range(MOST_ITERATIONS):
        image = gram @ basis  # (d, w)
        inner = basis.T @ image  # (w, w)
        before, kept = kept, float(np.trace(inner, dtype=np.float64))
        if kept - before <= ENOUGH * kept:
            break
        basis = np.linalg.qr(image)[0]
    turn = np.linalg.eigh(basis.T @ (gram @ basis))[1][:, ::-1][:, :width]  # (w, width)
    return np.asarray(basis @ turn)


def agreeing_directions(wide: Vectors, narrow: Vectors) -> Floats:
    """The orthonormal directions W (d, w) in which rows (n, d) agree most with their partners (n, w).

    All rows are brought to unit length. Of all W with W'W = 1 this has the largest trace(W'C), where the
    cross-covariance is C = sum_i (x_i - mean x)(y_i - mean y)': the sum of the pairs' inner products around the two
    means. With the singular value decomposition C = U S V' it is W = U V' (Schoenemann 1966: orthogonal Procrustes,
    here with more rows than columns).
    """
    cross = np.zeros((wide.shape[1], narrow.shape[1]))  # (d, w)
    totals = np.zeros(wide.shape[1]), np.zeros(narrow.shape[1])  # (d,), (w,)
    for one, other in zip(parts(wide), parts(narrow), strict=True):
        x, y = matched(one, None).astype(np.float64), matched(other, None).astype(np.float64)  # (m, d), (m, w)
        cross += x.T @ y
        for total, unit in zip(totals, (x, y), strict=True):
            total += unit.sum(axis=0)
    cross -= np.outer(*totals) / len(wide)
    left, _, right = np.linalg.svd(cross, full_matrices=False)  # (d, w), (w,), (w, w)
    return np.ascontiguousarray(left @ right, np.float32)


def fit(text: Vectors, image: Vectors, matching: Matching, shift: float) -> Alignment:
    """The alignment of training rows (n, d_t) and (n, d_i) for one lambda.

    Raises:
        BadInput: a shift is wanted between widths that stay unequal.
    """
    gap = gap_of(text, image, matching)
    if gap is None and shift != 0:
        raise BadInput(
            f"A shift of {shift:g} needs both modalities in one width, but text has {text.shape[1]} and image "
            f"{image.shape[1]} numbers; take another --match than none, or --shift 0."
        )
    return Alignment(
        text=_steps(text, matching.text, gap, shift / 2, matching.text_components),
        image=_steps(image, matching.image, gap, -shift / 2),
        gap=gap,
        shift=shift,
    )


def gap_of(text: Vectors, image: Vectors, matching: Matching) -> Floats | None:
    """Mean of the matched image rows minus mean of the matched text rows (w,); None where widths stay unequal."""
    means = [_moments(rows, way, None)[0] for rows, way in ((text, matching.text), (image, matching.image))]
    return None if len(means[0]) != len(means[1]) else (means[1] - means[0]).astype(np.float32)


def may_shift(text: Vectors, image: Vectors, matching: Matching) -> bool:
    """Whether rows (n, d_t) and (n, d_i) come to one width, in which there is a gap."""
    return text.shape[1] == image.shape[1] or matching.method != "none"


def parts(rows: Vectors) -> Iterator[Floats]:
    """Rows (n, d) some at a time, so that what is computed of them stays small."""
    for start in range(0, len(rows), ROWS_AT_A_TIME):
        yield rows[start : start + ROWS_AT_A_TIME]  # (<= 1024, d)


def _steps(rows: Vectors, way: Way, gap: Floats | None, share: float, components: int | None = None) -> Steps:
    offset = None if gap is None else np.float32(share) * gap  # (w,)
    centre, deviation = _moments(rows, way, offset)
    scale = deviation if deviation > SMALLEST_SCALE else 1.0
    steps = Steps(way.projection, centre.astype(np.float32), np.array(scale, np.float32), way.stretch)
    if components is None:
        return steps
    return replace(steps, components=_components(rows, way, offset, steps.centre, components))


def _components(rows: Vectors, way: Way, offset: Floats | None, centre: Floats, count: int) -> Floats:
    """From centred rows to their first principal components (w, k), each of variance 1: k is `count`, or less where
    the rows differ in fewer directions."""
    covariance = np.zeros((len(centre), len(centre)))  # (w, w)
    for part in parts(rows):
        moved = matched(part, *way)  # (m, w)
        centred = ((moved if offset is None else shifted(moved, offset)) - centre).astype(np.float64)
        covariance += centred.T @ centred / len(rows)
    directions = leading_directions(covariance, min(count, len(rows), len(centre)))  # (w, k)
    variances = np.einsum("wk,wv,vk->k", directions, covariance, directions, optimize=True)  # (k,)
    deviations = np.sqrt(np.maximum(variances, 0))  # where nothing differs, rounding may leave less than 0
    kept = deviations > SMALLEST_COMPONENT
    if not kept.any():  # rows that are all alike: one direction, which is not blown up
        return np.ascontiguousarray(directions[:, :1], np.float32)
    return np.ascontiguousarray(directions[:, kept] / deviations[kept], np.float32)


def _moments(rows: Vectors, way: Way, offset: Floats | None) -> tuple[NDArray[np.float64], float]:
    """Mean (w,) of rows (n, d) once they are matched and moved by `offset`, and their deviation over all numbers.

    Part by part; squares around the means of parts are put together as Chan, Golub and LeVeque (1983) do.
    """
    count, centre, squares = 0, np.zeros(1), 0.0
    for part in parts(rows):
        moved = matched(part, *way)  # (m, w)
        if offset is not None:
            moved = shifted(moved, offset)
        own = moved.mean(axis=0, dtype=np.float64)  # (w,)
        apart = own - centre  # (w,)
        squares += float(np.sum((moved - own) ** 2) + np.sum(apart**2) * count * len(part) / (count + len(part)))
        count += len(part)
        centre = centre + apart * (len(part) / count)  # (w,)
    return centre, float(np.sqrt(squares / (count * len(centre))))
