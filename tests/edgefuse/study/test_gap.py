"""The gap in a study's report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgefuse.embeddings.table import Table
from edgefuse.modality_gap import fit, measure
from edgefuse.study import paper
from edgefuse.study.gap import gaps_of


def test_every_table_is_measured_before_and_after_the_shift(make_table: Callable[..., Table], tmp_path: Path) -> None:
    tables = {"one": make_table(tmp_path / "V1"), "other": make_table(tmp_path / "V2", widths=(16, 16), seed=1)}
    gaps = gaps_of(tables, "pca", with_paper=False)
    assert gaps is not None
    assert [(row["encoders"], row["state"]) for row in gaps.sheet.rows] == [
        ("one", "before"), ("one", "shift 1"), ("other", "before"), ("other", "shift 1"),
    ]  # fmt: skip
    fitted = fit(tables["other"], "pca")
    before = fitted.before()
    for row, pair in zip(gaps.sheet.rows[2:], (before, fitted.after(before)), strict=True):
        wanted = measure(pair)
        assert row["gap"] == pytest.approx(wanted.gap)
        assert row["cone_text"] == pytest.approx(wanted.cone["text"])
        assert row["variance_joint_image"] == pytest.approx(wanted.variance_joint["image"])
        assert row["variance_text"] == pytest.approx(wanted.variance["text"])
    assert len(gaps.plane.axes) == len(gaps.space.axes) == 4


def test_the_papers_variances_stand_below_those_measured(make_table: Callable[..., Table]) -> None:
    gaps = gaps_of({"CLIP": make_table(widths=(16, 16))}, "project", with_paper=True)
    assert gaps is not None
    cells = gaps.sheet.cells()
    assert len(cells) == 2 + len(paper.VARIANCES) == 8
    assert cells[3] == ["the paper: CLIP, HAM10000", "before", "", "", "", "5.6e-02", "6.9e-04", "", ""]


def test_widths_that_stay_unequal_have_no_gap(make_table: Callable[..., Table]) -> None:
    assert gaps_of({"one": make_table()}, "none", with_paper=True) is None
