"""Vectors that another table has already are not computed again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgefuse.datasets import Dataset, Sample
from edgefuse.extraction import running as extraction
from edgefuse.extraction.running import Settings, extract
from edgefuse.kits.encoders import Encoders
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import write_json


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    rng = np.random.default_rng(0)
    samples = []
    for k in range(12):
        path = tmp_path / f"{k}.png"
        Image.fromarray(rng.integers(0, 256, (56, 56, 3), np.uint8)).save(path)
        samples.append(Sample(f"id{k}", path, f"note {k % 3}", "xy"[k % 2], f"group {k}"))
    return Dataset("made up", "none", tuple(samples))


SETTINGS = Settings("numpy", 1)


def test_pictures_of_another_table_are_taken_over(dataset: Dataset, tiny_encoders: Path, tmp_path: Path) -> None:
    encoders = Encoders.open(tiny_encoders)
    first = extract(dataset, encoders, tmp_path / "V1", settings=SETTINGS).table
    other = replace(encoders, text=replace(encoders.text, pooling="mean"))  # another text encoder

    ran: list[str] = []

    def encode(*given: object) -> object:
        ran.append(given[1].modality)  # type: ignore[attr-defined]
        return extraction.encode_here(*given)  # type: ignore[arg-type]

    second = extract(
        dataset,
        other,
        tmp_path / "V2",
        settings=SETTINGS,
        encode=encode,
        reuse=tmp_path / "V1",  # type: ignore[arg-type]
    ).table
    assert ran == ["text"]
    np.testing.assert_array_equal(second.image[:], first.image[:])
    assert not np.allclose(second.text[:], first.text[:])
    assert second.cost["image"] == first.cost["image"]
    assert second.cost["text"]["samples"] == 12


@pytest.mark.parametrize("older", [False, True])
def test_other_notes_and_another_split_leave_the_pictures_as_they_are(
    dataset: Dataset, tiny_encoders: Path, tmp_path: Path, older: bool
) -> None:
    encoders = Encoders.open(tiny_encoders)
    first = extract(dataset, encoders, tmp_path / "V1", settings=SETTINGS).table
    if older:
        path = tmp_path / "V1" / "table.json"
        write_json(path, {name: of for name, of in json.loads(path.read_text()).items() if name != "samples_sha256"})
        second = extract(dataset, encoders, tmp_path / "V2", settings=SETTINGS, reuse=tmp_path / "V1").table
        np.testing.assert_array_equal(second.text[:], first.text[:])
        return
    several = tuple(replace(each, label="x|y", text=f"a {each.text}") for each in dataset.samples)
    other = replace(dataset, samples=several, multilabel=True)
    second = extract(other, encoders, tmp_path / "V2", split_seed=1, settings=SETTINGS, reuse=tmp_path / "V1").table
    np.testing.assert_array_equal(second.image[:], first.image[:])
    assert second.cost["image"] == first.cost["image"]
    assert not np.allclose(second.text[:], first.text[:])
    assert second.splits.tolist() != first.splits.tolist()
    assert second.labels.tolist() == [[1, 1]] * 12


def test_nothing_is_taken_from_a_table_of_other_samples_or_encoders(
    dataset: Dataset, tiny_encoders: Path, tmp_path: Path
) -> None:
    encoders = Encoders.open(tiny_encoders)
    extract(dataset, encoders, tmp_path / "V1", settings=SETTINGS)
    renamed = replace(dataset, samples=tuple(replace(each, id=f"new {each.id}") for each in dataset.samples))
    with pytest.raises(BadInput, match=r"Nothing of .*V1 can be taken over"):
        extract(renamed, encoders, tmp_path / "V2", settings=SETTINGS, reuse=tmp_path / "V1")
    strange = replace(
        encoders, text=replace(encoders.text, pooling="mean"), image=replace(encoders.image, normalize=True)
    )
    with pytest.raises(BadInput, match=r"Nothing of .*V1 can be taken over"):
        extract(dataset, strange, tmp_path / "V2", settings=SETTINGS, reuse=tmp_path / "V1")
    assert not (tmp_path / "V2").exists()


def test_views_are_taken_over_where_there_are_as_many(dataset: Dataset, tiny_encoders: Path, tmp_path: Path) -> None:
    encoders = Encoders.open(tiny_encoders)
    first = extract(dataset, encoders, tmp_path / "V1", settings=SETTINGS, views=2).table
    other = replace(encoders, text=replace(encoders.text, pooling="mean"))
    second = extract(dataset, other, tmp_path / "V2", reuse=tmp_path / "V1", views=2, settings=SETTINGS).table
    assert first.views is not None
    assert second.views is not None
    np.testing.assert_array_equal(second.views[:], first.views[:])
    assert second.cost["views"] == first.cost["views"]
    third = extract(dataset, other, tmp_path / "V3", reuse=tmp_path / "V1", views=4, settings=SETTINGS).table
    assert third.cost["image"] == first.cost["image"]
    assert third.views is not None
    np.testing.assert_allclose(third.views[:].reshape(12, 4, -1)[:, :2], first.views[:].reshape(12, 2, -1), atol=1e-5)
    assert "views" not in extract(dataset, other, tmp_path / "V4", reuse=tmp_path / "V1", settings=SETTINGS).table.cost
