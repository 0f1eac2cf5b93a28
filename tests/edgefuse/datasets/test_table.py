from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from edgefuse.datasets import open_dataset
from edgefuse.datasets.table import Columns
from edgefuse.datasets.template import template_of
from edgefuse_runtimes.errors import BadInput

Write = Callable[[str], str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a table beside the pictures a.png, b.png and c.png."""
    for name in "abc":
        Image.new("RGB", (4, 4)).save(tmp_path / f"{name}.png")

    def write(text: str) -> str:
        (tmp_path / "table.csv").write_text(text, encoding="utf-8")
        return str(tmp_path / "table.csv")

    return write


def test_three_columns_are_enough(write: Write, tmp_path: Path) -> None:
    dataset = open_dataset(write('image,text,label\na.png,"itches, at night",x\nb.png,,y\n'))
    first, second = dataset.samples
    assert (first.id, first.image, first.text, first.label) == (
        "a.png",
        tmp_path / "a.png",
        "itches, at night",
        "x",
    )
    assert first.group != second.group
    assert second.text == ""
    assert dataset.classes == ("x", "y")


def test_optional_columns_are_taken_in_any_order(write: Write) -> None:
    dataset = open_dataset(write("split,group,id,label,text,image\ntrain,g,1,x,t,a.png\ntest,h,2,y,t,b.png\n"))
    assert [(s.id, s.group, s.split) for s in dataset.samples] == [("1", "g", "train"), ("2", "h", "test")]


def test_pictures_lie_under_root(write: Write, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "a.png").rename(tmp_path / "elsewhere" / "a.png")
    dataset = open_dataset(write("image,text,label\na.png,t,x\n"), tmp_path / "elsewhere")
    assert dataset.samples[0].image.is_file()


def test_a_spreadsheets_byte_order_mark_and_blank_lines_do_no_harm(write: Write) -> None:
    dataset = open_dataset(write("\ufeffimage,text,label\r\na.png,t,x\r\n\r\n"))
    assert len(dataset.samples) == 1


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("image,label\na.png,x\n", "lacks the column text; its first line names: image, label"),
        ("", "lacks the column image, text, label; its first line names: nothing"),
        ("image,text,label,text\na.png,t,x,u\n", "column 'text' more than once"),
        ("image,text,label\n", "holds no samples"),
        ("image,text,label\na.png,t,x\na.png,t,x\n", "the id 'a.png' more than once"),
        ("image,text,label\na.png,t,\n", "empty label, the first is 'a.png'"),
        ("image,text,label\n,t,x\n", "Row 1 of .* empty cell in the column image"),
        ("id,image,text,label\n,a.png,t,x\n", "empty cell in the column id"),
        ("image,text,label\na.png,itches, at night,x\n", "Line 2 of .* has 4 cells, its header has 3"),
        ('image,text,label\na.png,"t"t,x\n', "Line 2 of .* is not valid CSV"),
    ],
)
def test_a_malformed_table_gets_a_sentence(write: Write, text: str, complaint: str) -> None:
    with pytest.raises(BadInput, match=complaint):
        open_dataset(write(text))


def test_missing_pictures_are_named_or_left_out(write: Write) -> None:
    table = write("image,text,label\na.png,t,x\nnone.png,t,x\nb.png,t,y\n")
    with pytest.raises(BadInput, match=r"1 of the samples have no picture file: none\.png .*--skip-missing"):
        open_dataset(table)
    dataset = open_dataset(table, skip_missing=True)
    assert [sample.id for sample in dataset.samples] == ["a.png", "b.png"]
    assert dataset.left_out == ("none.png",)


def test_a_table_without_any_picture_is_refused(write: Write) -> None:
    table = write("image,text,label\nnone.png,t,x\n")
    with pytest.raises(BadInput, match="Not one sample"):
        open_dataset(table, skip_missing=True)


def test_a_table_that_is_not_utf8_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "latin.csv"
    path.write_bytes("image,text,label\na.png,crème,x\n".encode("latin-1"))
    with pytest.raises(BadInput, match=r"not UTF-8 \(line 2\)"):
        open_dataset(str(path))


def test_a_file_that_is_not_there_or_not_a_table(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="There is no table at"):
        open_dataset(str(tmp_path / "none.csv"))
    with pytest.raises(BadInput, match=r"no data set called 'ham1000'; name one of .*drawn.*ham10000"):
        open_dataset("ham1000", tmp_path)
    with pytest.raises(BadInput, match="needs its folder"):
        open_dataset("ham10000")


def test_the_user_names_the_columns(write: Write) -> None:
    table = write("file,note,class,key,patient,part,sex,age\na.png,t,x,1,g,train,f,61\nb.png,u,y,2,h,test,,\n")
    columns = Columns("file", "note", "class", "key", "patient", "part", ("sex",))
    first, second = open_dataset(table, columns=columns).samples
    assert (first.id, first.text, first.label, first.group, first.split) == ("1", "t", "x", "g", "train")
    assert (first.subgroups, second.subgroups) == ({"sex": "f"}, {"sex": "not recorded"})


def test_a_named_column_that_is_not_there(write: Write) -> None:
    table = write("image,text,label\na.png,t,x\n")
    for columns in (Columns(image="file"), Columns(text="file"), Columns(group="file"), Columns(subgroups=("file",))):
        with pytest.raises(BadInput, match="lacks the column file; its first line names: image, text, label"):
            open_dataset(table, columns=columns)


def test_a_note_may_be_put_together_from_columns(write: Write) -> None:
    table = write("image,age,sex,label\na.png,61,female,x\nb.png,,male,y\n")
    template = template_of("Age: {age}. Sex: {sex}.")
    first, second = open_dataset(table, template=template).samples
    assert first.text == "Age: 61. Sex: female."
    assert second.text == "Age: not recorded. Sex: male."


def test_the_label_itself_is_refused_in_a_note(write: Write) -> None:
    table = write("image,text,label\na.png,t,x\n")
    with pytest.raises(BadInput, match=r"uses \{label\}, which tells the label \(it is the label\)"):
        open_dataset(table, template=template_of("{text} {label}"))
    dataset = open_dataset(table, template=template_of("{text} {label}"), allow_leaks=["label"])
    assert (dataset.samples[0].text, dataset.leaks) == ("t x", ("label",))


def test_a_part_of_a_table_is_drawn_by_whole_groups(write: Write) -> None:
    lines = [f"s{k},{'abc'[k % 3]}.png,t,x,g{k // 4}" for k in range(40)]
    table = write("\n".join(["id,image,text,label,group", *lines]) + "\n")
    dataset = open_dataset(table, limit=10)
    assert len(dataset.samples) == 12
    assert len({sample.group for sample in dataset.samples}) == 3
    assert dataset == open_dataset(table, limit=10)
    assert [s.id for s in dataset.samples] == sorted((s.id for s in dataset.samples), key=lambda name: int(name[1:]))
    assert len(open_dataset(table, limit=1000).samples) == 40
