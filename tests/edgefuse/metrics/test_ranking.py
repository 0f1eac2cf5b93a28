"""The area under the ROC curve against scikit-learn's, and against counting pairs."""

from __future__ import annotations

import numpy as np
import pytest

from edgefuse.metrics.classification import holds, mean_of_known
from edgefuse.metrics.ranking import auroc, class_auroc, rank

ONCE = [np.ones((1, 150), np.int32)]


@pytest.mark.parametrize("decimals", [1, 8])
@pytest.mark.parametrize("classes", [3, 7])
def test_one_against_the_rest_is_scikit_learns_with_ties_too(classes: int, decimals: int) -> None:
    reference = pytest.importorskip("sklearn.metrics", reason="compares with scikit-learn, not installed")
    rng = np.random.default_rng(classes)
    labels = rng.integers(0, classes, 150)
    scores = np.round(rng.dirichlet(np.ones(classes), 150), decimals)
    truth = holds(labels, classes)
    [found] = class_auroc(truth, scores, ONCE)
    np.testing.assert_allclose(found, [reference.roc_auc_score(truth[:, k], scores[:, k]) for k in range(classes)])
    if decimals == 8:
        shares = scores / scores.sum(axis=1, keepdims=True)
        wanted = reference.roc_auc_score(labels, shares, multi_class="ovr", average="macro")
        assert mean_of_known(class_auroc(truth, shares, ONCE))[0] == pytest.approx(wanted)


def test_weights_count_a_row_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    positive, scores = rng.integers(0, 2, 40) == 1, np.round(rng.random(40), 1)
    weights = rng.integers(0, 4, (5, 40))
    repeated = [np.repeat(np.arange(40), line) for line in weights]
    wanted = [auroc(rank(positive[rows], scores[rows]), np.ones((1, len(rows)), np.int32))[0] for rows in repeated]
    np.testing.assert_allclose(auroc(rank(positive, scores), weights), wanted)


def test_a_class_of_all_rows_or_of_none_has_no_area() -> None:
    found = class_auroc(holds(np.zeros(4, np.int64), 2), np.array([[0.1, 0.9]] * 4), [np.ones((1, 4), np.int32)])
    assert np.isnan(found).all()
