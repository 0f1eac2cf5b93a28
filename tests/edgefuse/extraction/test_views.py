"""Views of pictures that heads learn from: in their places, each for itself, and part of what a table is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgefuse.datasets import Dataset
from edgefuse.embeddings import table as embeddings
from edgefuse.embeddings.table import shard_path
from edgefuse.extraction import running as extraction
from edgefuse.extraction.running import extract
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.image import load_image, prepare
from edgefuse_runtimes.spec import EncoderSpec
from tests.edgefuse.extraction.conftest import ENCODERS, PREPROCESS, Means


def test_views_stand_beside_their_pictures_after_an_interruption_too(
    dataset: Dataset, tmp_path: Path, log: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for k, sample in enumerate(dataset.samples):  # of which no view is like another
        Image.fromarray(np.random.default_rng(k).integers(0, 256, (8, 8, 3), np.uint8)).save(sample.image)
    monkeypatch.setattr(Means, "pictures_until_failure", 11 + 4 * 5)
    with pytest.raises(KeyboardInterrupt):  # among the views of the second shard
        extract(dataset, ENCODERS, tmp_path / "V", views=4)
    monkeypatch.setattr(Means, "pictures_until_failure", None)
    monkeypatch.setattr(Means, "vector", lambda self, item: item[:, 0, 0] if item.ndim == 3 else np.array([1, 2]))
    log.clear()
    table = extract(dataset, ENCODERS, tmp_path / "V", views=4).table
    assert log == ["open image", *["image"] * 4 * 7, "close image"]  # of pictures 4 to 10: the first shard was finished
    assert table.views is not None
    assert (table.view_count, len(table.views)) == (4, 44)
    for k in range(4, 11):
        pixels = prepare(load_image(dataset.samples[k].image), PREPROCESS)  # (3, 8, 8)
        corners = [pixels[:, 0, 0], pixels[:, 0, -1], pixels[:, -1, 0], pixels[:, -1, -1]]
        np.testing.assert_array_equal(table.views[4 * k : 4 * k + 4], corners)
    assert (table.cost["views"]["samples"], table.cost["views"]["distinct"]) == (11, 44)


def test_views_are_a_part_of_the_table_s_digest(dataset: Dataset, tmp_path: Path, log: list[Any]) -> None:
    plain, more = (extract(dataset, ENCODERS, tmp_path / f"V{v}", views=v).table for v in (None, 2))
    np.testing.assert_array_equal(plain.image, more.image)
    assert embeddings.table_digest(plain) != embeddings.table_digest(more)
    shard_path(more.folder, "views", 1).unlink()
    with pytest.raises(BadInput, match=r"1 of 3 views shards are missing, the first is views-0001\.npy"):
        embeddings.open_table(more.folder)


def test_views_are_encoded_without_a_mean_over_them(
    dataset: Dataset, tmp_path: Path, log: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []

    def open_encoder(spec: EncoderSpec, folder: Path, *, each_view: bool, **settings: Any) -> Means:
        opened.append((spec.modality, each_view))
        return Means(spec, log)

    monkeypatch.setattr(extraction, "open_encoder", open_encoder)
    extract(dataset, ENCODERS, tmp_path / "V", views=8)
    assert opened == [("text", False), ("image", False), ("image", True)]


@pytest.mark.parametrize("other", [None, 2])
def test_a_table_of_other_views_is_not_gone_on_with(
    dataset: Dataset, tmp_path: Path, log: list[Any], other: int | None
) -> None:
    extract(dataset, ENCODERS, tmp_path / "V", views=4)
    with pytest.raises(BadInput, match=r"made from other inputs \(views differ"):
        extract(dataset, ENCODERS, tmp_path / "V", views=other)


def test_the_command_encodes_views(run: Callable[..., Any], tmp_path: Path) -> None:
    outcome = run("--views", "2")
    assert outcome.exit_code == 0, outcome.exception
    assert "22 views of 11 rows" in outcome.stderr
    assert embeddings.open_table(tmp_path / "V").view_count == 2
