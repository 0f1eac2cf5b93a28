"""A small study of two invented tables."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgefuse.embeddings import Table

CONFIG = """
name = "invented"
like = "HAM10000"
[tables]
"one pair" = "V1"
"another pair" = "V2"
[training]
folds = 3
seeds = 2
shifts = [0]
epochs = 3
refer_accuracy = 0.5
[sweep]
shifts = 3
seeds = 2
"""


@pytest.fixture
def config(tmp_path: Path, make_table: Callable[..., Table]) -> Path:
    """The file of a study that is not run yet."""
    for seed, name in enumerate(("V1", "V2")):
        make_table(tmp_path / name, seed=seed)
    path = tmp_path / "study.toml"
    path.write_text(CONFIG)
    return path
