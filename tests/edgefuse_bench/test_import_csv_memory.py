"""The script that imports a large CSV file, with a small one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from click.testing import CliRunner


def test_both_sizes_are_measured_and_nothing_is_left(load_script: Callable[[str], ModuleType], tmp_path: Path) -> None:
    script = load_script("bench/import_csv_memory.py")
    done = CliRunner().invoke(script.main, ["--megabytes", "5", "--folder", str(tmp_path)])
    assert done.exit_code == 0, done.output
    lines = [line for line in done.stdout.splitlines() if " MB |" in line]
    assert [line.split("|")[1].strip() for line in lines] == ["0 MB", "5 MB"]
    assert all(int(line.split("|")[4].split()[0]) > 20 for line in lines)
    assert not list(tmp_path.iterdir())
