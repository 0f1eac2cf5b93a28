"""Student's t against scipy's."""

from __future__ import annotations

import pytest

from edgefuse_bench.student import student


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 7, 8, 14, 31, 100, 399])
@pytest.mark.parametrize("level", [0.5, 0.95, 0.99])
def test_students_quantile_is_scipys(freedom: int, level: float) -> None:
    stats = pytest.importorskip("scipy.stats", reason="the reference for Student's t")
    assert student(freedom, level) == pytest.approx(stats.t.ppf((1 + level) / 2, freedom), rel=1e-9)
