"""`edgefuse evaluate` as a user meets it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from edgefuse.commands.evaluate import command
from edgefuse.embeddings.table import Table
from edgefuse.evaluation.page import render
from edgefuse.heads import write_head
from edgefuse.training.recipe import train_head
from edgefuse.training.trainer import Settings
from edgefuse_runtimes.errors import BadInput

MakeHead = Callable[..., tuple[Path, Table]]


@pytest.fixture
def make_head(make_table: Callable[..., Table], tmp_path: Path) -> MakeHead:
    def make(**options: object) -> tuple[Path, Table]:
        table = make_table(**options)
        write_head(tmp_path / "H", train_head(table, fusion="early", settings=Settings(epochs=5)))
        return tmp_path / "H", table

    return make


def _evaluate(*arguments: Path | str) -> str:
    outcome = CliRunner().invoke(command, [str(each) for each in arguments], catch_exceptions=False)
    assert outcome.exit_code == 0, outcome.output
    return outcome.stdout


def test_it_prints_and_writes_the_test_figures(make_head: MakeHead) -> None:
    head, _ = make_head()
    printed = _evaluate(head)
    written = json.loads((head / "evaluation.json").read_text())
    assert printed.splitlines() == [click.unstyle(line) for line in render(written)]
    assert written["schema"] == 2
    assert written["drawn"] is False
    assert "drawn" not in printed


@pytest.mark.parametrize(
    ("dataset", "warning"),
    [
        ({"leaks": ["dx_type"]}, "LEAK: the notes hold dx_type, which tells the label"),
        ({"split": "paper"}, "LEAK: the split is the paper's, by picture"),
    ],
)
def test_what_leaks_is_said_in_red_and_written(make_head: MakeHead, dataset: dict[str, object], warning: str) -> None:
    folder, _ = make_head()
    description = json.loads((folder / "head.json").read_text())
    description["dataset"] |= dataset
    (folder / "head.json").write_text(json.dumps(description))
    outcome = CliRunner().invoke(command, [str(folder)], catch_exceptions=False, color=True)
    assert outcome.stderr.startswith(f"\x1b[31m\x1b[1m{warning}")
    [written] = json.loads((folder / "evaluation.json").read_text())["warnings"]
    assert written.startswith(warning)


def test_the_drawn_example_is_called_what_it_is(make_head: MakeHead) -> None:
    head, _ = make_head(drawn=True)
    assert "drawn example: not an accuracy figure for any real use" in _evaluate(head)
    assert json.loads((head / "evaluation.json").read_text())["drawn"] is True


def test_a_moved_table_is_asked_for_and_then_used(make_head: MakeHead, tmp_path: Path) -> None:
    head, table = make_head()
    table.folder.rename(tmp_path / "moved")
    with pytest.raises(BadInput, match="--table"):
        _evaluate(head)
    assert not (head / "evaluation.json").exists()
    assert "fused" in _evaluate(head, "--table", tmp_path / "moved")


def test_another_table_is_refused(make_head: MakeHead, make_table: Callable[..., Table], tmp_path: Path) -> None:
    head, _ = make_head()
    other = make_table(tmp_path / "other", seed=1)
    with pytest.raises(BadInput, match="not the embedding table"):
        _evaluate(head, "--table", other.folder)


def test_no_head_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is no head"):
        _evaluate(tmp_path)


def test_the_help_has_an_example() -> None:
    assert "Example: edgefuse evaluate" in CliRunner().invoke(command, ["--help"]).output
