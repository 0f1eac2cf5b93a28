"""A study that begins with encoders and a data set: its tables are extracted, once, and from nothing else later."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgefuse.datasets.drawn import write_example
from edgefuse.embeddings.table import open_table
from edgefuse.study.cells import read_cell
from edgefuse.study.config import read_study
from edgefuse.study.running import cells_of, run, work_of
from edgefuse_runtimes.errors import BadInput

CONFIG = """
[data]
dataset = "drawn/table.csv"
[encoders]
"tiny pair" = "E"
[training]
fusion = ["early"]
folds = 2
seeds = 1
shifts = [0]
epochs = 1
"""


@pytest.fixture
def begun(tmp_path: Path, tiny_encoders: Path) -> Path:
    """The file of a study that was run, with its output S beside it."""
    write_example(tmp_path / "drawn", count=48)
    (tmp_path / "E").symlink_to(tiny_encoders)
    path = tmp_path / "study.toml"
    path.write_text(CONFIG)
    run(read_study(path), tmp_path / "S", jobs=1)
    return path


def test_a_table_is_extracted_once_and_every_head_is_trained_on_it(begun: Path, tmp_path: Path) -> None:
    table = tmp_path / "S" / "tables" / "tiny-pair"
    assert len(open_table(table).ids) == 48
    assert len(list((tmp_path / "S" / "cells" / "tiny-pair").glob("*.npz"))) == len(cells_of(read_study(begun))) == 2
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "S").rglob("*") if path.is_file()}
    run(read_study(begun), tmp_path / "S", jobs=1)
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_a_table_is_read_as_its_keys_say(tmp_path: Path, tiny_encoders: Path) -> None:
    """Columns of other names, several classes a picture, and a part of the rows: the words of 'edgefuse extract'."""
    write_example(tmp_path / "drawn", count=96)
    csv = tmp_path / "drawn" / "table.csv"
    header, *rows = csv.read_text().splitlines()
    csv.write_text("\n".join([header.replace("label", "findings"), *rows]) + "\n")
    (tmp_path / "E").symlink_to(tiny_encoders)
    path = tmp_path / "study.toml"
    keys = 'label_column = "findings"\nmultilabel = true\nlimit = 60\n'
    path.write_text(CONFIG.replace("[encoders]", f"{keys}[encoders]"))
    run(read_study(path), tmp_path / "S", jobs=1)
    table = open_table(tmp_path / "S" / "tables" / "tiny-pair")
    assert table.multilabel
    assert len(table.ids) == 60
    assert len(list((tmp_path / "S" / "cells" / "tiny-pair").glob("*.npz"))) == 2
    path.write_text(path.read_text().replace("limit = 60", "limit = 70"))
    with pytest.raises(BadInput, match=r"extracted from other data \(limit under \[data\] differ\)"):
        run(read_study(path), tmp_path / "S", jobs=1)


def test_data_that_changed_is_not_passed_over(begun: Path, tmp_path: Path) -> None:
    begun.write_text(CONFIG.replace("[encoders]", "skip_missing = true\n[encoders]"))
    with pytest.raises(BadInput, match=r"extracted from other data \(skip_missing under \[data\] differ\)"):
        run(read_study(begun), tmp_path / "S", jobs=1)
    begun.write_text(CONFIG)
    csv = tmp_path / "drawn" / "table.csv"
    csv.write_text(csv.read_text().replace("s", "z", 1))
    with pytest.raises(BadInput, match=r"extracted from other data \(content under"):
        run(read_study(begun), tmp_path / "S", jobs=1)
    begun.write_text(CONFIG.replace("[encoders]", "views = 2\n[encoders]"))
    with pytest.raises(BadInput, match=r"extracted from other data \(content, views under"):
        run(read_study(begun), tmp_path / "S", jobs=1)


def test_heads_of_a_study_learn_from_views(tmp_path: Path, tiny_encoders: Path) -> None:
    write_example(tmp_path / "drawn", count=48)
    (tmp_path / "E").symlink_to(tiny_encoders)
    path = tmp_path / "study.toml"
    path.write_text(CONFIG.replace("[encoders]", "views = 2\n[encoders]"))
    run(read_study(path), tmp_path / "S", jobs=1)
    assert open_table(tmp_path / "S" / "tables" / "tiny-pair").view_count == 2
    work = work_of(read_study(path), tmp_path / "S", "tiny pair")
    cell = cells_of(read_study(path))[0]
    assert read_cell(work.folder / cell.file, work.facts(), cell).training["views"] == 2
