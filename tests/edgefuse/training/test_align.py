"""The fit of the alignment: what its parts promise."""

from __future__ import annotations

import numpy as np
import pytest

from edgefuse.training import align
from edgefuse_runtimes import alignment


def _rows(n: int = 120, d_t: int = 14, d_i: int = 8) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    text = 20 + rng.normal(size=(n, d_t)) * np.array([50, *[1] * (d_t - 1)])  # one massive coordinate
    return text.astype(np.float32), rng.normal(1, 2, size=(n, d_i)).astype(np.float32)


def test_directions_keep_as_much_as_a_singular_value_decomposition() -> None:
    rows, _ = _rows()
    found = align.principal_directions(rows, 5)
    np.testing.assert_allclose(found.T @ found, np.eye(5), atol=1e-6)
    values = np.linalg.svd(rows.astype(np.float64), compute_uv=False)
    assert np.sum((rows.astype(np.float64) @ found) ** 2) == pytest.approx(np.sum(values[:5] ** 2), rel=1e-6)
    assert (rows.mean(axis=0) @ found >= 0).all()


def test_fewer_rows_than_coordinates_still_give_a_basis() -> None:
    rows = np.random.default_rng(0).normal(size=(3, 10)).astype(np.float32)
    found = align.principal_directions(rows, 6)
    np.testing.assert_allclose(found.T @ found, np.eye(6), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(rows @ found, axis=1), np.linalg.norm(rows, axis=1), rtol=1e-5)


@pytest.mark.parametrize(("d_t", "d_i", "projected"), [(14, 8, "text"), (8, 14, "image"), (8, 8, None)])
def test_only_the_wider_modality_is_projected(d_t: int, d_i: int, projected: str | None) -> None:
    text, image = _rows(d_t=d_t, d_i=d_i)
    matching = align.match(text, image)
    assert (matching.text is not None) == (projected == "text")
    assert (matching.image is not None) == (projected == "image")
    fitted = align.fit(text, image, matching, 0.5)
    assert fitted.width == 8
    assert [rows.shape for rows in alignment.apply(fitted, text, image)] == [(120, 8), (120, 8)]


def test_a_shift_of_one_makes_the_means_meet() -> None:
    text, image = _rows()
    matching = align.match(text, image)
    fitted = align.fit(text, image, matching, 1.0)
    units = alignment.matched(text, matching.text), alignment.matched(image, matching.image)
    np.testing.assert_allclose(fitted.gap, units[1].mean(axis=0) - units[0].mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(
        (units[0] + fitted.gap / 2).mean(axis=0), (units[1] - fitted.gap / 2).mean(axis=0), atol=1e-6
    )


def test_training_rows_come_out_around_zero_and_of_size_one() -> None:
    text, image = _rows()
    fitted = align.fit(text, image, align.match(text, image), 0.5)
    for rows in alignment.apply(fitted, text, image):
        np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-4)
        assert np.sqrt(np.mean(rows**2)) == pytest.approx(1, rel=1e-4)


def test_equal_notes_are_not_blown_up() -> None:
    text, image = _rows()
    fitted = align.fit(np.repeat(text[:1], 120, axis=0), image, align.match(text, image), 0.0)
    aligned, _ = alignment.apply(fitted, text[:1], image[:1])
    assert np.abs(aligned).max() < 1e-3
