"""The script that tells what the results log costs."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner


@pytest.fixture
def script(load_script: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setenv("XDG_CACHE_HOME", os.environ["XDG_CACHE_HOME"])  # the script sets both; put back after the test
    monkeypatch.setenv("EDGEFUSE_HOME", "")
    return load_script("bench/compare_log.py")


def test_it_tells_what_each_way_takes_and_leaves_nothing(script: ModuleType, tiny_kit: Path, tmp_path: Path) -> None:
    options = ["--engine", "numpy", "--count", "4", "--rounds", "2", "--folder", str(tmp_path)]
    done = CliRunner().invoke(script.main, [str(tiny_kit), *options])
    assert done.exit_code == 0, done.output
    rows = [line.split()[-4:] for line in done.stdout.splitlines()[1:]]
    assert len(rows) == 5
    for median, least, _, most in rows:
        assert 0 < float(least) <= float(median) <= float(most)
    assert list(tmp_path.iterdir()) == []


def test_a_kit_that_is_not_there_gets_a_sentence(script: ModuleType, tmp_path: Path) -> None:
    done = CliRunner().invoke(script.main, [str(tmp_path / "no.kit")])
    assert done.exit_code == 2
    assert "compare_log: There is no kit at" in done.stderr
