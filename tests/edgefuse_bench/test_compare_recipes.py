"""What each part of a recipe gives, on the tiny table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from click.testing import CliRunner


def test_every_recipe_gets_a_line(tiny_workshop: Path, load_script: Callable[[str], ModuleType]) -> None:
    script = load_script("bench/compare_recipes.py")
    table = str(tiny_workshop / "table")
    outcome = CliRunner().invoke(script.main, [table, table, "--seeds", "1", "--folds", "2"], catch_exceptions=False)
    assert outcome.exit_code == 0, outcome.output
    for recipe in script.RECIPES:
        (line,) = [line for line in outcome.stdout.splitlines() if line.startswith(f"{recipe.name:<40}")]
        assert all(0 <= float(cell) <= 1 for cell in line[40:].split())
    assert "drawn example" in outcome.stdout
