"""Draws of groups: what they weigh, and that their intervals are those of drawing rows by hand."""

from __future__ import annotations

import numpy as np
import pytest

from edgefuse.metrics import bootstrap, classification

GROUPS = np.array(["b", "a", "c", "a", "b", "b"])


def test_line_0_is_the_rows_as_they_are_and_each_draw_has_as_many_groups() -> None:
    draws = bootstrap.draw(GROUPS, 50, seed=0)
    assert draws.weights.shape == (51, 3)
    np.testing.assert_array_equal(draws.weights[0], 1)
    np.testing.assert_array_equal(draws.weights.sum(axis=1), 3)
    [rows] = draws.row_weights()
    np.testing.assert_array_equal(rows[:, 1], rows[:, 3])
    np.testing.assert_array_equal(rows[:, 0], rows[:, 5])


def test_totals_are_those_of_the_rows_drawn_one_by_one() -> None:
    values = np.random.default_rng(0).normal(size=(6, 2))
    draws = bootstrap.draw(GROUPS, 20, seed=1)
    [rows] = draws.row_weights()
    np.testing.assert_allclose(draws.totals(values), rows @ values, rtol=1e-6)


def test_rows_come_in_blocks_where_there_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    draws = bootstrap.draw(GROUPS, 20, seed=1)
    [whole] = draws.row_weights()
    monkeypatch.setattr(bootstrap, "ROW_WEIGHTS_AT_A_TIME", 30)
    blocks = list(draws.row_weights())
    assert len(blocks) > 1
    np.testing.assert_array_equal(np.concatenate(blocks), whole)


def test_the_interval_of_a_share_is_that_of_its_binomial_spread() -> None:
    right = np.arange(400) % 4 > 0  # .75 of 400 groups of one row
    draws = bootstrap.draw(np.arange(400).astype(str), 4000, seed=0)
    columns = classification.outcomes(np.ones(400, np.int64), right.astype(np.int64), 2)
    values = classification.accuracy(classification.count(draws.totals(columns)))
    found = bootstrap.interval(values)
    assert found is not None
    spread = 1.96 * np.sqrt(0.75 * 0.25 / 400)
    np.testing.assert_allclose(found, [0.75 - spread, 0.75 + spread], atol=0.005)


def test_rows_that_are_alike_widen_the_interval() -> None:
    values = np.repeat(np.arange(50) % 2, 4)[:, None].astype(float)  # (200, 1): four equal rows a group
    apart = bootstrap.draw(np.arange(200).astype(str), 2000, seed=0).totals(values)[:, 0] / 200
    together = bootstrap.draw(np.repeat(np.arange(50), 4).astype(str), 2000, seed=0).totals(values)[:, 0] / 200
    widths = [np.subtract(*bootstrap.interval(each)[::-1]) for each in (apart, together)]
    assert widths[1] / widths[0] == pytest.approx(2, rel=0.1)  # the square root of 4


def test_one_group_gives_no_interval() -> None:
    draws = bootstrap.draw(np.array(["a", "a"]), 100, seed=0)
    assert bootstrap.interval(draws.totals(np.ones((2, 1)))[:, 0]) is None
    assert bootstrap.interval(np.array([0.5, np.nan])) is None
