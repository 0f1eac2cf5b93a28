"""`edgefuse pack` as a user meets it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgefuse.kits.kit import Kit


@pytest.fixture
def pack(cli: Callable[..., Any], tiny_encoders: Path, tiny_workshop: Path, tmp_path: Path) -> Callable[..., Any]:
    """Pack the tiny encoders and their head into new.kit, or what is named instead."""

    def run(encoders: Path = tiny_encoders, head: Path = tiny_workshop / "head", *options: str) -> Any:
        return cli("pack", "--encoders", encoders, "--head", head, "--output", tmp_path / "new.kit", *options)

    return run


@pytest.fixture
def head(tiny_workshop: Path, tmp_path: Path) -> Path:
    """A copy of the tiny head that may be changed."""
    return Path(shutil.copytree(tiny_workshop / "head", tmp_path / "H"))


def test_it_writes_a_kit_and_says_so(pack: Callable[..., Any], tiny_encoders: Path, tiny_workshop: Path) -> None:
    outcome = pack(tiny_encoders, tiny_workshop / "head", "--name", "my kit", "--version", "2.1")
    assert outcome.code == 0, outcome.err
    folder, _, said = outcome.out.partition(": ")
    assert re.fullmatch(r"kit my kit 2\.1, 3 classes, \d MB\.\n", said)
    kit = Kit.open(Path(folder))
    kit.verify()
    assert (kit.name, kit.version, kit.classes) == ("my kit", "2.1", ["lumo", "pavi", "ziru"])


def test_a_head_that_was_not_evaluated_is_evaluated_first(
    pack: Callable[..., Any], tiny_encoders: Path, head: Path, tmp_path: Path
) -> None:
    evaluation = json.loads((head / "evaluation.json").read_text())
    (head / "evaluation.json").unlink()
    assert pack(tiny_encoders, head, "--name", "k").code == 0
    again = json.loads((head / "evaluation.json").read_text())
    assert {**again, "cost": None} == {**evaluation, "cost": None}  # which holds times
    assert Kit.open(tmp_path / "new.kit").manifest["evaluation"]["metrics"] == evaluation["metrics"]


def test_a_head_made_from_other_encoders_is_refused(
    pack: Callable[..., Any], tiny_encoders: Path, head: Path, tmp_path: Path
) -> None:
    description = json.loads((head / "head.json").read_text())
    description["encoders"]["text"]["sha256"] = "0" * 64
    (head / "head.json").write_text(json.dumps(description))
    sentence = pack(tiny_encoders, head, "--name", "k").refusal
    assert sentence == (
        f"The head {head} was trained on vectors of another text encoder than the one in {tiny_encoders}; "
        "run 'edgefuse extract' and 'edgefuse train' with these encoders."
    )
    assert [path.name for path in tmp_path.iterdir()] == ["H"]


@pytest.mark.parametrize("content", ["", "[]", "[1, 2]", "{", "7", "null"])
def test_a_damaged_evaluation_is_refused(
    pack: Callable[..., Any], tiny_encoders: Path, head: Path, tmp_path: Path, content: str
) -> None:
    (head / "evaluation.json").write_text(content)
    assert f"run 'edgefuse evaluate {head}'" in pack(tiny_encoders, head, "--name", "k").refusal
    assert [path.name for path in tmp_path.iterdir()] == ["H"]


def test_a_table_that_was_moved_is_asked_for(
    pack: Callable[..., Any], tiny_encoders: Path, head: Path, tmp_path: Path
) -> None:
    (head / "evaluation.json").unlink()
    description = json.loads((head / "head.json").read_text())
    (head / "head.json").write_text(json.dumps(description | {"table_path": str(tmp_path / "gone")}))
    sentence = pack(tiny_encoders, head, "--name", "k").refusal
    assert f"{tmp_path / 'gone'} is not there" in sentence
    assert sentence.endswith(f"say where it is now with 'edgefuse evaluate {head} --table V'.")


def test_folders_that_are_something_else_are_refused(
    pack: Callable[..., Any], tiny_encoders: Path, head: Path, tmp_path: Path
) -> None:
    assert pack(head, head, "--name", "k").refusal.startswith(f"{head} is not an encoders folder")
    (tmp_path / "H" / "evaluation.json").unlink()
    assert pack(tiny_encoders, tiny_encoders, "--name", "k").refusal.startswith(f"{tiny_encoders} is no head")
    assert [path.name for path in tmp_path.iterdir()] == ["H"]


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 half an archive"])
def test_damaged_golden_vectors_are_refused(
    pack: Callable[..., Any], tiny_encoders: Path, head: Path, tmp_path: Path, content: bytes
) -> None:
    encoders = Path(shutil.copytree(tiny_encoders, tmp_path / "E"))
    (encoders / "golden.npz").write_bytes(content)
    sentence = pack(encoders, head, "--name", "k").refusal
    assert sentence.startswith(f"The arrays {encoders / 'golden.npz'} cannot be read (")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["E", "H"]


def test_an_existing_kit_is_left_alone(
    pack: Callable[..., Any], tiny_encoders: Path, head: Path, tmp_path: Path
) -> None:
    (tmp_path / "new.kit").mkdir()
    (tmp_path / "new.kit" / "kit.json").write_text("precious")
    sentence = pack(tiny_encoders, head, "--name", "k").refusal
    assert sentence == f"{tmp_path / 'new.kit'} already exists; choose another output or remove it first."
    assert (tmp_path / "new.kit" / "kit.json").read_text() == "precious"


def test_an_output_that_cannot_be_written(
    pack: Callable[..., Any], tiny_encoders: Path, head: Path, tmp_path: Path
) -> None:
    before = sorted(tmp_path.rglob("*"))
    for output in (head / "head.json" / "new.kit", Path("/proc/new.kit")):
        sentence = pack(tiny_encoders, head, "--name", "k", "--output", str(output)).refusal
        assert str(output.parent) in sentence
        assert "check the path, its permissions and the disk" in sentence
    assert sorted(tmp_path.rglob("*")) == before
