"""The figures of an evaluation."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgefuse.evaluation.judging import judge
from edgefuse.evaluation.pictures import figures_of, write_figures
from edgefuse.evaluation.predictions import Predictions

pytest.importorskip("matplotlib", reason="draws")


def test_all_are_drawn_from_what_the_file_holds(predictions: Predictions, tmp_path: Path) -> None:
    thresholds = predictions.thresholds | {"fused": np.full(len(predictions.ids), 0.6)}
    evaluation = json.loads(json.dumps(judge(replace(predictions, thresholds=thresholds), bootstrap=50)))
    paths = write_figures(evaluation, tmp_path / "figures")
    names = [f"{name}.{form}" for name in ("reliability", "confusion", "risk-coverage") for form in ("png", "svg")]
    assert [path.name for path in paths] == names
    assert all(path.stat().st_size > 5000 for path in paths)
    figures = figures_of(evaluation)
    [axis] = figures["risk-coverage"].axes
    [point] = [line for line in axis.lines if line.get_label() == "fused at its own threshold, 60 %"]
    assert point.get_xdata() == [evaluation["referral"]["methods"]["fused"]["threshold"]["coverage"]["value"]]
    texts = [text.get_text() for text in figures["confusion"].axes[2].texts]
    assert sum(map(int, texts)) == len(predictions.ids)


def test_few_rows_leave_bins_empty_and_are_drawn(make_predictions: Callable[..., Predictions]) -> None:
    evaluation = judge(make_predictions(2), bootstrap=10)  # one group: no interval
    assert set(figures_of(evaluation)) == {"reliability", "risk-coverage", "confusion"}


def test_of_multilabel_classes_it_is_drawn_what_was_found_and_missed(
    make_predictions: Callable[..., Predictions],
) -> None:
    given = make_predictions(multilabel=True)
    figures = figures_of(judge(given, bootstrap=10))
    assert set(figures) == {"reliability", "confusion"}
    truth, said = given.labels[:, 0] == 1, given.probabilities["fused"][:, 0] >= 0.5
    wanted = [truth & said, truth & ~said, ~truth & said, ~truth & ~said]
    fused = figures["confusion"].axes[2]
    first_row = [int(text.get_text()) for text in fused.texts if text.get_position()[1] == 0]
    assert first_row == [each.sum() for each in wanted]
    np.testing.assert_allclose(fused.images[0].get_array()[0, :2].sum(), 1)
