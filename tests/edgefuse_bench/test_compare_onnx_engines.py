"""The script that compares onnxruntime and numpy in processes of their own, on tiny encoders."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "bench" / "compare_onnx_engines.py"


def compare(*arguments: Path | str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPT, *map(str, arguments)], capture_output=True, text=True, check=False)


def test_each_engine_is_timed_on_each_file_and_its_memory_is_told(encoders_of_both: Path) -> None:
    pytest.importorskip("onnxruntime", reason="needs onnxruntime, the reference")

    done = compare("--encoders", encoders_of_both, "--count", "3")

    assert done.returncode == 0, done.stderr
    rows = {" ".join(line.split()[:3]): line.split()[3:] for line in done.stdout.splitlines()[2:]}
    assert [*rows] == [
        f"{precision} {engine}, {memory}"
        for precision in ("fp32", "int8")
        for engine in ("onnxruntime", "numpy")
        for memory in ("normal", "low")
    ]
    milliseconds, ratio, low, _, high, of_cpu, peak, cosine, least = rows["fp32 onnxruntime, normal"]
    assert float(milliseconds) > 0
    assert (ratio, low, high, of_cpu, cosine, least) == ("1.00",) * 4 + ("1.00000",) * 2
    assert all(10 < float(row[6]) < 1000 for row in rows.values())
    assert float(peak) > float(rows["fp32 numpy, normal"][6])  # the library itself, so it was loaded in that process


def test_an_encoder_in_another_format_is_a_sentence(encoders_of_both: Path) -> None:
    done = compare("--encoders", encoders_of_both, "--modality", "text")

    assert done.returncode == 2
    assert done.stderr.startswith("compare_onnx_engines: ")
    assert done.stderr.count("\n") == 1
