"""The published numbers fit each other."""

from __future__ import annotations

import pytest

from edgefuse.study import paper
from edgefuse.sweep.choice import expected_maximum
from edgefuse.training import shapes

ROWS = {"BRSET": 13_012, "HAM10000": 8_012, "SatelliteBench": 936}
LOGITS = {"BRSET": 1, "HAM10000": 7, "SatelliteBench": 1}
WIDTHS = {"DINOv2+LLaMA-2": (4096, 768), "CLIP": (512, 512)}


@pytest.mark.parametrize("dataset", paper.DATASETS)
@pytest.mark.parametrize("method", WIDTHS)
def test_megabytes_are_those_of_the_heads_and_vectors(dataset: str, method: str) -> None:
    text, image = WIDTHS[method]
    early = shapes.early(text, image, LOGITS[dataset]).parameter_count * 4 / 2**20
    late = shapes.late(text, image, LOGITS[dataset]).parameter_count * 4 / 2**20
    assert paper.megabytes(dataset, method, "early").head == pytest.approx(early, abs=0.006)
    assert paper.megabytes(dataset, method, "late").head == pytest.approx(late, abs=0.006)
    read = ROWS[dataset] * (text + image + LOGITS[dataset]) * 4 / 2**20
    assert paper.megabytes(dataset, method, "early").read_per_epoch == pytest.approx(read, abs=0.01)


def test_vectors_beat_raw_data_in_every_published_figure() -> None:
    for dataset in paper.DATASETS:
        for fusion in ("early", "late"):
            raw = paper.score(dataset, "raw BERT+ViT", fusion)
            for method in WIDTHS:
                assert paper.score(dataset, method, fusion) > raw
                assert paper.seconds(dataset, method, fusion) < paper.seconds(dataset, "raw BERT+ViT", fusion)


def test_the_best_epochs_are_of_the_thirty_that_were_trained() -> None:
    for dataset in paper.DATASETS:
        for method in paper.METHODS:
            for fusion in ("early", "late"):
                assert all(1 <= epoch <= 30 for epoch in paper.best_epochs(dataset, method, fusion))
    assert paper.best_epochs("HAM10000", "DINOv2+LLaMA-2", "late") == (12, 14)
    assert paper.best_epochs("SatelliteBench", "raw BERT+ViT", "early") == (26, 11)


@pytest.mark.parametrize("dataset", paper.DATASETS)
def test_sweeps_begin_about_where_the_unshifted_head_is(dataset: str) -> None:
    gain = paper.SWEEPS[dataset]
    assert gain.unshifted == pytest.approx(paper.score(dataset, gain.method, gain.fusion).macro_f1, abs=0.03)
    assert gain.best > gain.unshifted


def test_what_chance_gains_follows_from_how_far_reruns_differ() -> None:
    """The best of 21 draws is expected 1.89 of their deviations above the mean."""
    expected = expected_maximum(21) * paper.RERUN_DIFFERENCE
    assert pytest.approx(expected, abs=0.001) == paper.GAIN_OF_CHANCE
