import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefuse.embeddings import table as embeddings
from edgefuse.embeddings.table import Row, open_table, shard_path, shards, write_description, write_shard
from edgefuse_runtimes.errors import BadInput

ROWS = [Row(f"id{k}", "ab"[k % 2], f"g, {k // 2}", ("train", "test", "validation")[k % 3]) for k in range(10)]
IMAGE = np.arange(40, dtype=np.float32).reshape(10, 4)
TEXT = np.arange(30, dtype=np.float32).reshape(10, 3)


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A table of ten rows in shards of four."""
    monkeypatch.setattr(embeddings, "SHARD_ROWS", 4)
    description = {
        "encoders": {"image": {"sha256": "1", "width": 4}, "text": {"sha256": "2", "width": 3}},
        "dataset": {"name": "made up", "licence": "none"},
        "classes": ["a", "b"],
        "split_seed": 0,
    }
    write_description(tmp_path / "V", description, ROWS)
    for number, span in enumerate(shards(10)):
        write_shard(shard_path(tmp_path / "V", "image", number), IMAGE[span.start : span.stop])
        write_shard(shard_path(tmp_path / "V", "text", number), TEXT[span.start : span.stop])
    return tmp_path / "V"


def test_what_was_written_is_read(table: Path) -> None:
    read = open_table(table)
    np.testing.assert_array_equal(read.image, IMAGE)
    np.testing.assert_array_equal(read.text, TEXT)
    assert read.ids.tolist() == [row.id for row in ROWS]
    assert read.groups.tolist() == [row.group for row in ROWS]
    assert read.splits.tolist() == [row.split for row in ROWS]
    assert [read.classes[label] for label in read.labels] == [row.label for row in ROWS]
    assert read.encoders["text"]["width"] == 3
    assert read.dataset == {"name": "made up", "licence": "none"}
    assert read.split_seed == 0
    names = sorted(path.name for path in table.glob("*.npy"))
    assert names == [f"{kind}-000{k}.npy" for kind in ("image", "text") for k in range(3)]


def test_subgroups_and_multilabel_rows_are_read(table: Path) -> None:
    rows = [row._replace(label=("", "a", "a|b")[k % 3], subgroups=("old", str(k))) for k, row in enumerate(ROWS)]
    description = json.loads((table / "table.json").read_text()) | {"multilabel": True}
    write_description(table, description, rows, ["age", "site"])
    read = open_table(table)
    assert read.subgroups["age"].tolist() == ["old"] * 10
    assert read.subgroups["site"].tolist() == [str(k) for k in range(10)]
    np.testing.assert_array_equal(read.labels[:3], [[0, 0], [1, 0], [1, 1]])


@given(st.integers(0, 2000))
def test_shards_hold_every_row_once_and_in_order(count: int) -> None:
    assert [row for span in shards(count) for row in span] == list(range(count))


def _nan(array: np.ndarray) -> np.ndarray:
    array[1, 2] = np.nan
    return array


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda array: array[:, :2], r"has shape \(4, 2\) in place of \(4, 4\)"),
        (lambda array: array[:3], r"has shape \(3, 4\) in place of \(4, 4\)"),
        (lambda array: _nan(array), r"NaN or infinite image vectors in 1 rows \(id5\)"),
        (lambda array: array / np.float32(0), r"NaN or infinite image vectors in 4 rows \(id4, id5, id6\)"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_wrong_vectors_are_refused_by_name(
    table: Path, change: Callable[[np.ndarray], np.ndarray], complaint: str
) -> None:
    path = shard_path(table, "image", 1)
    write_shard(path, change(np.load(path)))
    with pytest.raises(BadInput, match=complaint):
        open_table(table)


def test_a_missing_shard_means_unfinished(table: Path) -> None:
    shard_path(table, "text", 2).unlink()
    with pytest.raises(BadInput, match=r"unfinished: 1 of 3 text shards are missing, the first is text-0002"):
        open_table(table)


@pytest.mark.parametrize("data", [b"", b"\x93NUMPY", b"no array"])
def test_a_damaged_shard_is_named(table: Path, data: bytes) -> None:
    shard_path(table, "image", 0).write_bytes(data)
    with pytest.raises(BadInput, match=r"image-0000\.npy is damaged"):
        open_table(table)


def test_a_shard_cut_short_is_named(table: Path) -> None:
    path = shard_path(table, "image", 0)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(BadInput, match=r"image-0000\.npy is damaged"):
        open_table(table)


def test_a_pickle_is_never_run(table: Path) -> None:
    data = io.BytesIO()
    np.save(data, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    shard_path(table, "image", 0).write_bytes(data.getvalue())
    with pytest.raises(BadInput, match=r"image-0000\.npy is damaged"):
        open_table(table)


def test_doubles_are_refused(table: Path) -> None:
    np.save(shard_path(table, "image", 0), np.zeros((4, 4)))
    with pytest.raises(BadInput, match="no float32 matrix"):
        open_table(table)


def test_changed_rows_are_seen(table: Path) -> None:
    path = table / "rows.csv"
    path.write_text(path.read_text().replace("validation", "train"))
    with pytest.raises(BadInput, match=r"rows\.csv is not the file that was extracted"):
        open_table(table)


def test_missing_rows_are_seen(table: Path) -> None:
    (table / "rows.csv").unlink()
    with pytest.raises(BadInput, match=r"rows\.csv cannot be read"):
        open_table(table)


def test_a_folder_that_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"is no embedding table \(no table\.json\)"):
        open_table(tmp_path)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda data: data.update(schema=2), "has schema 2, this edgefuse reads 1"),
        (lambda data: data.pop("schema"), "is damaged"),
        (lambda data: data.pop("encoders"), "is damaged"),
        (lambda data: data["encoders"].pop("image"), "is damaged"),
        (lambda data: data.update(rows=9), "does not fit its rows.csv"),
        (lambda data: data.update(classes=["a"]), "does not fit its rows.csv"),
    ],
)
def test_a_wrong_description_is_refused(
    table: Path, change: Callable[[dict[str, object]], object], complaint: str
) -> None:
    data = json.loads((table / "table.json").read_text())
    change(data)
    (table / "table.json").write_text(json.dumps(data))
    with pytest.raises(BadInput, match=complaint):
        open_table(table)


@pytest.mark.parametrize("data", ["", "[]", "{", "null"])
def test_a_description_that_is_no_json_object_is_refused(table: Path, data: str) -> None:
    (table / "table.json").write_text(data)
    with pytest.raises(BadInput, match="is damaged"):
        open_table(table)
