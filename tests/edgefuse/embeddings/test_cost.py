"""What the encoders cost: sums over runs and ways, and the sentences that tell them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from edgefuse.embeddings.cost import Spent, add_cost, cost_sentences, read_cost, total
from edgefuse_runtimes.errors import BadInput

ONE = Spent("onnxruntime", "1.2", "int8", 2, "A processor, 2 cores, 8 GiB", 10, 2.5, 100 << 20)


def test_the_same_way_adds_up() -> None:
    cost = total(30, [ONE, replace(ONE, distinct=5, seconds=0.5, peak_rss_bytes=90 << 20)])
    assert cost["runs"] == [{**json.loads(json.dumps(ONE.__dict__)), "distinct": 15, "seconds": 3.0}]
    assert (cost["samples"], cost["distinct"], cost["seconds"], cost["seconds_per_sample"]) == (30, 15, 3.0, 0.2)
    assert (cost["peak_rss_bytes"], cost["threads"]) == (100 << 20, 2)


def test_other_ways_stand_apart_and_their_words_are_joined() -> None:
    cost = total(20, [ONE, replace(ONE, engine="numpy", threads=1), ONE])
    assert [run["distinct"] for run in cost["runs"]] == [20, 10]
    assert (cost["engine"], cost["precision"], cost["threads"]) == ("onnxruntime, numpy", "int8", None)


def test_a_table_without_a_cost_has_none(tmp_path: Path) -> None:
    assert read_cost(tmp_path) == {}
    add_cost(tmp_path, "text", 4, [])  # rows whose notes other rows have: nothing was encoded
    assert read_cost(tmp_path) == {}
    assert cost_sentences({}) == []


def test_what_is_added_is_on_the_disk(tmp_path: Path) -> None:
    add_cost(tmp_path, "text", 4, [ONE])
    add_cost(tmp_path, "image", 10, [ONE])
    add_cost(tmp_path, "text", 8, [ONE])
    add_cost(tmp_path, "text", 8, [])
    cost = read_cost(tmp_path)
    assert (cost["text"]["samples"], cost["text"]["distinct"], cost["image"]["samples"]) == (20, 20, 10)
    assert cost_sentences(cost)[0] == (
        "The text encoder (onnxruntime, int8) took 5.0 s for 20 notes of 20 rows, 0.250 s each, "
        "and 100 MiB at the most."
    )


@pytest.mark.parametrize("content", ["", "[]", '{"text": ', '{"text": 1}', '{"text": {"samples": 1, "runs": [{}]}}'])
def test_a_damaged_cost_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "cost.json").write_text(content)
    with pytest.raises(BadInput, match=r"cost\.json is damaged .* remove it"):
        read_cost(tmp_path)
