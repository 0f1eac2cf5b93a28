"""Tables that others made: columns, joins, splits, and rows with faults, which are named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgefuse.kits.encoders import Encoders
from edgefuse.splits.grouped import split_rows
from edgefuse.tables.columns import Columns
from edgefuse.tables.importing import About, import_table
from edgefuse.tables.layouts import export_table
from edgefuse.tables.shown import shown
from edgefuse_runtimes.errors import BadInput

Write = Callable[..., Path]


COLUMNS = "id,label,text_1,text_2,image_0,image_1"


def numbered_lines(count: int = 9, columns: str = COLUMNS, split: bool = False) -> list[str]:
    """A table of the joined layout, row k of which holds k.5, -k, 2k and 1e-k."""
    lines = [columns + (",split" if split else "")]
    for k in range(count):
        part = f",{('train', 'train', 'test')[k % 3]}" if split else ""
        lines.append(f"id{k},{'ab'[k % 2]},{k}.5,-{k},{2 * k},1e-{k}{part}")
    return lines


def change(lines: list[str], row: int, old: str, new: str) -> None:
    assert old in lines[row]
    lines[row] = lines[row].replace(old, new, 1)


def test_numbers_labels_and_ids_are_where_they_belong(write: Write, tmp_path: Path) -> None:
    table = import_table([write("x.csv", numbered_lines())], tmp_path / "W")
    k = np.arange(9)
    np.testing.assert_allclose(table.text[:], np.stack([k + 0.5, -k], axis=1))
    np.testing.assert_allclose(table.image[:], np.stack([2 * k, 10.0**-k], axis=1), rtol=1e-6)
    assert table.ids.tolist() == [f"id{k}" for k in range(9)]
    assert [table.classes[label] for label in table.labels] == ["ab"[k % 2] for k in range(9)]
    assert table.splits.tolist() == split_rows(["ab"[k % 2] for k in range(9)], table.ids.tolist(), 0)
    assert (table.split_seed, table.cost, table.dataset["name"]) == (0, {}, "x")
    assert table.encoders["text"] == {"name": "not named", "width": 2, "imported": True}


def test_columns_may_stand_in_any_order(write: Write, tmp_path: Path) -> None:
    lines = numbered_lines(columns="id,label,image_1,text_1,text_0,image_0")
    table = import_table([write("x.csv", lines)], tmp_path / "W")
    np.testing.assert_allclose(table.image[3], [1e-3, 3.5])
    np.testing.assert_allclose(table.text[3], [6, -3])


def test_columns_are_named_by_the_user(write: Write, tmp_path: Path) -> None:
    lines = [
        "dx,patient,text_1,image_0,set,sex",
        *(f"{'ab'[k % 2]},p{k // 2},1,{k},{'train' if k < 6 else 'test'},f" for k in range(12)),
    ]
    columns = Columns(label="dx", id=None, group="patient", split="set", subgroups=("sex",))
    table = import_table([write("x.csv", lines)], tmp_path / "W", columns=columns)
    assert table.ids.tolist() == [str(k) for k in range(1, 13)]
    assert table.groups[:4].tolist() == ["p0", "p0", "p1", "p1"]
    assert table.subgroups["sex"].tolist() == ["f"] * 12
    assert set(table.splits[6:]) == {"test"}


def test_validation_rows_are_taken_from_the_training_ones(write: Write, tmp_path: Path) -> None:
    table = import_table([write("x.csv", numbered_lines(30, split=True))], tmp_path / "W")
    given = np.array([("train", "train", "test")[k % 3] for k in range(30)])
    np.testing.assert_array_equal(table.splits == "test", given == "test")
    assert (table.splits == "validation").sum() == 4
    assert table.split_seed is None


def test_other_words_for_parts_are_known(write: Write, tmp_path: Path) -> None:
    lines = numbered_lines(9, split=True)
    lines[1:] = [line.replace(",test", ",Val") if k < 6 else line for k, line in enumerate(lines[1:])]
    table = import_table([write("x.csv", lines)], tmp_path / "W")
    assert table.splits.tolist() == ["train", "train", "validation"] * 2 + ["train", "train", "test"]


@pytest.mark.parametrize(
    ("rows", "old", "new", "said"),
    [
        ([3, 5], "id", "id0,", "have another number of cells than its header"),
        ([3], "id2", "id1", "1 rows of .* have an id that another row has: id1;"),
        ([1, 2, 3, 4], ".5", ".x", r"4 rows of .* no numbers among their vectors: id0, id1, id2, \.\.\.;"),
        ([2], "1.5", "", "1 rows of .* no numbers among their vectors: id1;"),
        ([2, 9], "1e-", "inf", "no numbers"),
        ([5], "4.5", "nan", "1 rows of .* hold NaN or infinite numbers: id4;"),
        ([5], "4.5", "1e60", "1 rows of .* hold NaN or infinite numbers: id4;"),
        ([1], ",a,", ",,", "1 rows of .* have no label: id0;"),
        ([4], "id3", " ", "1 rows of .* have no id: row 4;"),
    ],
)
def test_rows_with_faults_are_named(
    write: Write, tmp_path: Path, rows: list[int], old: str, new: str, said: str
) -> None:
    lines = numbered_lines()
    for row in rows:
        change(lines, row, old, new)
    with pytest.raises(BadInput, match=said):
        import_table([write("x.csv", lines)], tmp_path / "W")
    assert [path.name for path in tmp_path.iterdir()] == ["x.csv"]


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ("id,label,text_1,text_3,image_0,image_1", r"lacks the column text_2 \(it has 2"),
        ("id,label,text_2,text_3,image_0,image_1", "lacks the column text_1 "),
        ("id,label,text_1,text_01,image_0,image_1", "has both the columns text_1 and text_01"),
        (
            "id,diagnosis,text_1,text_2,image_0,image_1",
            "no column 'label'; name the label's with --label, out of: id, diag",
        ),
        ("id,label,text_1,text_2,picture_0,picture_1", "no columns of a known layout"),
        ("id,label,0,1,2,3", "one of a pair of files; name the other one too"),
    ],
)
def test_headers_with_faults_say_what_is_missing(write: Write, tmp_path: Path, columns: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        import_table([write("x.csv", numbered_lines(columns=columns))], tmp_path / "W")
    assert not (tmp_path / "W").exists()


def test_a_column_that_is_not_there_and_a_table_without_rows(write: Write, tmp_path: Path) -> None:
    path = write("x.csv", numbered_lines())
    with pytest.raises(BadInput, match="has no column 'lesion'; its columns are: id, label"):
        import_table([path], tmp_path / "W", columns=Columns(group="lesion"))
    with pytest.raises(BadInput, match="has no rows"):
        import_table([write("x.csv", numbered_lines(0))], tmp_path / "W")
    with pytest.raises(BadInput, match="is one file, not 2"):
        import_table([path, path], tmp_path / "W", layout="joined")


def test_a_group_in_two_parts_is_refused(write: Write, tmp_path: Path) -> None:
    lines = numbered_lines(9, columns="id,label,text_1,patient,image_0,image_1", split=True)
    lines[1:] = [line.replace(f"-{k}", f"p{k % 4}", 1) for k, line in enumerate(lines[1:])]
    with pytest.raises(BadInput, match=r"has the group 'p[0-3]' in both"):
        import_table([write("x.csv", lines)], tmp_path / "W", columns=Columns(group="patient"))
    about = About(by_picture=True)
    table = import_table([tmp_path / "x.csv"], tmp_path / "W", columns=Columns(group="patient"), about=about)
    assert table.groups.tolist() == [f"p{k % 4}" for k in range(9)]
    assert "LEAK: the split is the paper's, by picture" in "\n".join(shown(table))
    (path,) = export_table(table, tmp_path / "x.npz")
    assert import_table([path], tmp_path / "X").splits.tolist() == table.splits.tolist()


def test_a_split_by_picture_must_be_there(write: Write, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"x\.csv has no column of parts, .*; leave out --by-picture"):
        import_table([write("x.csv", numbered_lines())], tmp_path / "W", about=About(by_picture=True))


def test_an_existing_folder_is_left_alone(write: Write, tmp_path: Path) -> None:
    (tmp_path / "W").mkdir()
    (tmp_path / "W" / "letter").write_text("dear")
    with pytest.raises(BadInput, match="already exists"):
        import_table([write("x.csv", numbered_lines())], tmp_path / "W")
    assert (tmp_path / "W" / "letter").read_text() == "dear"


PICTURES = ["ImageName,0,1", *(f"ISIC_{k}.jpg,{k},-{k}.25" for k in range(9))]
NOTES = ["image_id,label,embeddings", *(f'ISIC_{k}.png,{"ab"[k % 2]},"[{k}.5, 1e-3, -0]"' for k in reversed(range(9)))]


@pytest.fixture
def pair(write: Write, tmp_path: Path) -> Callable[..., object]:
    """Import a pair of files of these lines, named in this order."""

    def run(pictures: list[str], notes: list[str], *, notes_first: bool = False) -> object:
        paths = [write("p.csv", pictures), write("n.csv", notes)]
        return import_table(paths[::-1] if notes_first else paths, tmp_path / "W")

    return run


@pytest.mark.parametrize("notes_first", [False, True])
def test_a_pair_is_joined_on_the_id_before_the_first_dot(pair: Callable[..., object], notes_first: bool) -> None:
    table = pair(PICTURES, NOTES, notes_first=notes_first)
    k = np.arange(9)[::-1]
    assert table.ids.tolist() == [f"ISIC_{n}" for n in k]
    np.testing.assert_allclose(table.image[:], np.stack([k, -(k + 0.25)], axis=1))
    np.testing.assert_allclose(table.text[:], np.stack([k + 0.5, np.full(9, 1e-3), np.zeros(9)], axis=1))
    assert np.signbit(table.text[:][:, 2]).all()


@pytest.mark.parametrize(
    ("pictures", "notes", "said"),
    [
        (PICTURES[:-2], NOTES, r"2 rows of .*n\.csv have no picture's vector in .*p\.csv: ISIC_8, ISIC_7;"),
        (PICTURES, NOTES[:-4], r"4 rows of .*p\.csv have no row of their id in .*n\.csv: ISIC_0, .* ISIC_2, \.\.\.;"),
        ([*PICTURES, "ISIC_3.gif,1,2"], NOTES, r"1 rows of .*p\.csv have an id that another row has: ISIC_3;"),
        (PICTURES, [*NOTES, 'ISIC_3,a,"[1, 2, 3]"'], r"1 rows of .*n\.csv have an id that another row has: ISIC_3;"),
        (PICTURES, [*NOTES[:-1], 'ISIC_0,a,"[1, 2]"'], r"1 rows of .*n\.csv .* another length .* 3: ISIC_0;"),
        (PICTURES, [*NOTES[:-1], 'ISIC_0,a,"[1, 2, NaN]"'], r"1 rows of .*n\.csv hold NaN .*: ISIC_0;"),
        (PICTURES, [*NOTES[:-1], 'ISIC_0,a,"[eval(2)]"'], r"1 rows of .*n\.csv hold no list .* as JSON: ISIC_0;"),
        ([*PICTURES[:-1], "ISIC_8.jpg,1"], NOTES, r"1 rows of .*p\.csv have another number of cells .*: line 10;"),
        ([*PICTURES[:-1], "ISIC_8.jpg,1,x"], NOTES, r"1 rows of .*p\.csv hold cells that are no numbers .*: ISIC_8;"),
        (["ImageName,0,1"], NOTES, r"p\.csv has no rows"),
        ([*PICTURES[:3], '"ISIC_2"x,1,2'], NOTES, r"Line 4 of .*p\.csv is not valid CSV"),
        (PICTURES, [*NOTES[:3], '"ISIC_6"x,a,"[1]"'], r"Line 4 of .*n\.csv is not valid CSV"),
        (NOTES, NOTES, "are no pair"),
        (PICTURES, ["label,embeddings", 'a,"[1]"'], r"n\.csv has no column that names its pictures; name it with --id"),
    ],
)  # fmt: skip
def test_a_pair_with_faults_names_rows(
    pair: Callable[..., object], tmp_path: Path, pictures: list[str], notes: list[str], said: str
) -> None:
    with pytest.raises(BadInput, match=said):
        pair(pictures, notes)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["n.csv", "p.csv"]


def test_encoders_are_named_or_claimed(write: Write, tmp_path: Path, tiny_encoders: Path) -> None:
    path = write("x.csv", numbered_lines())
    table = import_table([path], tmp_path / "W", about=About("mine", "CC0", None, {"image": "DINOv2"}))
    assert table.encoders["image"] == {"name": "DINOv2", "width": 2, "imported": True}
    assert table.dataset == {"name": "mine", "licence": "CC0", "drawn": False}
    with pytest.raises(BadInput, match=r"The image vectors are 2 wide, those of the encoder in .* 24"):
        import_table([path], tmp_path / "X", about=About(encoders=Encoders.open(tiny_encoders)))
