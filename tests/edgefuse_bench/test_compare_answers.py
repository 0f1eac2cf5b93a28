"""The script that compares a head's answers on the vectors of two engines."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from click.testing import CliRunner

from edgefuse.embeddings.table import shard_path


@pytest.fixture(scope="module")
def script(load_script: Callable[[str], ModuleType]) -> ModuleType:
    return load_script("bench/compare_answers.py")


def test_the_same_vectors_give_the_same_labels_and_others_do_not(
    script: ModuleType, tiny_workshop: Path, tmp_path: Path
) -> None:
    head, table, other = tiny_workshop / "head", tiny_workshop / "table", tmp_path / "other"
    shutil.copytree(table, other)
    vectors = np.load(shard_path(other, "image", 0))
    np.save(shard_path(other, "image", 0), vectors[::-1])

    done = CliRunner().invoke(script.main, [str(head), str(table), str(other)])

    assert done.exit_code == 0, done.output
    rows = {line[:16].strip(): line[16:].split() for line in done.stdout.splitlines()[1:]}
    count = rows["as in V"][2]
    assert rows["as in V"][0] == rows["text of OTHER"][0] == count
    assert rows["as in V"][-1] == rows["text of OTHER"][-1] == "0.000"
    assert float(rows["image of OTHER"][-1]) > 0
    assert rows["image of OTHER"] == rows["both of OTHER"]


def test_tables_of_other_rows_are_refused(script: ModuleType, tiny_workshop: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(script.main, [str(tiny_workshop / "head"), str(tiny_workshop / "table"), str(tmp_path)])
    assert done.exit_code == 2
    assert "is no embedding table" in done.stderr
