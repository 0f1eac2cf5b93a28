"""Time and memory of every method, against the paper's own numbers where they are counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from edgefuse.embeddings.table import Table
from edgefuse.evaluation.cost import cost_of, parameters
from edgefuse.evaluation.megabytes import read_megabytes
from edgefuse.training.recipe import train_head
from edgefuse.training.trainer import Settings

TEXT = {"seconds_per_sample": 0.2, "peak_rss_bytes": 300}
IMAGE = {"seconds_per_sample": 0.05, "peak_rss_bytes": 400}


@pytest.mark.parametrize("fusion", ["early", "late"])
@pytest.mark.parametrize("classes", [("a", "b"), ("a", "b", "c")])
def test_every_method_counts_what_it_reads(
    make_table: Callable[..., Table], fusion: str, classes: tuple[str, ...]
) -> None:
    table = replace(make_table(classes=classes), cost={"text": TEXT, "image": IMAGE})
    head = train_head(table, fusion=fusion, settings=Settings(epochs=2))  # type: ignore[arg-type]
    found = cost_of(head, table)
    assert found["rows"] == {"train": 180, "test": 60}
    assert parameters(head.fused) == head.training["parameters"]
    text, image, fused = (found["methods"][name] for name in ("text_only", "image_only", "fused"))
    outputs = 1 if len(classes) == 2 else 3
    assert text["embeddings_mb_per_epoch"] == read_megabytes(180, 24, outputs)
    assert image["embeddings_mb_per_epoch"] == read_megabytes(180, 16, outputs)
    assert fused["embeddings_mb_per_epoch"] == read_megabytes(180, 40, outputs)
    assert (text["encoder_seconds_per_sample"], image["encoder_seconds_per_sample"]) == (0.2, 0.05)
    assert (fused["encoder_seconds_per_sample"], fused["encoder_peak_rss_bytes"]) == (0.25, 400)
    for method in (text, image, fused):
        assert method["training_seconds_per_epoch"] > 0
        assert method["inference_seconds_per_epoch"] > 0


def test_numbers_that_members_share_once_trained_count_for_each(make_table: Callable[..., Table]) -> None:
    table = make_table()
    head = train_head(table, fusion="late", settings=Settings(epochs=1, members=3))
    assert cost_of(head, table)["methods"]["fused"]["parameters"] == head.training["parameters"]


def test_what_the_table_and_the_head_do_not_know_is_null(make_table: Callable[..., Table]) -> None:
    table = make_table()
    head = replace(train_head(table, fusion="late", settings=Settings(epochs=1)), seconds_per_epoch={})
    fused = cost_of(head, replace(table, cost={"text": TEXT}))["methods"]["fused"]
    assert fused["encoder_seconds_per_sample"] is None
    assert fused["training_seconds_per_epoch"] is None
