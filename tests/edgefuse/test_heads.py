"""The head folder: written, read back, damaged."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax

from edgefuse.embeddings.table import Table
from edgefuse.heads import Fusion, Head, open_head, read_head, write_head
from edgefuse.training.recipe import train_head
from edgefuse.training.trainer import Settings
from edgefuse_runtimes.alignment import apply
from edgefuse_runtimes.errors import BadInput


@pytest.fixture
def trained(make_table: Callable[..., Table]) -> tuple[Head, Table]:
    table = make_table()
    return train_head(table, fusion="late", settings=Settings(epochs=2), shifts=(0.5,)), table


@pytest.fixture
def folder(trained: tuple[Head, Table], tmp_path: Path) -> Path:
    write_head(tmp_path / "H", trained[0])
    return tmp_path / "H"


def test_a_head_read_back_answers_the_same(trained: tuple[Head, Table], folder: Path) -> None:
    head, table = trained
    again = open_head(folder)
    np.testing.assert_array_equal(
        again.probabilities(table.text, table.image), head.probabilities(table.text, table.image)
    )
    assert again.description() == json.loads(json.dumps(head.description()))
    assert again.table_path == table.folder.resolve()
    assert again.encoders == table.encoders


@pytest.mark.parametrize("fusion", ["early", "late"])
@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("classes", [("no", "yes"), ("akiec", "bcc", "nv")])
def test_a_sample_alone_gets_what_it_gets_in_a_batch(
    make_table: Callable[..., Table], fusion: Fusion, depth: int, classes: tuple[str, ...]
) -> None:
    table = make_table(classes=classes)
    head = train_head(table, fusion=fusion, settings=Settings(epochs=2, depth=depth), shifts=(0.5,))
    pairs = list(zip(table.text, table.image, strict=True))
    for together, alone in (
        (apply(head.alignment, table.text, table.image)[0], [apply(head.alignment, *pair)[0] for pair in pairs]),
        (apply(head.alignment, table.text, table.image)[1], [apply(head.alignment, *pair)[1] for pair in pairs]),
        (head.logits("fused", table.text, table.image), [head.logits("fused", *pair) for pair in pairs]),
        (head.probabilities(table.text, table.image), [head.probabilities(*pair) for pair in pairs]),
    ):
        assert np.abs(np.array(alone) - together).max() <= 1e-5 * np.abs(together).max()
    labels = [head.answer(row) for row in head.probabilities(table.text, table.image)]
    assert [head.answer(head.probabilities(*pair)) for pair in pairs] == labels


def test_it_knows_what_training_took_and_a_kit_does_not(trained: tuple[Head, Table], folder: Path) -> None:
    head, _ = trained
    assert list(head.seconds_per_epoch) == ["fused", "image_only", "text_only"]
    assert all(seconds > 0 for seconds in head.seconds_per_epoch.values())
    assert open_head(folder).seconds_per_epoch == head.seconds_per_epoch
    assert "seconds_per_epoch" not in head.description()


def test_a_kit_reads_it_from_the_description_without_the_tables_path(folder: Path) -> None:
    head = open_head(folder)
    in_kit = read_head(json.loads(json.dumps(head.description())), folder / "head.npz")
    assert in_kit.table_path is None
    assert "table_path" not in head.description()


def test_the_same_head_gives_the_same_bytes(trained: tuple[Head, Table], folder: Path, tmp_path: Path) -> None:
    write_head(tmp_path / "again", trained[0])
    for name in ("head.json", "head.npz"):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()


def test_a_head_of_an_older_edgefuse_has_no_temperatures_for_one_modality_alone(
    trained: tuple[Head, Table], folder: Path
) -> None:
    path, table = folder / "head.json", trained[1]
    description = json.loads(path.read_text())
    assert set(description.pop("temperatures_alone")) == {"image_only", "text_only"}
    path.write_text(json.dumps(description))
    old = open_head(folder)
    assert old.temperatures_alone == {}
    assert "temperatures_alone" not in old.description()
    np.testing.assert_array_equal(
        old.probabilities(table.text, table.image), trained[0].probabilities(table.text, table.image)
    )
    wanted = softmax(old.logits("image_only", None, table.image), axis=1)
    np.testing.assert_allclose(old.probabilities(None, table.image), wanted, atol=1e-6)


def test_a_head_of_an_older_edgefuse_says_nothing_of_its_task(trained: tuple[Head, Table], folder: Path) -> None:
    path, table = folder / "head.json", trained[1]
    description = json.loads(path.read_text())
    assert description.pop("task") == "multiclass"
    path.write_text(json.dumps(description))
    old = open_head(folder)
    assert old.task == "multiclass"
    np.testing.assert_array_equal(
        old.probabilities(table.text, table.image), trained[0].probabilities(table.text, table.image)
    )


def test_an_existing_folder_is_not_overwritten(trained: tuple[Head, Table], folder: Path) -> None:
    with pytest.raises(BadInput, match="already exists"):
        write_head(folder, trained[0])


def test_no_head_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is no head"):
        open_head(tmp_path)


def test_a_flipped_bit_is_seen(folder: Path) -> None:
    path = folder / "head.npz"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(BadInput, match="sha256 differs"):
        open_head(folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema": 2}, "schema 2"),
        ({"classes": ["a", "b"]}, "in place of"),
        ({"classes": None}, "damaged"),
        ({"encoders": {"text": {"width": 24}}}, "damaged"),
        ({"encoders": {"text": {"width": 23}, "image": {"width": 16}}}, "in place of"),
        ({"temperature": "warm"}, "damaged"),
        ({"temperature": 0}, "temperature"),
        ({"temperatures_alone": {"image_only": 1.0}}, "damaged"),
        ({"temperatures_alone": [1.0, 1.0]}, "damaged"),
        ({"temperatures_alone": {"image_only": 1.0, "text_only": -1.0}}, "temperature"),
        ({"temperatures_alone": {"image_only": float("nan"), "text_only": 1.0}}, "temperature"),
        ({"fusion": "none"}, "fusion"),
        ({"task": "regression"}, "task"),
        ({"referral": {"wanted_accuracy": 0.9}}, "damaged"),
        ({"referral": [0.9]}, "damaged"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(folder: Path, change: dict[str, object], said: str) -> None:
    path = folder / "head.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(BadInput, match=said):
        open_head(folder)


@pytest.mark.parametrize("text", ["", "[]", "{}", "{"])
def test_a_damaged_description_is_refused(folder: Path, text: str) -> None:
    (folder / "head.json").write_text(text)
    with pytest.raises(BadInput, match="damaged"):
        open_head(folder)


@pytest.mark.parametrize("data", [b"", b"no archive", b"\x93NUMPY\x01\x00"])
def test_arrays_that_are_no_archive_are_refused(folder: Path, data: bytes) -> None:
    description = open_head(folder).description()
    (folder / "head.npz").write_bytes(data)
    with pytest.raises(BadInput, match="cannot be read"):
        read_head(description, folder / "head.npz")


def test_pickled_arrays_are_refused(folder: Path) -> None:
    description = open_head(folder).description()
    np.savez(folder / "head.npz", evil=np.array([{}], dtype=object))
    with pytest.raises(BadInput, match="cannot be read"):
        read_head(description, folder / "head.npz")
