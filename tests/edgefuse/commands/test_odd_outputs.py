"""An output without a name of its own is refused in one sentence, before the work, and nothing is made."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgefuse.embeddings.table import Table

COMMANDS = {
    "export": "export --output",
    "embeddings export": "embeddings export {table} --output",
    "embeddings export pair": "embeddings export {table} --layout pair --output",
    "align": "align {table} --output",
    "train": "train {table} --fusion early --output",
    "raw": "raw {table} --dataset drawn --root {drawn} --fusion early --output",
    "pack": "pack --encoders {encoders} --head {head} --name k --output",
    "pack an archive": "pack --encoders {encoders} --head {head} --name k --archive --output",
    "starter": "starter",
    "results export": "results export csv",
}


@pytest.fixture
def words(
    tiny_workshop: Path, tiny_encoders: Path, make_table: Callable[..., Table], tmp_path: Path
) -> dict[str, Path]:
    """What the commands name."""
    drawn, head, table = tiny_workshop / "drawn", tiny_workshop / "head", make_table(tmp_path / "V").folder
    return {"drawn": drawn, "encoders": tiny_encoders, "head": head, "table": table}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS.keys())
def test_what_is_there_anyway_is_no_output(
    cli: Callable[..., Any], words: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    (here / "thesis.txt").write_text("precious")
    monkeypatch.chdir(here)
    before = sorted(tmp_path.rglob("*"))
    for output in (".", "..", "/", "./"):
        sentence = cli(*shlex.split(command.format(**words)), output).refusal  # and exit code 2
        assert str(Path(output)) in sentence
        assert sorted(tmp_path.rglob("*")) == before


def test_an_archive_is_not_made_in_the_place_of_an_empty_folder(
    cli: Callable[..., Any], words: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    command = shlex.split(COMMANDS["pack an archive"].format(**words))
    assert cli(*command, f"{tmp_path}/empty/").refusal.startswith(f"{tmp_path / 'empty'} is a folder, and --archive")
