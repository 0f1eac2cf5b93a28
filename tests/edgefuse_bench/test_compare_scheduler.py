"""The script that compares two workers with one, on the tiny encoders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from click.testing import CliRunner


def test_three_ways_make_the_same_table_and_a_ratio(
    load_script: Callable[[str], ModuleType], tiny_workshop: Path, tiny_encoders: Path
) -> None:
    script = load_script("bench/compare_scheduler.py")
    options = ["--dataset", "drawn", "--root", str(tiny_workshop / "drawn"), "--encoders", str(tiny_encoders)]
    done = CliRunner().invoke(script.main, [*options, "--engine", "numpy", "--rows", "40", "--rounds", "1"])
    assert done.exit_code == 0, done.output
    assert "drawn, 40 rows, engine numpy, 1 thread each" in done.stdout
    (row,) = [line for line in done.stdout.splitlines() if line.startswith("| 1 |")]
    assert row.count(" s |") == 4
    assert "times as fast as one (median)" in done.stdout
