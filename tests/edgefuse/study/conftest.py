"""A small study of two invented tables."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from edgefuse.embeddings.table import Table
from edgefuse.study.config import read_study
from edgefuse.study.running import run

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
average_image = true
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


@pytest.fixture(scope="session")
def run_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first test that needs a finished study leaves it for the others; their tables are equal."""
    return tmp_path_factory.mktemp("study") / "S"


@pytest.fixture
def finished(config: Path, run_once: Path, tmp_path: Path) -> Path:
    """The folder of the study when it was run."""
    if not run_once.exists():
        run(read_study(config), run_once, jobs=2)
    return Path(shutil.copytree(run_once, tmp_path / "S"))


class Reported(NamedTuple):
    """What `edgefuse study report` left."""

    folder: Path
    out: str


@pytest.fixture(scope="session")
def report_once() -> list[Reported]:
    """What the first test that needs the report leaves for the others."""
    return []


@pytest.fixture
def reported(
    config: Path, finished: Path, cli: Callable[..., Any], run_once: Path, report_once: list[Reported]
) -> Reported:
    """The report of the finished study, written by the verb; tests must not change it."""
    if not report_once:
        told = cli("study", "report", config, "--output", finished)
        assert told.code == 0, told.err
        folder = shutil.copytree(finished / "report", run_once.with_name("report"))
        report_once.append(Reported(Path(folder), told.out))
    return report_once[0]
