"""Test figures: of which rows, of which head, and when there are none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgefuse.embeddings.table import Table
from edgefuse.evaluation.record import evaluate
from edgefuse.training.recipe import train_head
from edgefuse.training.trainer import Settings
from edgefuse_runtimes.errors import BadInput

MakeTable = Callable[..., Table]
QUICK = Settings(epochs=5)


def test_the_figures_are_those_of_the_test_rows(make_table: MakeTable) -> None:
    table = make_table()
    head = train_head(table, fusion="early", settings=QUICK)
    found = evaluate(head, table)
    test = table.splits == "test"
    predicted = head.probabilities(table.text[test], table.image[test]).argmax(axis=1)
    assert found["n"] == test.sum() == 60
    assert found["groups"] == 30
    assert found["metrics"]["fused"]["accuracy"] == pytest.approx(np.mean(predicted == table.labels[test]))
    assert list(found["metrics"]) == ["majority", "text_only", "image_only", "fused"]
    assert sum(found["rows_per_class"].values()) == 60
    assert found["drawn"] is False
    assert found["split"] == {"part": "test", "seed": 0}


def test_the_text_only_head_does_not_see_the_picture(make_table: MakeTable) -> None:
    table = make_table()
    head = train_head(table, fusion="late", settings=QUICK)
    text, image = table.text[:9], table.image[:9]
    np.testing.assert_array_equal(head.logits("text_only", text, image), head.logits("text_only", text, -image))
    np.testing.assert_array_equal(head.logits("image_only", text, image), head.logits("image_only", -text, image))


def test_another_table_is_refused(make_table: MakeTable, tmp_path: Path) -> None:
    head = train_head(make_table(), fusion="early", settings=QUICK)
    with pytest.raises(BadInput, match="not the embedding table that the head was trained on"):
        evaluate(head, make_table(tmp_path / "other", seed=1))


def test_one_changed_number_makes_another_table(make_table: MakeTable) -> None:
    table = make_table()
    head = train_head(table, fusion="early", settings=QUICK)
    changed = replace(table, image=table.image.copy())
    changed.image[7, 3] += 1e-3
    with pytest.raises(BadInput, match="not the embedding table"):
        evaluate(head, changed)


def test_a_table_without_test_rows_is_refused(make_table: MakeTable) -> None:
    table = make_table(splits=("train", "validation"))
    head = train_head(table, fusion="early", settings=QUICK)
    with pytest.raises(BadInput, match="no test rows"):
        evaluate(head, table)
