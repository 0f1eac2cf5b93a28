"""The script that measures for the page "Measured on"."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from edgefuse_bench.result import read_results


@pytest.fixture(scope="module")
def script(load_script):
    return load_script("bench/measured_on.py")


def test_files_are_named_after_machine_kit_and_scenario(script) -> None:
    name = script.file_name("Raspberry Pi 5 Model B Rev 1.0", "starter", "single")
    assert name == "raspberry-pi-5-model-b-rev-1-0-starter-single.json"


def test_a_run_is_one_line_with_the_note(script, tiny_kit: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("EDGEFUSE_ENGINE", "numpy")
    data = script.measure(tiny_kit, "single", 5, [1], ("A sentence.",))
    assert data.count(b"\n") == 1
    (tmp_path / "r.json").write_bytes(data)
    (result,) = read_results(tmp_path / "r.json")
    assert (result.scenario, len(result.queries), result.notes[-1]) == ("SingleStream", 5, "A sentence.")


def test_each_kit_has_a_file_for_each_scenario(script, tiny_kit: Path, tmp_path: Path, monkeypatch) -> None:
    asked = []
    monkeypatch.setattr(script, "measure", lambda *order: asked.append(order) or b"{}")
    done = CliRunner().invoke(script.main, [str(tiny_kit), "--output", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert [(scenario, queries) for _, scenario, queries, *_ in asked] == [("single", 130), ("offline", 32)]
    assert sorted(file.stem.rpartition("-")[2] for file in tmp_path.iterdir()) == ["offline", "single"]


def test_an_emulators_times_are_refused(script, tiny_kit: Path, monkeypatch) -> None:
    monkeypatch.setattr(script, "machine_card", lambda: {"emulated": True})
    done = CliRunner().invoke(script.main, [str(tiny_kit)])
    assert done.exit_code == 1
    assert "emulated" in done.output
