"""What a folder or a table holds for a batch."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgefuse.batch.samples import BatchSample, read_samples
from edgefuse_runtimes.errors import BadInput


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "photos"
    (root / "ward 2").mkdir(parents=True)
    (root / ".trash").mkdir()
    for name in ("b.jpg", "b.txt", "a.PNG", "ward 2/c.webp", "ward 2/c.TXT", "list.csv", ".trash/d.jpg", ".e.jpg"):
        (root / name).write_text(name)
    return root


def test_a_note_is_the_text_file_beside_its_picture(folder: Path) -> None:
    samples, remarks = read_samples(folder)
    assert samples == [
        BatchSample("a.PNG", folder / "a.PNG", None),
        BatchSample("b.jpg", folder / "b.jpg", folder / "b.txt"),
        BatchSample("ward 2/c.webp", folder / "ward 2/c.webp", folder / "ward 2/c.TXT"),
    ]
    assert remarks == []


def test_a_text_file_without_a_picture_is_told_of(folder: Path) -> None:
    (folder / "README.txt").write_text("These pictures were taken in May.")
    samples, remarks = read_samples(folder)
    assert len(samples) == 3
    assert remarks == [
        "1 text file has no picture beside and got no answer: README.txt; "
        "list notes without pictures in a table instead."
    ]
    for number in range(4):
        (folder / f"{number}.txt").write_text("more")
    assert (
        "5 text files have no picture beside and got no answer: 0.txt, 1.txt, 2.txt, ...;" in read_samples(folder)[1][0]
    )


def table(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "visits.csv"
    path.write_text(text)
    return path


def test_an_empty_cell_of_a_table_is_a_missing_picture_or_note(tmp_path: Path) -> None:
    path = table(tmp_path, 'id,image,text\nv1,p/1.jpg,"New, and it grows."\nv2,p/2.jpg,\nv3,,Known for years.\nv4,,\n')
    assert read_samples(path)[0] == [
        BatchSample("v1", tmp_path / "p/1.jpg", "New, and it grows."),
        BatchSample("v2", tmp_path / "p/2.jpg", None),
        BatchSample("v3", None, "Known for years."),
        BatchSample("v4", None, None),
    ]


def test_without_ids_a_row_is_called_by_its_picture_or_its_number(tmp_path: Path) -> None:
    assert [sample.id for sample in read_samples(table(tmp_path, "image,text\n1.jpg,a\n,b\n"))[0]] == ["1.jpg", "row 2"]
    assert [sample.id for sample in read_samples(table(tmp_path, "text\na\nb\n"))[0]] == ["row 1", "row 2"]
    assert read_samples(table(tmp_path, "image\n1.jpg\n"))[0] == [BatchSample("1.jpg", tmp_path / "1.jpg", None)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id,image,text\nv1,1.jpg,a\nv1,2.jpg,b\n", "has the id 'v1' more than once"),
        ("image\n1.jpg\n1.jpg\n", "has the id '1.jpg' more than once"),
        ("id,image\n,1.jpg\n", "Row 1 of .* has an empty cell in the column id"),
        ("id,picture\nv1,1.jpg\n", "has neither a column image nor a column text"),
        ("id,image,text\nv1,1.jpg,a,b\n", "has 4 cells, its header has 3"),
        ("id,image,text\n", "holds no rows"),
        ("", "holds no rows"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        read_samples(table(tmp_path, text))


def test_what_is_no_folder_and_no_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "img.jpg").write_bytes(b"")
    for name, said in [
        ("empty", "holds no pictures"),
        ("img.jpg", "is neither a folder nor a table"),
        ("photos", "is neither a folder nor a table"),
        ("no.csv", "There is no table at"),
    ]:
        with pytest.raises(BadInput, match=said):
            read_samples(tmp_path / name)
