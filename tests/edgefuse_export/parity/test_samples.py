"""What a source and its file are compared on."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from edgefuse.datasets.drawn import draw
from edgefuse_export.parity.samples import COUNT, DRAWN, distinct, read_samples
from edgefuse_runtimes.errors import BadInput


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "deeper").mkdir(parents=True)
    for name in ("b.jpg", "a.PNG", "deeper/c.webp"):
        Image.new("RGB", (8, 8)).save(folder / name)
    (folder / "notes.txt").write_text("no picture")
    return folder


def test_the_drawn_example_is_the_default() -> None:
    samples = read_samples(count=3)
    assert (samples.pictures_from, samples.notes_from, samples.available) == (DRAWN, DRAWN, 3)
    assert samples.notes == tuple(draw(seed).note for seed in range(3))
    assert samples.labels == tuple(draw(seed).label for seed in range(3))
    assert samples.ids == ("drawn-0", "drawn-1", "drawn-2")
    assert COUNT == 130


def test_a_folder_gives_its_pictures_and_drawn_notes(pictures: Path) -> None:
    samples = read_samples(pictures)
    assert samples.ids == ("a.PNG", "b.jpg", "deeper/c.webp")
    assert samples.pictures == tuple(pictures / name for name in samples.ids)
    assert (samples.pictures_from, samples.notes_from) == ("the folder photos", DRAWN)
    assert samples.labels == ("", "", "")


def test_a_table_may_lack_labels(pictures: Path) -> None:
    table = pictures / "table.csv"
    table.write_text("image,text\na.PNG,itches\nb.jpg,itches\n")
    samples = read_samples(table)
    assert samples.notes == ("itches", "itches")
    assert samples.labels == ("", "")
    assert (samples.pictures_from, samples.notes_from) == ("table.csv", "table.csv")


def test_a_table_brings_ids_labels_and_groups(pictures: Path) -> None:
    table = pictures / "table.csv"
    table.write_text("id,image,text,label,group\n1,a.PNG,x,nv,lesion\n2,b.jpg,y,,lesion\n")
    samples = read_samples(table)
    assert (samples.ids, samples.labels, samples.groups) == (("1", "2"), ("nv", ""), ("lesion", "lesion"))


def test_more_than_enough_are_chosen_by_chance_and_always_alike(pictures: Path) -> None:
    table = pictures / "table.csv"
    table.write_text("id,image,text\n" + "".join(f"{k},a.PNG,note {k}\n" for k in range(1000)))
    samples = read_samples(table, 50)
    numbers = [int(name) for name in samples.ids]
    assert (len(numbers), samples.available) == (50, 1000)
    assert numbers == sorted(numbers)
    assert 300 < sum(numbers) / 50 < 700  # from all of the table
    assert samples.notes == tuple(f"note {k}" for k in numbers)
    assert read_samples(table, 50).ids == samples.ids


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("nowhere", None, r"There is no folder or table .*nowhere; check the path given with --samples\."),
        ("sample.txt", "x", r"is neither a folder of pictures nor a table ending in \.csv; give one of these\."),
        ("table.csv", "image,label\na.PNG,x\n", "lacks the column text"),
        (
            "table.csv",
            "image,text\na.PNG,x\nz.png,y\n",
            "1 rows of .* have no picture file beside the table, the first",
        ),
        ("table.csv", "id,image,text\n1,a.PNG,x\n1,b.jpg,y\n", "has the id '1' more than once"),
        ("empty", ..., r"holds no picture \(\.jpg"),
    ],
)
def test_what_cannot_be_compared_on_is_refused(pictures: Path, name: str, content: object, complaint: str) -> None:
    path = pictures / name
    if isinstance(content, str):
        path.write_text(content)
    elif content is ...:
        path.mkdir()
    with pytest.raises(BadInput, match=complaint):
        read_samples(path)


def test_equal_notes_count_once() -> None:
    first, which = distinct(["a", "b", "a", "c", "b"])
    assert (first, which) == ([0, 1, 3], [0, 1, 0, 2, 1])
