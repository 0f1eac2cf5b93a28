"""The script that measures the numpy engine's memory, on a network of LLaMA-2-7B's kind and a smaller shape."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from click.testing import CliRunner

pytest.importorskip("gguf", reason="needs the gguf package of the `export` extra to write files")


def test_both_memory_settings_are_measured_and_nothing_is_left(monkeypatch, tmp_path) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "bench"))
    script = importlib.import_module("numpy_7b_memory")
    for name, value in {"VOCABULARY": 320, "FEED_FORWARD": 64}.items():
        monkeypatch.setattr(script, name, value)

    done = CliRunner().invoke(script.main, [str(tmp_path), "--layers", "1", "--tokens", "3"])

    assert done.exit_code == 0, done.output
    rows = [line.split(" | ") for line in done.stdout.splitlines() if " MiB |" in line]
    assert [row[0] for row in rows] == ["| normal", "| low"]
    assert all(int(row[2].split()[0]) > 10 for row in rows)
    assert list(tmp_path.iterdir()) == []
