"""What was exported is imported as it was, in every layout, bit by bit."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from pyarrow import csv as arrow_csv
from pyarrow import parquet

from edgefuse.embeddings.table import Table, open_table, table_digest
from edgefuse.tables.columns import Columns
from edgefuse.tables.importing import import_table
from edgefuse.tables.layouts import LAYOUTS, detect, export_table
from edgefuse_runtimes.errors import BadInput

ENDINGS = {"npz": ".npz", "parquet": ".parquet"}
SUBGROUPS = Columns(subgroups=("age", "site"))


def bits(vectors: object) -> np.ndarray:
    return np.asarray(vectors)[:].view(np.int32)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_rows_and_bits_of_vectors_come_back(table: Table, tmp_path: Path, layout: str) -> None:
    paths = export_table(table, tmp_path / f"out{ENDINGS.get(layout, '.csv')}", layout)
    assert detect(paths) == layout
    again = import_table(paths, tmp_path / "W", columns=SUBGROUPS)
    for name in ("ids", "groups", "splits"):
        assert getattr(again, name).tolist() == getattr(table, name).tolist()
    assert [again.classes[k] for k in again.labels] == [table.classes[k] for k in table.labels]
    np.testing.assert_array_equal(bits(again.image), bits(table.image))
    np.testing.assert_array_equal(bits(again.text), bits(table.text))
    assert {name: values.tolist() for name, values in again.subgroups.items()} == {
        name: values.tolist() for name, values in table.subgroups.items()
    }
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("layout", ["npz", "parquet"])
def test_a_binary_layout_keeps_what_the_rows_do_not_say(table: Table, tmp_path: Path, layout: str) -> None:
    paths = export_table(table, tmp_path / f"out{ENDINGS[layout]}")
    again = import_table(paths, tmp_path / "W")
    assert again.classes == table.classes
    assert again.split_seed == 7
    assert again.dataset == table.dataset
    assert again.encoders == {m: identity | {"imported": True} for m, identity in table.encoders.items()}
    assert list(again.subgroups) == ["age", "site"]


def test_a_second_round_changes_nothing(table: Table, tmp_path: Path) -> None:
    (first,) = export_table(table, tmp_path / "first.csv")
    again = import_table([first], tmp_path / "W", columns=SUBGROUPS)
    (second,) = export_table(again, tmp_path / "second.csv")
    assert second.read_bytes() == first.read_bytes()


def test_multilabel_rows_come_back(table: Table, tmp_path: Path) -> None:
    labels = np.stack([table.labels, 1 - table.labels], axis=1)  # (n, 2)
    labels[0] = 0
    several = dataclasses.replace(table, labels=labels, multilabel=True, classes=("b", "c"))
    (path,) = export_table(several, tmp_path / "out.csv")
    again = import_table([path], tmp_path / "W", multilabel=True)
    np.testing.assert_array_equal(again.labels, labels)
    (path,) = export_table(several, tmp_path / "out.npz")
    assert import_table([path], tmp_path / "X").multilabel


def test_the_columns_are_the_published_ones(table: Table, tmp_path: Path) -> None:
    headers = {}
    for layout in ("joined", "clip", "emb", "pair"):
        for path in export_table(table, tmp_path / f"{layout}.csv", layout):
            headers[path.name] = arrow_csv.read_csv(path).column_names
    text = [f"text_{k}" for k in range(1, 6)]
    assert headers["joined.csv"] == [
        "id", "label", "group", "age", "site", *text, "image_0", "image_1", "image_2", "split",
    ]  # fmt: skip
    assert headers["clip.csv"][5:10] == [f"text_embedding_{k}" for k in range(5)]
    assert headers["clip.csv"][10:] == ["image_embedding_0", "image_embedding_1", "image_embedding_2", "split"]
    assert headers["emb.csv"][5:-1] == [*(f"text_emb_{k}" for k in range(5)), *(f"img_emb_{k}" for k in range(3))]
    assert headers["pair-image.csv"] == ["ImageName", "0", "1", "2"]
    assert headers["pair-text.csv"] == ["id", "label", "group", "age", "site", "embeddings", "split"]


def test_others_read_the_same_numbers(table: Table, tmp_path: Path) -> None:
    (path,) = export_table(table, tmp_path / "out.csv")
    frame = arrow_csv.read_csv(path)
    read = np.stack([frame[f"image_{k}"].to_numpy() for k in range(3)], axis=1).astype(np.float32)
    np.testing.assert_array_equal(bits(read), bits(table.image))
    _, text = export_table(table, tmp_path / "out.csv", "pair")
    lists = [json.loads(cell) for cell in arrow_csv.read_csv(text)["embeddings"].to_pylist()]
    np.testing.assert_array_equal(np.array(lists, np.float32), table.text[:])


def test_nothing_is_written_over(table: Table, tmp_path: Path) -> None:
    (tmp_path / "out-text.csv").write_text("mine")
    with pytest.raises(BadInput, match=r"out-text\.csv already exists"):
        export_table(table, tmp_path / "out.csv", "pair")
    assert not (tmp_path / "out-image.csv").exists()
    assert (tmp_path / "out-text.csv").read_text() == "mine"


def test_what_a_layout_cannot_hold_is_refused(table: Table, tmp_path: Path) -> None:
    same = dataclasses.replace(table, ids=np.array([f"id.{k}" for k in range(len(table.ids))]))
    with pytest.raises(BadInput, match="the same before their first dot"):
        export_table(same, tmp_path / "out.csv", "pair")
    for name, layout in (("text_2", "joined"), ("embeddings", "pair"), ("image", "parquet")):
        named = dataclasses.replace(table, subgroups={name: table.subgroups["age"]})
        with pytest.raises(BadInput, match=f"'{name}'"):
            export_table(named, tmp_path / "out.csv", layout)
    assert [path.name for path in tmp_path.iterdir()] == ["V"]


def test_an_exported_table_is_trained_on_the_same_digest_twice(table: Table, tmp_path: Path) -> None:
    (path,) = export_table(table, tmp_path / "out.csv")
    one, two = (import_table([path], tmp_path / name) for name in ("W", "X"))
    assert table_digest(one) == table_digest(two) == table_digest(open_table(tmp_path / "W"))


def test_an_npz_of_others_needs_three_arrays_only(tmp_path: Path) -> None:
    labels = np.array([0, 1] * 6)
    np.savez(tmp_path / "theirs.npz", image=np.ones((12, 2)), text=np.zeros((12, 3), np.float16), labels=labels)
    read = import_table([tmp_path / "theirs.npz"], tmp_path / "W")
    assert read.ids.tolist() == [str(k) for k in range(1, 13)]
    assert read.classes == ("0", "1")
    assert (read.image.shape, read.text.shape, read.split_seed) == ((12, 2), (12, 3), 0)


def test_an_npz_has_no_columns_to_name(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", image=np.ones((4, 2)), text=np.ones((4, 1)), labels=np.array(["a"] * 4))
    with pytest.raises(BadInput, match="leave out the names of columns"):
        import_table([tmp_path / "x.npz"], tmp_path / "W", columns=Columns(label="dx"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"labels": None}, "lacks the array 'labels'"),
        ({"image": np.ones((3, 2))}, "'image' of .* is not one vector of numbers for each of 4 rows"),
        ({"image": np.ones(4)}, "'image' of .* is not one vector"),
        ({"text": np.array([["a"]] * 4)}, "'text' of .* is not one vector of numbers"),
        ({"text": np.array([[1.0], [np.nan], [np.inf], [0.0]])}, r"2 rows of .* hold NaN or infinite numbers: 2, 3;"),
        ({"ids": np.array(["a", "b", "a", "a"])}, "2 rows of .* have an id that another row has: a, a;"),
        ({"labels": np.array([{}] * 4, object)}, "cannot be read"),
        ({"description": np.array("{}")}, "The description in .* is damaged"),
    ],
)
def test_an_npz_with_faults_is_refused(tmp_path: Path, change: dict[str, np.ndarray | None], said: str) -> None:
    arrays = {"image": np.ones((4, 2)), "text": np.ones((4, 1)), "labels": np.array(["a"] * 4)} | change
    np.savez(tmp_path / "x.npz", **{name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(BadInput, match=said):
        import_table([tmp_path / "x.npz"], tmp_path / "W")
    assert [path.name for path in tmp_path.iterdir()] == ["x.npz"]


def test_parquet_of_others_may_have_numbered_columns(tmp_path: Path) -> None:
    columns = {"label": ["a", "b"] * 6, "text_1": [*range(12)], "image_1": [0.5] * 12, "image_0": np.arange(12.0)}
    parquet.write_table(pyarrow.table(columns), tmp_path / "theirs.parquet")
    read = import_table([tmp_path / "theirs.parquet"], tmp_path / "W")
    np.testing.assert_array_equal(read.image[:], np.stack([np.arange(12), np.full(12, 0.5)], axis=1))
    np.testing.assert_array_equal(read.text[:], np.arange(12)[:, None])


@pytest.mark.parametrize(
    ("image", "said"),
    [
        ([[1.0, 2.0], [1.0], None, [1.0, 2.0]], r"1 rows of .* another length than the first one's 2 .*: 2 \(1 rows"),
        ([[1.0], [np.nan], [np.inf], [None]], "3 rows of .* hold NaN or infinite numbers: 2, 3, 4;"),
        ([["x"], ["y"], ["z"], ["w"]], r"4 rows of .* are no numbers .*: 1, 2, 3, \.\.\.;"),
        ([[], [], [], []], "4 rows"),
    ],
)
def test_parquet_with_faults_is_refused(tmp_path: Path, image: list[object], said: str) -> None:
    columns = {"label": ["a"] * 4, "text": [[1.0]] * 4, "image": image}
    parquet.write_table(pyarrow.table(columns), tmp_path / "x.parquet")
    with pytest.raises(BadInput, match=said):
        import_table([tmp_path / "x.parquet"], tmp_path / "W")


def test_parquet_of_words_or_with_a_column_twice_or_damaged_is_refused(tmp_path: Path) -> None:
    path, numbers = tmp_path / "x.parquet", pyarrow.array([[1.0]] * 2)
    words = pyarrow.array(["a", "b"]).dictionary_encode()
    parquet.write_table(pyarrow.table({"label": words, "image": words, "text": numbers}), path)
    with pytest.raises(BadInput, match=r"2 rows of .* are no numbers"):
        import_table([path], tmp_path / "W")
    columns = [words, words, numbers, numbers]
    parquet.write_table(pyarrow.Table.from_arrays(columns, ["label", "label", "image", "text"]), path)
    with pytest.raises(BadInput, match="the column 'label' more than once"):
        import_table([path], tmp_path / "W")
    parquet.write_table(pyarrow.table({"label": words, "image": numbers, "text": numbers}), path)
    data = path.read_bytes()
    for start in (8, len(data) - 100):  # of the pages, of the description
        path.write_bytes(data[:start] + b"\xff" * 60 + data[start + 60 :])
        with pytest.raises(BadInput, match=r"x\.parquet cannot be read as Parquet"):
            import_table([path], tmp_path / "W")


def test_no_parquet_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(b"PAR1 not at all")
    with pytest.raises(BadInput, match="cannot be read as Parquet"):
        import_table([tmp_path / "x.parquet"], tmp_path / "W")
    with pytest.raises(BadInput, match="There is no table"):
        import_table([tmp_path / "y.parquet"], tmp_path / "W")
    parquet.write_table(pyarrow.table({"label": ["a"]}), tmp_path / "x.parquet")
    with pytest.raises(BadInput, match="has neither the columns image and text nor numbered ones"):
        import_table([tmp_path / "x.parquet"], tmp_path / "W")
