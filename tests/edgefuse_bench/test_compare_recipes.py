"""What each part of a recipe gives, on the tiny table."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from click.testing import CliRunner

from edgefuse.embeddings.table import open_table, shard_path, write_shard
from edgefuse_runtimes.files import write_json


@pytest.fixture
def viewed(tiny_workshop: Path, tmp_path: Path) -> Path:
    """The tiny table, with two views of each picture."""
    table = Path(shutil.copytree(tiny_workshop / "table", tmp_path / "V"))
    write_shard(shard_path(table, "views", 0), np.repeat(open_table(table).image[:], 2, axis=0))
    write_json(table / "table.json", json.loads((table / "table.json").read_text()) | {"views": 2})
    return table


def test_every_recipe_gets_a_line(tiny_workshop: Path, viewed: Path, load_script: Callable[[str], ModuleType]) -> None:
    script = load_script("bench/compare_recipes.py")
    tables = [str(tiny_workshop / "table"), str(viewed)]
    outcome = CliRunner().invoke(script.main, [*tables, "--seeds", "1", "--folds", "2"], catch_exceptions=False)
    assert outcome.exit_code == 0, outcome.output
    for recipe in script.RECIPES:
        (line,) = [line for line in outcome.stdout.splitlines() if line.startswith(f"{recipe.name:<56}")]
        assert all(0 <= float(cell) <= 1 for cell in line[56:].split())
    assert "drawn example" in outcome.stdout


def test_a_table_without_views_is_refused(tiny_workshop: Path, load_script: Callable[[str], ModuleType]) -> None:
    table = str(tiny_workshop / "table")
    outcome = CliRunner().invoke(load_script("bench/compare_recipes.py").main, [table, table])
    assert (outcome.exit_code, outcome.stdout) == (2, "")
    assert outcome.stderr == f"compare_recipes: {table} has no views to learn from; extract it with --views 8.\n"
