"""The fitted alignment, applied: the formulas, one sample against a batch, arrays that do not fit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from edgefuse_runtimes import alignment
from edgefuse_runtimes.alignment import Alignment, Steps
from edgefuse_runtimes.errors import BadInput

pytestmark = pytest.mark.field

WIDTHS = {"text": 9, "image": 5}


def _fitted(shift: float = 0.5) -> Alignment:
    rng = np.random.default_rng(0)
    basis, _ = np.linalg.qr(rng.normal(size=(9, 5)))
    centres = 0.1 * rng.normal(size=(2, 5)).astype(np.float32)
    return Alignment(
        text=Steps(basis.astype(np.float32), centres[0], np.array(0.2, np.float32)),
        image=Steps(None, centres[1], np.array(0.3, np.float32)),
        gap=rng.normal(size=5).astype(np.float32),
        shift=shift,
    )


def _rows(n: int = 40) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return (
        (7 + 30 * rng.normal(size=(n, 9))).astype(np.float32),
        (3 * rng.normal(size=(n, 5))).astype(np.float32),
    )


@pytest.mark.parametrize("shift", [-1.0, 0.0, 0.7])
def test_the_steps_are_those_of_the_method(shift: float) -> None:
    fitted, (text, image) = _fitted(shift), _rows()

    def unit(rows: np.ndarray) -> np.ndarray:
        return rows / np.sqrt((rows.astype(np.float64) ** 2).sum(axis=1, keepdims=True))

    wanted_text = unit(unit(unit(text) @ fitted.text.projection) + shift / 2 * fitted.gap)
    wanted_image = unit(unit(image) - shift / 2 * fitted.gap)
    found_text, found_image = alignment.apply(fitted, text, image)
    np.testing.assert_allclose(found_text, (wanted_text - fitted.text.centre) / 0.2, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found_image, (wanted_image - fitted.image.centre) / 0.3, rtol=1e-4, atol=1e-5)


def _stretching() -> Alignment:
    """The image is stretched from 5 to 9 numbers."""
    rng = np.random.default_rng(3)
    centres, scale = 0.1 * rng.normal(size=(2, 9)).astype(np.float32), np.array(0.2, np.float32)
    gap = rng.normal(size=9).astype(np.float32)
    return Alignment(Steps(None, centres[0], scale), Steps(None, centres[1], scale, stretch=9), gap, 0.5)


def _raw() -> Alignment:
    """The widths stay 9 and 5."""
    rng = np.random.default_rng(4)
    centres, scale = [rng.normal(size=width).astype(np.float32) for width in (9, 5)], np.array(0.2, np.float32)
    return Alignment(Steps(None, centres[0], scale), Steps(None, centres[1], scale), None, 0.0)


KINDS = {"projected": _fitted, "stretched": _stretching, "raw": _raw}


@pytest.mark.parametrize(("d", "width"), [(384, 576), (5, 9), (2, 7), (1, 4), (9, 9)])
def test_stretching_is_linear_interpolation_between_the_first_and_the_last_coordinate(d: int, width: int) -> None:
    rows = np.random.default_rng(0).normal(size=(20, d)).astype(np.float32)
    wanted = [np.interp(np.linspace(0, 1, width), np.linspace(0, 1, d), row) for row in rows]
    np.testing.assert_allclose(alignment.stretched(rows, width), wanted, atol=1e-5)
    assert alignment.stretched(rows, width).dtype == np.float32
    np.testing.assert_array_equal(alignment.stretched(rows, width)[:, [0, -1]], rows[:, [0, -1]])


def test_widths_that_stay_are_normalised_and_centred() -> None:
    fitted, (text, image) = _raw(), _rows()
    for found, rows, steps in zip(
        alignment.apply(fitted, text, image), (text, image), (fitted.text, fitted.image), strict=True
    ):
        unit = rows / np.sqrt((rows.astype(np.float64) ** 2).sum(axis=1, keepdims=True))
        np.testing.assert_allclose(found, (unit - steps.centre) / 0.2, rtol=1e-4, atol=1e-5)
    assert fitted.widths == WIDTHS


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
def test_a_sample_alone_gets_what_it_gets_in_a_batch(make: Callable[[], Alignment]) -> None:
    fitted, (text, image) = make(), _rows()
    together = alignment.apply(fitted, text, image)
    alone = [alignment.apply(fitted, t, i) for t, i in zip(text, image, strict=True)]
    for modality in (0, 1):
        np.testing.assert_allclose([one[modality] for one in alone], together[modality], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
def test_arrays_bring_the_alignment_back(make: Callable[[], Alignment]) -> None:
    fitted, rows = make(), _rows()
    again = alignment.from_arrays(alignment.to_arrays(fitted), WIDTHS)
    for found, wanted in zip(alignment.apply(again, *rows), alignment.apply(fitted, *rows), strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("gap", None, "lacks|in place of|no projection"),
        ("text.projection", None, "no projection for text"),
        ("text.projection", np.zeros((8, 5), np.float32), r"in place of float32 \(9, 5\)"),
        ("image.centre", np.zeros(6, np.float32), r"in place of float32 \(5,\)"),
        ("image.scale", np.array(0, np.float32), "not positive"),
        ("shift", np.array("1"), "in place of float32"),
        ("text.centre", np.full(5, np.inf, np.float32), "NaN or infinite"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(name: str, value: np.ndarray | None, said: str) -> None:
    arrays = {key: array for key, array in alignment.to_arrays(_fitted()).items() if key != name}
    if value is not None:
        arrays[name] = value
    with pytest.raises(BadInput, match=said):
        alignment.from_arrays(arrays, WIDTHS)


def test_an_alignment_for_other_encoders_is_refused() -> None:
    with pytest.raises(BadInput, match="projection"):
        alignment.from_arrays(alignment.to_arrays(_fitted()), {"text": 9, "image": 6})


@pytest.mark.parametrize(
    ("make", "name", "value", "said"),
    [
        (_stretching, "image.stretch", np.array(8, np.float32), r"'image\.stretch' does not fit the width 9"),
        (_stretching, "image.projection", np.zeros((5, 9), np.float32), r"'image\.stretch' does not fit"),
        (_raw, "shift", np.array(0.5, np.float32), "no gap to shift along"),
        (_raw, "image.centre", np.zeros(9, np.float32), r"in place of float32 \(5,\)"),
    ],
)
def test_arrays_of_a_matching_that_does_not_fit_are_refused(
    make: Callable[[], Alignment], name: str, value: np.ndarray, said: str
) -> None:
    with pytest.raises(BadInput, match=said):
        alignment.from_arrays(alignment.to_arrays(make()) | {name: value}, WIDTHS)
