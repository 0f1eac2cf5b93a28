"""The measures of the gap, against scikit-learn and numpy in double precision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from sklearn.decomposition import PCA

from edgefuse import modality_gap
from edgefuse.embeddings.table import Table
from edgefuse.modality_gap import Pair
from edgefuse.training import align
from edgefuse_runtimes.errors import BadInput


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)


def _pair(n: int = 200, width: int = 12) -> Pair:
    rng = np.random.default_rng(0)
    text = _unit(2 + rng.normal(size=(n, width)))
    image = _unit(np.linspace(-1, 2, width) + rng.normal(size=(n, width)) * np.linspace(0.2, 2, width))
    return Pair(text.astype(np.float32), image.astype(np.float32))


@pytest.mark.parametrize("width", [12, align.EXACT_WIDTH + 1])
def test_components_are_those_of_scikit_learn_over_both_modalities(width: int) -> None:
    pair = _pair(width=width)
    found = modality_gap.components(pair, 3)
    wanted = PCA(3, svd_solver="full").fit(np.concatenate(pair)).components_.T  # (w, 3)
    np.testing.assert_allclose(np.abs((found * wanted).sum(axis=0)), 1, atol=1e-6)
    apart = pair.image.mean(axis=0) - pair.text.mean(axis=0)
    assert (apart @ found >= 0).all()


def test_both_variances_are_those_of_their_definitions() -> None:
    pair = _pair()
    found = modality_gap.measure(pair)
    plane = PCA(2, svd_solver="full").fit(np.concatenate(pair))
    for name, rows in pair._asdict().items():
        assert found.variance_joint[name] == pytest.approx(plane.transform(rows).var(axis=0).mean(), rel=1e-4)
        assert found.variance[name] == pytest.approx(np.var(rows.astype(np.float64), axis=0).mean(), rel=1e-5)
        total = 12 * found.variance[name] + found.cone[name] ** 2  # what varies and the mean make up the length, 1
        assert total == pytest.approx(1, abs=1e-5)


def test_the_gap_and_the_cone_of_known_vectors() -> None:
    text = np.array([[1, 0], [0, 1]], np.float32)
    image = np.array([[-1, 0], [-1, 0]], np.float32)
    found = modality_gap.measure(Pair(text, image))
    assert found.gap == pytest.approx(np.hypot(1.5, 0.5))
    assert found.cone == pytest.approx({"text": np.sqrt(0.5), "image": 1.0})
    assert found.cosine == pytest.approx(-np.sqrt(0.5))


@pytest.mark.parametrize("shift", [-1.0, 0.0, 0.5, 1.0])
def test_after_the_shift_the_rows_are_where_the_formula_says(make_table: Callable[..., Table], shift: float) -> None:
    table = make_table(widths=(16, 16))
    fitted = modality_gap.fit(table, "pca", shift)
    before = fitted.before()
    rows = table.splits == "train"
    text, image = _unit(table.text[rows]), _unit(table.image[rows])
    gap = image.mean(axis=0) - text.mean(axis=0)
    np.testing.assert_allclose(before.text, text, atol=1e-6)
    after = fitted.after(before)
    np.testing.assert_allclose(after.text, _unit(text + shift / 2 * gap), atol=1e-5)
    np.testing.assert_allclose(after.image, _unit(image - shift / 2 * gap), atol=1e-5)


def test_only_training_rows_are_fitted_on(make_table: Callable[..., Table]) -> None:
    table = make_table()
    spoilt = replace(table, text=np.array(table.text[:]), image=np.array(table.image[:]))
    others = table.splits != "train"
    spoilt.text[others], spoilt.image[others] = 1e6, -1e6
    one, other = (modality_gap.fit(each, "project", 1.0) for each in (table, spoilt))
    np.testing.assert_array_equal(one.alignment.gap, other.alignment.gap)
    assert len(one.before("validation").text) == np.sum(table.splits == "validation")


def test_what_a_projection_keeps() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(100, 10)).astype(np.float32)
    way = align.Way(np.eye(10, 4, dtype=np.float32))
    wanted = np.mean((rows[:, :4] ** 2).sum(axis=1) / (rows**2).sum(axis=1))
    assert modality_gap.kept_length(rows, way) == pytest.approx(wanted, rel=1e-5)
    assert modality_gap.kept_length(rows, align.Way()) is None


def test_cosines_that_stay_and_cosines_that_do_not() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(100, 10)).astype(np.float32)
    turn, _ = np.linalg.qr(rng.normal(size=(10, 10)))
    assert modality_gap.kept_cosines(rows, rows @ turn.astype(np.float32)) == pytest.approx(1)
    assert modality_gap.kept_cosines(rows, rng.normal(size=(100, 10)).astype(np.float32)) == pytest.approx(0, abs=0.1)
    assert modality_gap.kept_cosines(np.ones_like(rows), rows) is None


def test_a_table_without_training_rows_is_refused(make_table: Callable[..., Table]) -> None:
    with pytest.raises(BadInput, match="no training rows"):
        modality_gap.fit(make_table(splits=("test", "validation")), "pca")
