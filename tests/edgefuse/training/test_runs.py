"""Which of several seeds is kept."""

from __future__ import annotations

import numpy as np
import pytest

from edgefuse.metrics.classification import Figures
from edgefuse.training.runs import Runs
from edgefuse.training.trainer import Trained
from edgefuse_runtimes import fusion

HEAD = fusion.Head((), np.zeros((1, 0), np.float32), np.zeros(1, np.float32))


def _runs(*scores: tuple[float, float]) -> Runs:
    trained = tuple(Trained(HEAD, 1, Figures(0.5, macro_f1), loss) for macro_f1, loss in scores)
    return Runs(tuple(range(7, 7 + len(scores))), trained)


def test_the_best_macro_f1_is_kept_then_the_lower_loss_then_the_first() -> None:
    assert _runs((0.3, 1.0), (0.6, 2.0), (0.4, 0.1)).seed == 8
    assert _runs((0.6, 2.0), (0.3, 0.1), (0.6, 1.0)).seed == 9
    assert _runs((0.6, 1.0), (0.6, 1.0)).seed == 7


def test_sets_of_runs_are_compared_by_their_means() -> None:
    steady, lucky = _runs((0.5, 1.0), (0.5, 1.0)), _runs((0.7, 1.0), (0.2, 1.0))
    assert steady.score > lucky.score
    assert _runs((0.5, 0.5)).score > _runs((0.5, 0.6)).score


def test_the_spread_is_the_standard_deviation_of_a_sample() -> None:
    found = _runs((0.2, 1.0), (0.4, 1.0), (0.9, 1.0)).spread()
    assert found["macro_f1"] == pytest.approx({"mean": 0.5, "sd": np.std([0.2, 0.4, 0.9], ddof=1)})
    assert found["accuracy"] == {"mean": 0.5, "sd": 0}
    assert _runs((0.2, 1.0)).spread()["macro_f1"] == {"mean": 0.2, "sd": 0}
