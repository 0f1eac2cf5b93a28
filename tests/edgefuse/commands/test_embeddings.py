"""`edgefuse embeddings` as a user meets it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgefuse.embeddings.table import open_table, shard_path, write_shard
from edgefuse_runtimes.files import write_json


def test_show_tells_what_a_table_is(cli: Callable[..., Any], tiny_workshop: Path) -> None:
    folder = tiny_workshop / "table"
    outcome = cli("embeddings", "show", folder)
    assert (outcome.code, outcome.err) == (0, "")
    table = open_table(folder)
    assert outcome.out.splitlines()[0] == f"{folder}: 60 rows of 60 groups"
    for name in table.classes:
        assert f"{name} {int((table.labels == table.classes.index(name)).sum())}" in outcome.out
    assert f"train {int((table.splits == 'train').sum())}" in outcome.out
    assert f"24 wide, file {table.encoders['image']['sha256'][:12]}" in outcome.out
    assert "The text encoder (numpy, " in outcome.out
    assert "of 60 rows" in outcome.out
    assert "drawn example: not an accuracy figure" in outcome.out


def test_out_and_in_again(cli: Callable[..., Any], tiny_workshop: Path, tmp_path: Path) -> None:
    folder, path = tiny_workshop / "table", tmp_path / "t.csv"
    assert cli("embeddings", "export", folder, "--output", path).code == 0
    outcome = cli(
        "embeddings", "import", path, "--output", tmp_path / "V", "--image-encoder", "my ViT", "--name", "mine"
    )  # fmt: skip
    assert (outcome.code, outcome.out) == (0, "")
    assert "24 wide, my ViT (imported, as said)" in outcome.err
    assert "data set     mine (not given)" in outcome.err
    before, after = open_table(folder), open_table(tmp_path / "V")
    np.testing.assert_array_equal(after.text[:], before.text[:])


def test_views_to_learn_from_are_told_and_stay(cli: Callable[..., Any], tiny_workshop: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_workshop / "table", tmp_path / "V"))
    write_json(folder / "table.json", json.loads((folder / "table.json").read_text()) | {"views": 2})
    write_shard(shard_path(folder, "views", 0), np.repeat(open_table(tiny_workshop / "table").image[:], 2, axis=0))
    assert "views        2 of each picture, to learn from" in cli("embeddings", "show", folder).out
    said = cli("embeddings", "export", folder, "--output", tmp_path / "t.npz").err
    assert f"The 2 views of each picture to learn from stay in {folder}." in said
    trained = cli("train", folder, "--fusion", "early", "--epochs", "1", "--output", tmp_path / "H")
    rows = int((open_table(folder).splits == "train").sum())
    assert f"{rows} training rows and 2 views of each picture, shift" in trained.out
    assert cli("evaluate", tmp_path / "H").code == 0


def test_notes_that_told_the_label_are_marked(cli: Callable[..., Any], tiny_workshop: Path, tmp_path: Path) -> None:
    path = tmp_path / "t.npz"
    cli("embeddings", "export", tiny_workshop / "table", "--output", path)
    outcome = cli("embeddings", "import", path, "--output", tmp_path / "V", "--leak", "dx_type", "--leak", "dx")
    assert "LEAK: the notes hold dx_type, dx, which tells the label" in outcome.err
    assert open_table(tmp_path / "V").leaks == ("dx_type", "dx")
    assert "LEAK: the notes hold" in cli("embeddings", "show", tmp_path / "V").out
    cli("embeddings", "export", tmp_path / "V", "--output", tmp_path / "again.npz")
    again = cli("embeddings", "import", tmp_path / "again.npz", "--output", tmp_path / "W", "--leak", "dx")
    assert "the notes hold dx_type, dx, which" in again.err


@pytest.fixture
def pack(cli: Callable[..., Any], tiny_workshop: Path, tiny_encoders: Path, tmp_path: Path) -> Callable[..., Any]:
    """Export the tiny table, import it with these options, train a head, and pack it with the tiny encoders."""

    def run(*options: Path | str) -> Any:
        cli("embeddings", "export", tiny_workshop / "table", "--output", tmp_path / "t.csv")
        assert cli("embeddings", "import", tmp_path / "t.csv", "--output", tmp_path / "V", *options).code == 0
        assert cli("train", tmp_path / "V", "--fusion", "early", "--epochs", "2", "--output", tmp_path / "H").code == 0
        assert cli("evaluate", tmp_path / "H").code == 0
        names = ["--name", "x", "--output", tmp_path / "x.kit"]
        return cli("pack", "--encoders", tiny_encoders, "--head", tmp_path / "H", *names)

    return run


def test_a_head_of_an_imported_table_is_not_packed(pack: Callable[..., Any], tmp_path: Path) -> None:
    sentence = pack("--image-encoder", "DINOv2").refusal
    assert "was trained on imported image vectors of 'DINOv2', and nothing says that the encoder in" in sentence
    assert not (tmp_path / "x.kit").exists()


def test_unless_the_encoders_are_said_to_be_its(pack: Callable[..., Any], tiny_encoders: Path, tmp_path: Path) -> None:
    assert pack("--encoders", tiny_encoders).code == 0
    assert (tmp_path / "x.kit" / "kit.json").is_file()


def test_bad_input_is_one_sentence(cli: Callable[..., Any], tiny_workshop: Path, tmp_path: Path) -> None:
    said = cli("embeddings", "import", tmp_path / "no.csv", "--output", tmp_path / "V").refusal
    assert said == f"There is no table at {tmp_path / 'no.csv'}; check the path."
    assert "is no embedding table" in cli("embeddings", "show", tmp_path).refusal
    (tmp_path / "t.csv").write_text("mine")
    said = cli("embeddings", "export", tiny_workshop / "table", "--output", tmp_path / "t.csv").refusal
    assert "t.csv already exists" in said
    assert (tmp_path / "t.csv").read_text() == "mine"
