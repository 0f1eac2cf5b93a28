"""The script that tells how often equal things are told apart."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from edgefuse_bench.result import write_results


@pytest.fixture(scope="module")
def script(load_script):
    return load_script("bench/compare_noise.py")


def test_halves_are_all_ways_to_divide_once(script, make_result) -> None:
    results = [make_result(seed=seed) for seed in range(5)]
    found = [({results.index(one) for one in side}, {results.index(one) for one in other})
             for side, other in script.halves(results)]  # fmt: skip
    assert found == [({0, 1}, {2, 3}), ({0, 2}, {1, 3}), ({0, 3}, {1, 2})]


def test_noise_from_run_to_run_fools_single_runs_and_not_halves(script, make_result, tmp_path) -> None:
    for number, median in enumerate((100, 130, 115, 90)):
        write_results(tmp_path / f"{number}.json", [make_result(median_ms=median, seed=number)])
    done = CliRunner().invoke(script.main, [str(tmp_path)])
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0].startswith("4 runs of one process, medians 89.7 to 130.0 ms")
    assert [line.split()[-5:] for line in lines[1:]] == [
        ["6", "of", "6", "told", "apart"],
        ["0", "of", "3", "told", "apart"],
    ]


def test_too_few_results_are_a_sentence(script, make_result, tmp_path) -> None:
    write_results(tmp_path / "a.json", [make_result()])
    done = CliRunner().invoke(script.main, [str(tmp_path)])
    assert done.exit_code == 2
    assert "at least 4 are needed" in done.stderr
