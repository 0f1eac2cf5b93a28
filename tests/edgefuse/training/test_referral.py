"""Thresholds chosen on validation rows, and what a head does with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from edgefuse.embeddings.table import Table
from edgefuse.heads import Head
from edgefuse.training.recipe import train_head
from edgefuse.training.referral import fit
from edgefuse.training.trainer import Settings
from edgefuse_runtimes.errors import BadInput


@pytest.fixture
def trained(make_table: Callable[..., Table]) -> tuple[Head, Table]:
    table = make_table()
    return train_head(table, fusion="early", settings=Settings(epochs=3)), table


def test_what_is_kept_of_the_validation_rows_is_as_right_as_wanted(trained: tuple[Head, Table]) -> None:
    head, table = trained
    found = fit(head, table, 0.97)
    assert found is not None
    rows = table.splits == "validation"
    probabilities = head.probabilities(table.text[rows], table.image[rows])
    rule = found.thresholds["fused"]
    kept = [found.reason("fused", head.classes[row.argmax()], float(row.max())) is None for row in probabilities]
    right = probabilities.argmax(axis=1) == table.labels[rows]
    assert rule.validation.rows == 60
    assert rule.validation.coverage == pytest.approx(np.mean(kept))
    assert rule.validation.accuracy == pytest.approx(right[kept].mean())
    assert rule.validation.accuracy >= 0.97
    assert found.thresholds["text_only"].threshold != rule.threshold


def test_where_no_threshold_does_there_is_no_rule(trained: tuple[Head, Table]) -> None:
    head, table = trained
    wrong = replace(table, labels=(table.labels + 1) % 3)
    rows = table.splits == "validation"
    told = head.probabilities(table.text[rows], table.image[rows])
    assert told.argmax(axis=1)[told.max(axis=1).argmax()] == table.labels[rows][told.max(axis=1).argmax()]
    assert fit(head, wrong, 1.0) is None


def test_a_head_that_alone_reaches_it_at_no_threshold_refers_all(trained: tuple[Head, Table]) -> None:
    head, table = trained
    found = fit(replace(head, text_only=replace(head.text_only, weight=-head.text_only.weight)), table, 0.9)
    assert found is not None
    assert found.thresholds["text_only"].threshold is None
    assert found.thresholds["text_only"].validation.coverage == 0


def test_multilabel_tables_have_no_referral(trained: tuple[Head, Table]) -> None:
    head, table = trained
    with pytest.raises(BadInput, match="no single answer can be referred; leave out --refer-accuracy"):
        fit(head, replace(table, multilabel=True), 0.9)
