"""The fit of the alignment: what its parts promise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from sklearn.decomposition import PCA

from edgefuse.embeddings.table import Table
from edgefuse.heads import open_head, write_head
from edgefuse.training import align
from edgefuse.training.recipe import train_head
from edgefuse.training.trainer import Settings
from edgefuse_runtimes import alignment
from edgefuse_runtimes.errors import BadInput


def _rows(n: int = 120, d_t: int = 14, d_i: int = 8) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    text = 20 + rng.normal(size=(n, d_t)) * np.array([50, *[1] * (d_t - 1)])  # one massive coordinate
    return text.astype(np.float32), rng.normal(1, 2, size=(n, d_i)).astype(np.float32)


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.sqrt((rows.astype(np.float64) ** 2).sum(axis=1, keepdims=True))


def test_directions_keep_as_much_as_a_singular_value_decomposition() -> None:
    rows, _ = _rows()
    found = align.principal_directions(rows, 5)
    np.testing.assert_allclose(found.T @ found, np.eye(5), atol=1e-6)
    values = np.linalg.svd(_unit(rows), compute_uv=False)
    assert np.sum((_unit(rows) @ found) ** 2) == pytest.approx(np.sum(values[:5] ** 2), rel=1e-6)
    assert (_unit(rows).mean(axis=0) @ found >= 0).all()


def _agreement(directions: np.ndarray, wide: np.ndarray, narrow: np.ndarray) -> float:
    x, y = _unit(wide), _unit(narrow)
    return float(np.sum(((x - x.mean(axis=0)) @ directions) * (y - y.mean(axis=0))))


def test_no_other_directions_agree_better_with_the_partners() -> None:
    """The largest trace is the sum of the singular values of the cross-covariance; drawn directions stay below."""
    rng = np.random.default_rng(1)
    wide, narrow = _rows()
    wide[:, 2:10] += 3 * narrow  # something to agree in
    found = align.agreeing_directions(wide, narrow)
    np.testing.assert_allclose(found.T @ found, np.eye(8), atol=1e-6)
    cross = np.cov(_unit(wide).T, _unit(narrow).T, ddof=0)[:14, 14:] * len(wide)
    best = np.linalg.svd(cross, compute_uv=False).sum()
    assert _agreement(found, wide, narrow) == pytest.approx(best, rel=1e-5)
    for size in (0.01, 0.1, 1, 100):
        drawn, _ = np.linalg.qr(found + size * rng.normal(size=found.shape))
        signs = np.where((drawn * found).sum(axis=0) < 0, -1, 1)  # QR leaves them open
        assert _agreement(drawn * signs, wide, narrow) < best


def test_a_turned_and_widened_copy_is_turned_back() -> None:
    rng = np.random.default_rng(2)
    _, narrow = _rows()
    turn, _ = np.linalg.qr(rng.normal(size=(14, 8)))
    found = align.agreeing_directions((narrow @ turn.T).astype(np.float32), narrow)
    np.testing.assert_allclose(found, turn, atol=1e-4)


def test_partners_matter_to_project_and_not_to_pca() -> None:
    text, image = _rows()
    other = image[::-1].copy()
    assert np.array_equal(align.match(text, image, "pca").text[0], align.match(text, other, "pca").text[0])
    assert not np.allclose(align.match(text, image, "project").text[0], align.match(text, other, "project").text[0])


def test_fewer_rows_than_coordinates_still_give_a_basis() -> None:
    rows = np.random.default_rng(0).normal(size=(3, 10)).astype(np.float32)
    found = align.principal_directions(rows, 6)
    np.testing.assert_allclose(found.T @ found, np.eye(6), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(rows @ found, axis=1), np.linalg.norm(rows, axis=1), rtol=1e-5)


WIDTHS = {"pca": (8, 8), "project": (8, 8), "interpolate": (14, 14), "none": (14, 8)}
"""Of aligned text and image, 14 and 8 wide before."""


@pytest.mark.parametrize("turned", [False, True], ids=["text wider", "image wider"])
@pytest.mark.parametrize("method", align.METHODS)
def test_every_method_brings_rows_to_its_width(method: align.Method, turned: bool) -> None:
    (text, image), wanted = (pair[::-1] if turned else pair for pair in (_rows(), WIDTHS[method]))
    matching = align.match(text, image, method)
    assert align.may_shift(text, image, matching) == (method != "none")
    fitted = align.fit(text, image, matching, 0.5 if method != "none" else 0)
    aligned = alignment.apply(fitted, text, image)
    assert tuple(rows.shape[1] for rows in aligned) == tuple(fitted.widths.values()) == wanted
    for rows in aligned:
        np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-4)
        assert np.sqrt(np.mean(rows**2)) == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize("method", align.METHODS)
def test_equal_widths_stay_as_they_are(method: align.Method) -> None:
    text, image = _rows(d_t=8)
    matching = align.match(text, image, method)
    assert matching == align.AS_THEY_ARE
    assert align.fit(text, image, matching, 1).gap is not None


def test_widths_that_stay_unequal_have_no_gap_to_shift_along() -> None:
    text, image = _rows()
    matching = align.match(text, image, "none")
    assert align.fit(text, image, matching, 0).gap is None
    with pytest.raises(
        BadInput, match=r"text has 14 and image 8 numbers; take another --match than none, or --shift 0"
    ):
        align.fit(text, image, matching, 0.5)


def test_rows_come_in_parts_as_well_as_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    text, image = _rows()
    whole = [align.fit(text, image, align.match(text, image, method), 0) for method in align.METHODS]
    monkeypatch.setattr(align, "ROWS_AT_A_TIME", 17)
    for method, wanted in zip(align.METHODS, whole, strict=True):
        found = align.fit(text, image, align.match(text, image, method), 0)
        for one, other in zip(alignment.apply(found, text, image), alignment.apply(wanted, text, image), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-3)


def test_a_shift_of_one_makes_the_means_meet() -> None:
    text, image = _rows()
    matching = align.match(text, image)
    fitted = align.fit(text, image, matching, 1.0)
    units = alignment.matched(text, *matching.text), alignment.matched(image, *matching.image)
    np.testing.assert_allclose(fitted.gap, units[1].mean(axis=0) - units[0].mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(
        (units[0] + fitted.gap / 2).mean(axis=0), (units[1] - fitted.gap / 2).mean(axis=0), atol=1e-6
    )


def test_equal_notes_are_not_blown_up() -> None:
    text, image = _rows()
    fitted = align.fit(np.repeat(text[:1], 120, axis=0), image, align.match(text, image), 0.0)
    aligned, _ = alignment.apply(fitted, text[:1], image[:1])
    assert np.abs(aligned).max() < 1e-3


def test_stretching_is_torchs_with_corners_aligned() -> None:
    torch = pytest.importorskip("torch")
    _, image = _rows()
    wanted = torch.nn.functional.interpolate(torch.tensor(image)[:, None], size=14, mode="linear", align_corners=True)
    np.testing.assert_allclose(alignment.stretched(image, 14), wanted[:, 0].numpy(), atol=1e-5)


@pytest.mark.parametrize("method", align.METHODS)
def test_a_head_of_every_method_opens_again_and_answers_one_sample_as_in_a_batch(
    make_table: Callable[..., Table], tmp_path: Path, method: align.Method
) -> None:
    table = make_table()  # text 24, image 16
    write_head(tmp_path / "H", train_head(table, fusion="late", settings=Settings(epochs=1), match=method))
    head = open_head(tmp_path / "H")
    assert head.training["matching"] == method
    assert head.training["widths"] == {
        "text": 24 if method in ("interpolate", "none") else 16,
        "image": 24 if method == "interpolate" else 16,
    }
    assert head.training["shifts_tried"] == ([0] if method == "none" else [0, 0.5, 1])
    together = head.probabilities(table.text[:9], table.image[:9])
    alone = [head.probabilities(table.text[k], table.image[k]) for k in range(9)]
    np.testing.assert_allclose(alone, together, rtol=1e-5)


def test_a_note_alone_has_the_components_of_its_row_in_a_batch_even_the_smallest() -> None:
    rng = np.random.default_rng(3)
    spread = 1.05 ** -np.arange(200.0)  # the last kept component is a hundredth of the first
    text = (1 + rng.normal(size=(400, 200)) * spread).astype(np.float32)
    image = rng.normal(size=(400, 120)).astype(np.float32)
    fitted = align.fit(text, image, align.match(text, image, text_components=100), 0.5)
    together = alignment.align_text(fitted, text)  # (400, k)
    alone = np.stack([alignment.align_text(fitted, row) for row in text])  # (400, k)
    assert together.dtype == np.float32
    assert together.shape[1] > 60
    assert (np.linalg.norm(alone - together, axis=1) <= 1e-6 * np.linalg.norm(together, axis=1)).all()


def test_directions_of_wide_vectors_are_found_step_by_step_and_keep_as_much(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    spectrum = 0.97 ** np.arange(300)  # falls slowly, so that neighbours are hard to tell apart
    rows = (rng.normal(size=(500, 300)) * spectrum) @ np.linalg.qr(rng.normal(size=(300, 300)))[0]
    gram = rows.T @ rows
    exact = align.leading_directions(gram, 40)
    monkeypatch.setattr(align, "EXACT_WIDTH", 100)
    found = align.leading_directions(gram, 40)
    np.testing.assert_allclose(found.T @ found, np.eye(40), atol=1e-10)
    single = align.leading_directions(gram.astype(np.float32), 40)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single.T @ single, np.eye(40), atol=1e-5)
    kept, best = (np.trace(directions.T @ gram @ directions) for directions in (found, exact))
    assert kept == pytest.approx(best, rel=1e-5)
    assert np.trace(single.T @ gram @ single) == pytest.approx(best, rel=1e-5)
    np.testing.assert_allclose(np.abs((found[:, :10] * exact[:, :10]).sum(axis=0)), 1, atol=1e-3)


@pytest.mark.parametrize(("fusion", "count"), [("early", 623_879), ("late", 312_583)])
def test_unmatched_widths_give_the_papers_heads(
    make_table: Callable[..., Table], fusion: Literal["early", "late"], count: int
) -> None:
    """LLaMA-2 and DINOv2 for the 7 classes of HAM10000."""
    table = make_table(classes=tuple("abcdefg"), widths=(4096, 768), labels=lambda k, count: k % count)
    head = train_head(table, fusion=fusion, settings=Settings(epochs=1), match="none")
    assert head.training["parameters"] == count
    assert len({branch.reads for branch in head.fused.branches}) == {"early": 1, "late": 2}[fusion]
    assert sum(branch.layers[0].weight.shape[1] for branch in head.fused.branches) == 4096 + 768


def test_notes_are_taken_down_to_components_of_equal_spread() -> None:
    rng = np.random.default_rng(0)
    facts = rng.normal(size=(400, 3)) * [1, 0.1, 0.01]  # three facts of very different weight
    text = (5 + facts @ rng.normal(size=(3, 24))).astype(np.float32)
    image = rng.normal(size=(400, 24)).astype(np.float32)
    fitted = align.fit(text, image, align.match(text, image, text_components=8), 0.5)
    aligned_text, aligned_image = alignment.apply(fitted, text, image)
    np.testing.assert_allclose(np.cov(aligned_text, rowvar=False, bias=True)[:3, :3], np.eye(3), atol=2e-3)
    assert aligned_image.shape == (400, 24)
    unit = text / np.linalg.norm(text, axis=1, keepdims=True)
    half = 0.25 * (image / np.linalg.norm(image, axis=1, keepdims=True)).mean(axis=0) - 0.25 * unit.mean(axis=0)
    moved = (unit + half) / np.linalg.norm(unit + half, axis=1, keepdims=True)
    reference = PCA(3, whiten=True).fit_transform(moved)  # (400, 3)
    for ours, theirs in zip(aligned_text.T[:3], reference.T, strict=True):
        assert abs(np.corrcoef(ours, theirs)[0, 1]) > 0.999
    one = alignment.apply(fitted, text[7], image[7])
    np.testing.assert_allclose(one[0], aligned_text[7], rtol=1e-4, atol=1e-4)
    again = alignment.from_arrays(alignment.to_arrays(fitted), {"text": 24, "image": 24})
    np.testing.assert_array_equal(alignment.apply(again, text, image)[0], aligned_text)


def test_notes_that_are_all_alike_have_one_component_of_nothing() -> None:
    text = np.tile(np.arange(1, 7, dtype=np.float32), (20, 1))
    image = np.random.default_rng(0).normal(size=(20, 6)).astype(np.float32)
    fitted = align.fit(text, image, align.match(text, image, text_components=4), 0.0)
    aligned_text = alignment.apply(fitted, text, image)[0]
    assert aligned_text.shape == (20, 1)
    assert np.abs(aligned_text).max() < 1e-5
    other = alignment.align_text(fitted, text[0, ::-1])  # (1,): a note unlike all that it was fitted on
    assert np.abs(other).max() <= 2


def test_a_component_that_rounding_reaches_is_left_out_so_that_one_note_is_as_in_a_batch() -> None:
    rng = np.random.default_rng(0)
    spread = np.geomspace(1, 1e-6, 48)  # (48,): of the coordinates
    text = (5 + rng.normal(size=(300, 48)) * spread).astype(np.float32)
    image = rng.normal(size=(300, 24)).astype(np.float32)
    fitted = align.fit(text, image, align.match(text, image, text_components=24), 0.0)
    assert 1 < fitted.text.width < 24
    rows = alignment.align_text(fitted, text)  # (300, k)
    alone = np.stack([alignment.align_text(fitted, row) for row in text])  # (300, k)
    lengths = np.linalg.norm(rows, axis=1)  # (300,)
    assert (np.linalg.norm(alone - rows, axis=1) / lengths).max() < 1e-4
