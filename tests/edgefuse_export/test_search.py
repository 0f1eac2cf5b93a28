"""A rounding chosen by measurement; which one is faster here says nothing, since the encoder is tiny and random."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgefuse_export import graph, search
from edgefuse_export.int8.convert import make_lean
from edgefuse_export.int8.recipe import DEFAULT
from edgefuse_export.preprocessing import DINOV2
from edgefuse_runtimes.errors import BadInput, QualityGate
from edgefuse_runtimes.image import prepare

TRIED = search.Tried("one", DEFAULT, 10.0, 0.40, 1000, 1e-4, 1e-5, 5e-4, 0.9)


def test_every_candidate_is_made_and_measured(tiny_image_onnx: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (32, 224, 224, 3), np.uint8)
    pictures = [prepare(Image.fromarray(picture), DINOV2)[None] for picture in noise]
    graph.fold(tiny_image_onnx, tmp_path / "fp32.onnx", 224)
    make_lean(tmp_path / "fp32.onnx", tmp_path / "lean.onnx", pictures[:2], first_token=True)
    tried = search.try_candidates(tmp_path / "lean.onnx", tmp_path, pictures, DINOV2)
    assert [one.name for one in tried] == list(search.CANDIDATES)
    for one in tried:
        assert 0 < one.error < 1e-2
        assert one.milliseconds > 0
        assert 0 <= one.neighbours <= 1
    lines = search.table(tried)
    assert len(lines) == 1 + len(tried)
    assert len({len(line) for line in lines}) == 1


def test_few_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="A search needs 32 calibration pictures, and 3 were given"):
        search.try_candidates(tmp_path / "lean.onnx", tmp_path, [np.zeros((1, 3, 8, 8), np.float32)] * 3, DINOV2)


def test_the_fastest_within_the_limit_is_best() -> None:
    slow, wrong = replace(TRIED, name="slow", ratio=0.5), replace(TRIED, name="wrong", ratio=0.1, error=1e-2)
    assert search.best([slow, TRIED, wrong], 6e-4) == TRIED


def test_of_equally_fast_ones_the_nearest_is_best() -> None:
    nearer = replace(TRIED, name="nearer", ratio=0.404, error=5e-5)
    assert search.best([TRIED, nearer], 6e-4) == nearer


def test_where_none_is_near_enough_it_says_how_near_they_come() -> None:
    with pytest.raises(QualityGate, match=r"No rounding brings .* of 1.0e-05: the nearest, 'one', has 1.0e-04"):
        search.best([replace(TRIED, name="far", error=1e-3), TRIED], 1e-5)
