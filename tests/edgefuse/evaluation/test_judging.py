"""All figures of predictions: right, paired, and in plain JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from edgefuse.evaluation.judging import judge
from edgefuse.evaluation.predictions import METHODS, Predictions
from edgefuse.metrics import bootstrap

MakePredictions = Callable[..., Predictions]


@pytest.mark.parametrize("multilabel", [False, True])
def test_the_figures_are_scikit_learns(make_predictions: MakePredictions, multilabel: bool) -> None:
    reference = pytest.importorskip("sklearn.metrics", reason="compares with scikit-learn, not installed")
    given = make_predictions(multilabel=multilabel)
    found = judge(given, bootstrap=10)["metrics"]["fused"]
    probabilities = given.probabilities["fused"]
    predicted = (probabilities >= 0.5).astype(int) if multilabel else probabilities.argmax(axis=1)
    assert found["accuracy"] == pytest.approx(reference.accuracy_score(given.labels, predicted))
    assert found["macro_f1"] == pytest.approx(reference.f1_score(given.labels, predicted, average="macro"))
    area = reference.roc_auc_score(given.labels, probabilities, multi_class="ovr", average="macro")
    assert found["auroc"] == pytest.approx(area)
    f1 = reference.f1_score(given.labels, predicted, average=None)
    np.testing.assert_allclose(list(found["class_f1"].values()), f1)


@pytest.mark.parametrize(("classes", "multilabel"), [(2, False), (3, False), (3, True)])
def test_it_is_plain_json_with_an_interval_around_every_figure(
    make_predictions: MakePredictions, classes: int, multilabel: bool
) -> None:
    found = judge(make_predictions(classes=classes, multilabel=multilabel), bootstrap=200)
    assert json.loads(json.dumps(found, allow_nan=False))["n"] == 120
    assert (found["samples"], found["groups"]) == (120, 60)
    assert list(found["metrics"]) == list(found["intervals"]) == list(METHODS)
    for method in METHODS[1:]:
        for name in ("accuracy", "balanced_accuracy", "macro_f1", "auroc"):
            low, high = found["intervals"][method][name]
            assert low < found["metrics"][method][name] < high
    assert found["differences"]["text_only"]["accuracy"]["interval"][0] > 0


def test_the_same_seed_gives_the_same_intervals(make_predictions: MakePredictions) -> None:
    given = make_predictions()
    assert judge(given, bootstrap=50, seed=1) == judge(given, bootstrap=50, seed=1)
    assert judge(given, bootstrap=50, seed=1)["intervals"] != judge(given, bootstrap=50, seed=2)["intervals"]


def test_a_difference_is_paired_and_so_narrower_than_two_intervals(make_predictions: MakePredictions) -> None:
    given = make_predictions(400)
    nearly = given.probabilities["fused"].copy()
    nearly[:4] = nearly[:4, ::-1]  # the same answers but for a few rows
    given = replace(given, probabilities=given.probabilities | {"image_only": nearly})
    found = judge(given, bootstrap=500)
    low, high = found["differences"]["image_only"]["accuracy"]["interval"]
    own_low, own_high = found["intervals"]["fused"]["accuracy"]
    assert high - low < (own_high - own_low) / 3
    assert low <= found["differences"]["image_only"]["accuracy"]["value"] <= high


def test_intervals_are_those_of_figures_computed_draw_by_draw(make_predictions: MakePredictions) -> None:
    reference = pytest.importorskip("sklearn.metrics", reason="compares with scikit-learn, not installed")
    given = make_predictions(60)
    found = judge(given, bootstrap=40, seed=3)["intervals"]["fused"]
    [weights] = bootstrap.draw(given.groups, 40, seed=3).row_weights()
    f1, areas = [], []
    for line in weights[1:].astype(int):
        rows = np.repeat(np.arange(60), line)
        labels, scores = given.labels[rows], given.probabilities["fused"][rows]
        f1.append(reference.f1_score(labels, scores.argmax(axis=1), average="macro"))
        areas.append(reference.roc_auc_score(labels, scores, multi_class="ovr"))
    np.testing.assert_allclose(found["macro_f1"], np.quantile(f1, [0.025, 0.975]))
    np.testing.assert_allclose(found["auroc"], np.quantile(areas, [0.025, 0.975]))


def test_a_class_without_rows_has_no_figure(make_predictions: MakePredictions) -> None:
    given = make_predictions()
    rows = given.labels != 2
    found = judge(replace(given, labels=np.where(rows, given.labels, 0)), bootstrap=20)
    assert found["metrics"]["fused"]["class_auroc"]["c"] is None
    assert found["intervals"]["fused"]["class_auroc"]["c"] is None
    assert found["rows_per_class"]["c"] == 0


@pytest.mark.parametrize("multilabel", [False, True])
def test_temperature_scaling_is_seen_in_the_calibration(make_predictions: MakePredictions, multilabel: bool) -> None:
    given = make_predictions(400, multilabel=multilabel)
    sharp = given.probabilities["fused"] ** 4
    sharp = sharp if multilabel else sharp / sharp.sum(axis=1, keepdims=True)
    found = judge(replace(given, unscaled=given.unscaled | {"fused": sharp}), bootstrap=20)["calibration"]
    before, after = found["methods"]["fused"]["before"], found["methods"]["fused"]["after"]
    assert before["ece"] > after["ece"]
    assert before["ece"] > before["ece_if_calibrated"]["range"][1]
    assert before["brier_interval"][0] < before["brier"] < before["brier_interval"][1]
    assert found["claims"] == ("every class" if multilabel else "the likeliest class")
    assert sum(each["rows"] for each in after["reliability"]) == after["n"] == (1200 if multilabel else 400)
    assert len(after["reliability"]) == found["bins"]


def test_the_surest_answers_are_more_often_right_and_all_are_the_curves_end(
    make_predictions: MakePredictions,
) -> None:
    found = judge(make_predictions(400), bootstrap=200)
    fused = found["referral"]["methods"]["fused"]
    accuracy = found["metrics"]["fused"]["accuracy"]
    assert fused["curve"][-1] == {
        "coverage": 1.0,
        "accuracy": pytest.approx(accuracy),
        "interval": pytest.approx(found["intervals"]["fused"]["accuracy"], abs=1e-6),
    }
    assert fused["gain"]["value"] == pytest.approx(fused["accuracy_at_coverage"]["value"] - accuracy)
    assert 0 < fused["gain"]["interval"][0] < fused["gain"]["value"] < fused["gain"]["interval"][1]
    assert 0 < fused["least_area"] < fused["area"]["value"] < 1 - accuracy
    assert fused["threshold"] is None


def test_a_threshold_is_judged_on_the_rows_it_keeps(make_predictions: MakePredictions) -> None:
    given = make_predictions(400)
    thresholds = given.thresholds | {"fused": np.full(400, 0.6), "text_only": np.full(400, np.inf)}
    found = judge(replace(given, thresholds=thresholds), bootstrap=200)["referral"]["methods"]
    kept = given.probabilities["fused"].max(axis=1) >= 0.6
    right = given.probabilities["fused"].argmax(axis=1) == given.labels
    assert found["fused"]["threshold"]["threshold"] == 0.6
    assert found["fused"]["threshold"]["rows_kept"] == kept.sum()
    assert found["fused"]["threshold"]["coverage"]["value"] == pytest.approx(kept.mean())
    assert found["fused"]["threshold"]["accuracy"]["value"] == pytest.approx(right[kept].mean())
    assert found["text_only"]["threshold"]["rows_kept"] == 0
    assert found["text_only"]["threshold"]["accuracy"] == {"value": None, "interval": None}


def test_multilabel_rows_are_not_referred(make_predictions: MakePredictions) -> None:
    assert judge(make_predictions(multilabel=True), bootstrap=20)["referral"] is None
