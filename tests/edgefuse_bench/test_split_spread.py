"""The script that trains on several splits, on the tiny table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from click.testing import CliRunner

from edgefuse.embeddings.table import open_table


@pytest.fixture(scope="module")
def script(load_script: Callable[[str], ModuleType]) -> ModuleType:
    return load_script("bench/split_spread.py")


def test_seed_0_is_the_split_that_extract_made_and_others_differ(script: ModuleType, tiny_workshop: Path) -> None:
    table = open_table(tiny_workshop / "table")
    assert np.array_equal(script.divided(table, 0).splits, table.splits)
    assert not np.array_equal(script.divided(table, 1).splits, table.splits)


def test_every_part_gets_a_mean_and_a_spread(script: ModuleType, tiny_workshop: Path) -> None:
    done = CliRunner().invoke(script.main, [str(tiny_workshop / "table"), "--splits", "2"])
    assert done.exit_code == 0, done.output
    for name in ("majority", "text-only", "image-only", "fused", "fused less image-only", "logistic regression"):
        assert f"\n{name} " in done.stdout
    assert "not an accuracy figure for any real use" in done.stdout


def test_a_folder_that_is_no_table_is_a_sentence(script: ModuleType, tmp_path: Path) -> None:
    done = CliRunner().invoke(script.main, [str(tmp_path)])
    assert done.exit_code == 2
    assert "is no embedding table" in done.stderr
