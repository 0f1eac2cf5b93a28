"""Heads have the paper's sizes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edgefuse.training import shapes


@pytest.mark.parametrize(
    ("text", "image", "outputs", "early", "late"),
    [
        (4096, 768, 1, 623105, 311809),
        (4096, 768, 2, 623234, 311938),
        (4096, 768, 7, 623879, 312583),
        (512, 512, 1, 131585, 66049),
        (512, 512, 2, 131714, 66178),
        (512, 512, 7, 132359, 66823),
    ],
)
def test_heads_have_the_papers_sizes(text: int, image: int, outputs: int, early: int, late: int) -> None:
    assert shapes.early(text, image, outputs).parameter_count == early
    assert shapes.late(text, image, outputs).parameter_count == late


@pytest.mark.parametrize("build", [shapes.early, shapes.late])
def test_deeper_branches_have_blocks_of_one_width(build: Callable[..., shapes.Architecture]) -> None:
    shape = build(9, 5, 3, hidden=7, depth=3, dropout=0.1)
    assert all(branch.hidden == (7, 7, 7) for branch in shape.branches)
    assert shape.dropout == 0.1
    blocks = sum((inputs + 3) * 7 for branch in shape.branches for inputs in branch.widths[:-1])
    assert shape.parameter_count == blocks + (shape.hidden + 1) * 3


def test_baselines_read_their_own_columns() -> None:
    (text,), (image,) = shapes.text_only(9, 3).branches, shapes.image_only(9, 5, 3).branches
    assert (text.reads, text.start, text.stop) == (("text",), 0, 9)
    assert (image.reads, image.start, image.stop) == (("image",), 9, 14)
