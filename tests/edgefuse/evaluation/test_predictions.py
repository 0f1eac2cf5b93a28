"""What heads say of rows, and pooling it over folds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from edgefuse.embeddings.table import Table
from edgefuse.evaluation.predictions import METHODS, join, predict, subset
from edgefuse.training.recipe import train_head
from edgefuse.training.trainer import Settings
from edgefuse_runtimes.errors import BadInput

MakeTable = Callable[..., Table]
QUICK = Settings(epochs=2)


def test_they_are_what_the_head_answers(make_table: MakeTable) -> None:
    table = make_table()
    table = replace(table, subgroups={"sex": np.where(np.arange(300) % 2, "male", "female")})
    head = train_head(table, fusion="early", settings=QUICK)
    found = predict(head, table, "test")
    rows = np.flatnonzero(table.splits == "test")
    text, image = table.text[rows], table.image[rows]
    np.testing.assert_array_equal(found.ids, table.ids[rows])
    np.testing.assert_array_equal(found.subgroups["sex"], table.subgroups["sex"][rows])
    np.testing.assert_allclose(found.probabilities["fused"], head.probabilities(text, image), rtol=1e-6)
    np.testing.assert_allclose(found.probabilities["text_only"], head.probabilities(text, None), rtol=1e-6)
    np.testing.assert_allclose(found.probabilities["image_only"], head.probabilities(None, image), rtol=1e-6)
    unscaled = replace(head, temperature=1.0).probabilities(text, image)
    np.testing.assert_allclose(found.unscaled["fused"], unscaled, rtol=1e-6)
    shares = np.bincount(table.labels[table.splits == "train"]) / np.sum(table.splits == "train")
    np.testing.assert_allclose(found.probabilities["majority"], np.tile(shares, (len(rows), 1)))


def test_joined_parts_stand_one_after_another(make_table: MakeTable) -> None:
    table = make_table()
    head = train_head(table, fusion="early", settings=QUICK)
    test, validation = predict(head, table, "test"), predict(head, table, "validation")
    found = join([test, validation])
    assert found.ids.tolist() == test.ids.tolist() + validation.ids.tolist()
    assert {len(found.probabilities[method]) for method in METHODS} == {120}
    back = subset(found, np.arange(60))
    np.testing.assert_array_equal(back.unscaled["fused"], test.unscaled["fused"])
    np.testing.assert_array_equal(back.labels, test.labels)


def test_other_classes_are_not_pooled(make_table: MakeTable) -> None:
    table = make_table()
    found = predict(train_head(table, fusion="early", settings=QUICK), table, "test")
    with pytest.raises(BadInput, match="only where classes, task and subgroups are the same"):
        join([found, replace(found, classes=("a", "b", "c"))])
    with pytest.raises(BadInput, match="pooled"):
        join([])


def test_two_classes_are_a_binary_task(make_table: MakeTable) -> None:
    table = make_table(classes=("no", "yes"))
    found = predict(train_head(table, fusion="late", settings=QUICK), table, "test")
    assert found.task == "binary"
    assert found.probabilities["fused"].shape == (60, 2)
