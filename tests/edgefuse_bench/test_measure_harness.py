"""The scripts that measure the harness itself, on a tiny kit: they run, and compute what they print."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner


def test_what_the_harness_costs_is_printed(load_script: Callable[[str], ModuleType], tiny_kit: Path) -> None:
    script = load_script("bench/measure_harness_cost.py")
    arguments = [str(tiny_kit), "--engine", "numpy", "--threads", "1", "--queries", "4", "--rounds", "2"]

    outcome = CliRunner().invoke(script.main, arguments)

    assert outcome.exit_code == 0, outcome.output
    ratio, low, high = map(float, re.search(r"without +([\d.]+) \(([\d.]+) to ([\d.]+)\)", outcome.stdout).groups())
    assert low <= ratio <= high
    assert "% of one core" in outcome.stdout


def test_the_ratio_and_its_interval_are_students_on_the_logarithm(load_script: Callable[[str], ModuleType]) -> None:
    script = load_script("bench/measure_harness_cost.py")

    middle, low, high = script.interval([math.exp(-0.1), 1.0, math.exp(0.1)])

    assert middle == pytest.approx(1)
    assert high == pytest.approx(1 / low) == pytest.approx(math.exp(4.303 * 0.1 / math.sqrt(3)), rel=1e-3)


def test_pairs_that_agree_are_counted(load_script: Callable[[str], ModuleType], tiny_kit: Path, tmp_path: Path) -> None:
    script = load_script("bench/measure_repeatability.py")
    arguments = [str(tiny_kit), "--engine", "numpy", "--threads", "1", "--queries", "6", "--repeats", "3"]

    outcome = CliRunner().invoke(script.main, [*arguments, "--pairs", "2", "--json", str(tmp_path / "r.json")])

    assert outcome.exit_code == 0, outcome.output
    pairs = json.loads((tmp_path / "r.json").read_bytes())["pairs"]
    agree = sum(first["low"] <= second["value"] <= first["high"] for first, second in pairs)
    assert f"the second run lies within the first one's interval   {agree} of 2 pairs" in outcome.stdout


@pytest.mark.parametrize("name", ["measure_harness_cost", "measure_repeatability"])
def test_what_is_no_kit_is_refused(load_script: Callable[[str], ModuleType], tmp_path: Path, name: str) -> None:
    outcome = CliRunner().invoke(load_script(f"bench/{name}.py").main, [str(tmp_path)])

    assert outcome.exit_code in (1, 2)
    assert "is not a kit" in outcome.output
