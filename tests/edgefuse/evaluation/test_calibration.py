"""Which rows share their luck where chance is simulated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from edgefuse.evaluation.calibration import label_units
from edgefuse.evaluation.predictions import Predictions


@pytest.mark.parametrize("multilabel", [False, True])
def test_groups_do_where_each_has_one_label_and_samples_where_one_has_two(
    make_predictions: Callable[..., Predictions], multilabel: bool
) -> None:
    given = make_predictions(multilabel=multilabel)  # two rows a group, each with a label of its own
    np.testing.assert_array_equal(label_units(given), given.ids)
    alike = replace(given, labels=given.labels[np.arange(120) // 2 * 2])
    np.testing.assert_array_equal(label_units(alike), given.groups)
