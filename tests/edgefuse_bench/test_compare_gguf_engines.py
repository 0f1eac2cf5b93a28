"""The script that compares the engines of GGUF files, on a tiny encoder."""

from __future__ import annotations

import importlib
from concurrent.futures import Future
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from click.testing import CliRunner

from edgefuse_runtimes.machine import process_memory


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Imported by its name, by which its child processes find it too."""
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "bench"))
    return importlib.import_module("compare_gguf_engines")


def test_every_row_is_timed_and_its_memory_told(script, tiny_encoders, monkeypatch) -> None:
    monkeypatch.setattr(script, "PAUSE_SECONDS", 0)

    done = CliRunner().invoke(script.main, ["--encoders", str(tiny_encoders), "--count", "2", "--rounds", "1"])

    assert done.exit_code == 0, done.output
    speeds, once = ([line for line in part.splitlines() if "|" in line][2:] for part in done.stdout.split("\n\n")[1:])
    for rows in (speeds, once):
        assert [row.split(" | ")[0].strip("| ") for row in rows] == script.row_names()
    assert speeds[0].split(" | ")[3] == "1.00"
    assert speeds[-1].split(" | ")[5].strip(" |") == "1.0000"
    assert all(int(row.split(" | ")[3].split()[0]) > 0 for row in once)


def test_speeds_are_compared_note_by_note(script) -> None:
    times = {script.RAW: [10_000_000, 20_000_000, 30_000_000], script.NUMPY: [20_000_000, 80_000_000, 60_000_000]}
    vectors = dict.fromkeys(times, np.array([[0, 1], [0, 2], [5, 0]], np.float32))

    *_, first, second = script.speed_table(times, vectors, [6, 6, 6])

    assert first == f"| {script.RAW} | 20.0 | 300 | 1.00 | 1.00 to 1.00 | 1.0000 |"
    assert second == f"| {script.NUMPY} | 60.0 | 112 | 0.50 | 0.25 to 0.50 | 1.0000 |"


def test_memory_of_a_process_and_its_children_is_watched(script) -> None:
    done: Future[None] = Future()
    with script.fresh_process() as child:
        work = child.submit(np.ones, 1 << 23)  # 64 MiB
        work.add_done_callback(lambda _: done.set_result(None))
        pid = next(iter(child._processes))
        assert script.most_anonymous(pid, done) >= 64 << 20
    assert process_memory(pid).anon_bytes == 0


def test_bad_input_is_a_sentence(script, tmp_path) -> None:
    done = CliRunner().invoke(script.main, ["--encoders", str(tmp_path)])
    assert done.exit_code == 2
    assert str(tmp_path) in done.stderr
    assert "Traceback" not in done.stderr
