"""`edgefuse gap` as a user meets it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from edgefuse.commands.gap import command
from edgefuse.embeddings.table import Table
from edgefuse_runtimes.errors import BadInput


def _gap(*arguments: object) -> Any:
    outcome = CliRunner().invoke(command, [str(argument) for argument in arguments], catch_exceptions=False)
    assert outcome.exit_code == 0, outcome.output
    return outcome


def test_tables_stand_side_by_side_and_the_matching_is_told(make_table: Callable[..., Table], tmp_path: Path) -> None:
    make_table(tmp_path / "medical")
    make_table(tmp_path / "everyday", widths=(16, 16), seed=1)
    page = _gap(tmp_path / "medical", tmp_path / "everyday", "--shift", "0.5").stdout.splitlines()
    assert page[0].split() == ["medical", "everyday"]
    assert page[1].split() == ["before", "shift", "0.5", "before", "shift", "0.5"]
    assert [line for line in page if "were brought" in line] == [
        "medical: text of 24 and image of 16 numbers were brought to 16 first, by project."
    ]
    told = json.loads(_gap(tmp_path / "medical", tmp_path / "everyday", "--shift", "0.5", "--json").stdout)["tables"]
    assert [one["matching"] for one in told] == ["project", "none"]
    numbers = next(line for line in page if line.startswith("length of the gap")).split()[4:]
    assert numbers == [f"{one[state]['gap']:.4f}" for one in told for state in ("before", "after")]


def test_a_closed_gap_is_small_and_a_widened_one_is_large(make_table: Callable[..., Table]) -> None:
    folder = make_table().folder
    closed, widened = (json.loads(_gap(folder, "--shift", s, "--json").stdout)["tables"][0] for s in (1, -1))
    assert closed["after"]["gap"] < 0.6 * closed["before"]["gap"]
    assert widened["after"]["gap"] > widened["before"]["gap"]


def test_figures_are_drawn_whole_and_alike_every_time(make_table: Callable[..., Table], tmp_path: Path) -> None:
    folder = make_table().folder
    for name in ("one", "two"):
        _gap(folder, "--figures", tmp_path / name)
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == ["gap-2d.png", "gap-2d.svg", "gap-3d.png", "gap-3d.svg"]
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    for name in ("gap-2d.png", "gap-3d.png"):
        picture = np.asarray(Image.open(tmp_path / "one" / name).convert("RGB")).astype(int)
        blue, orange = picture[..., 2] - picture[..., 0] > 60, picture[..., 0] - picture[..., 2] > 60
        assert min(blue.sum(), orange.sum()) > 200


def test_unequal_widths_without_a_matching_are_refused(make_table: Callable[..., Table]) -> None:
    with pytest.raises(BadInput, match="no gap; take another --match than none"):
        CliRunner().invoke(
            command, [str(make_table().folder), "--match", "none", "--shift", "0"], catch_exceptions=False
        )
