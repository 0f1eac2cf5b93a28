"""Figures of each value of each subgroup, and which of them are too small to say much."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgefuse.evaluation.judging import judge
from edgefuse.evaluation.predictions import Predictions, join, subset
from edgefuse.evaluation.subgroups import subgroups_of, too_few


def test_the_figures_are_those_of_the_rows_judged_alone(predictions: Predictions) -> None:
    found = subgroups_of(predictions, bootstrap=50, seed=0)["sex"]
    rows = np.flatnonzero(predictions.subgroups["sex"] == "male")
    alone = judge(subset(predictions, rows), bootstrap=50)
    for part in ("n", "samples", "groups", "rows_per_class", "metrics", "intervals", "differences"):
        assert found["male"][part] == alone[part]
    assert found["male"]["calibration"] == alone["calibration"]["methods"]["fused"]["after"]
    assert list(found) == ["female", "male"]
    assert found["female"]["n"] + found["male"]["n"] == len(predictions.ids)


@pytest.mark.parametrize(
    ("counts", "few"),
    [
        ((20, 20, 20), []),
        ((10, 10, 5), ["rows"]),
        ((30, 30, 4), ["c"]),
        ((4, 0, 10), ["rows", "a", "b"]),
    ],
)
def test_small_subgroups_are_marked(predictions: Predictions, counts: tuple[int, ...], few: list[str]) -> None:
    rows = np.concatenate([np.flatnonzero(predictions.labels == k)[:count] for k, count in enumerate(counts)])
    assert too_few(subset(predictions, rows)) == few


def test_rows_of_several_seeds_do_not_make_a_subgroup_larger(predictions: Predictions) -> None:
    few = subset(predictions, np.arange(20))
    pooled = join([few] * 5)
    assert len(pooled.ids) == 100
    assert "rows" in too_few(pooled)
    found = subgroups_of(pooled, bootstrap=10, seed=0)["sex"]["male"]
    assert (found["n"], found["samples"], found["small"]) == (5 * found["samples"], found["samples"], True)


def test_a_single_sample_has_figures_without_intervals(predictions: Predictions) -> None:
    one = replace(predictions, subgroups={"site": np.where(np.arange(len(predictions.ids)) == 7, "scalp", "trunk")})
    found = subgroups_of(one, bootstrap=10, seed=0)["site"]["scalp"]
    assert found["n"] == 1
    assert found["intervals"]["fused"]["accuracy"] is None
    assert found["metrics"]["fused"]["auroc"] is None


def test_the_threshold_is_judged_in_every_subgroup(predictions: Predictions) -> None:
    n = len(predictions.ids)
    careful = replace(predictions, thresholds=predictions.thresholds | {"fused": np.full(n, 0.5)})
    found = subgroups_of(careful, bootstrap=10, seed=0)["sex"]
    kept = sum(each["referral"]["rows_kept"] for each in found.values())
    assert kept == np.sum(predictions.probabilities["fused"].max(axis=1) >= 0.5)
