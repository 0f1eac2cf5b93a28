"""The script that tells how a machine's pace wanders, on runs whose truth is known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from edgefuse_bench.result import Query, write_results


@pytest.fixture(scope="module")
def script(load_script):
    return load_script("bench/measure_drift.py")


def test_the_allan_deviation_of_independent_values_falls_with_the_root_of_the_length(script) -> None:
    values = np.random.default_rng(0).normal(0, 1, 40_000).tolist()
    assert [script.allan_deviation(values, length) for length in (1, 4, 16)] == pytest.approx([1, 0.5, 0.25], rel=0.05)
    assert script.allan_deviation([1, 2, 4, 8], 2) == pytest.approx((6 - 1.5) / math.sqrt(2))


def test_a_long_run_is_told_by_its_processes(script, make_result, tmp_path) -> None:
    rng = np.random.default_rng(1)
    pace = 1e8 * np.exp(rng.normal(0, 0.05, 80))  # (80,) independent processes
    queries = [Query(0, round(ns), {}, process=number) for number, ns in enumerate(pace) for _ in range(3)]
    write_results(tmp_path / "long.json", [replace(make_result(), queries=tuple(queries))])

    done = CliRunner().invoke(script.main, [str(tmp_path / "long.json")])

    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0] == "80 processes of 3 answers, one after another"
    deviations = [float(line.split()[-1].rstrip("%")) for line in lines if line.startswith("Allan")]
    assert deviations == sorted(deviations, reverse=True)
    assert lines[-3].startswith("of 15 runs of  5 processes, the interval holds the next median  15 times")


def test_a_short_run_is_a_sentence(script, make_result, tmp_path) -> None:
    write_results(tmp_path / "short.json", [make_result(processes=4)])
    done = CliRunner().invoke(script.main, [str(tmp_path / "short.json")])
    assert done.exit_code == 2
    assert "short.json is a run of 4 process(es), and at least 40 are needed" in done.stderr
