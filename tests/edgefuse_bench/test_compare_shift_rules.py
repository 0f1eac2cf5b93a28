"""The script that compares rules for choosing the shift, on the tiny table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from click.testing import CliRunner


@pytest.fixture(scope="module")
def script(load_script: Callable[[str], ModuleType]) -> ModuleType:
    return load_script("bench/compare_shift_rules.py")


@pytest.mark.parametrize(
    ("gain", "chosen"),
    [(0.0, [0.0, 0.0, 0.0]), (0.005, [0.5, 0.0, 0.0]), (0.015, [0.5, 0.5, 0.0]), (0.05, [0.5, 0.5, 0.5])],
)
def test_wary_rules_want_a_gain_beyond_its_error(script: ModuleType, gain: float, chosen: list[float]) -> None:
    noise = np.random.default_rng(0).normal(0, 0.01, 2000)
    base = np.full(2001, 0.5)
    tries = {
        1.0: script.Tried(base - 0.1, 0.1),
        0.5: script.Tried(base + np.array([gain, *(gain + noise)]), 0.2),
        0.0: script.Tried(base, 0.3),
    }
    assert [script.RULES[name](tries) for name in ("highest", "beyond one error", "beyond the interval")] == chosen
    assert script.RULES["always 1"](tries) == 1.0


def test_every_rule_gets_a_line(script: ModuleType, tiny_workshop: Path) -> None:
    done = CliRunner().invoke(script.main, [str(tiny_workshop / "table"), "--splits", "2"])
    assert done.exit_code == 0, done.output
    for name in script.RULES:
        assert f"\n{name} " in done.stdout
    assert "not an accuracy figure for any real use" in done.stdout


def test_a_folder_that_is_no_table_is_a_sentence(script: ModuleType, tmp_path: Path) -> None:
    done = CliRunner().invoke(script.main, [str(tmp_path)])
    assert done.exit_code == 2
    assert "is no embedding table" in done.stderr
