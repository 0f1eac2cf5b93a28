"""The memory that a run tells: of its processes, as others count it, and whether it grows."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bench_runs import settings

from edgefuse.kits.kit import Kit
from edgefuse_bench import harness, processes
from edgefuse_bench.order import OUTCOME, Order
from edgefuse_bench.rows import page
from edgefuse_bench.samples import golden_samples


def orders(kit: Path, folder: Path, **more: Any) -> Order:
    asked = golden_samples(Kit.open(kit)).asked
    whole = {"first": 0, "warmup": 0, "queries": 2, "seconds": None, "scenario": "SingleStream"}
    whole |= {"threads": 1, "precision": None, "engine": "numpy"}
    return Order(folder=str(folder), kit=str(kit), samples=asked, **whole | more)


@pytest.mark.parametrize("engine", ["numpy", "auto"])
def test_the_peak_is_that_of_gnu_time(tiny_kit: Path, tmp_path: Path, engine: str) -> None:
    if not Path("/usr/bin/time").exists():
        pytest.skip("needs /usr/bin/time (GNU time)")
    order = orders(tiny_kit, tmp_path, engine=engine)
    command = ["/usr/bin/time", "-v", sys.executable, "-P", "-m", "edgefuse_bench.measure", str(order.write()), "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    said = int(re.search(r"Maximum resident set size \(kbytes\): (\d+)", done.stderr)[1]) * 1024

    found = json.loads((tmp_path / OUTCOME).read_bytes())["processes"]

    # GNU time tells the largest of all processes, and each worker is one of its own.
    assert max(process["peak_rss_bytes"] for process in found) == pytest.approx(said, rel=0.03)


def test_the_peak_is_that_of_the_kernels_own_count(tiny_kit: Path, tmp_path: Path) -> None:
    """Where there is no GNU time: of all children that were waited for, the largest."""
    code = (
        "import subprocess, sys, resource; subprocess.run([sys.executable, '-P', '-m', 'edgefuse_bench.measure', "
        "sys.argv[1], '0'], check=True); print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    order = orders(tiny_kit, tmp_path)
    done = subprocess.run([sys.executable, "-c", code, order.write()], capture_output=True, text=True, check=True)

    found = json.loads((tmp_path / OUTCOME).read_bytes())["processes"]

    assert found[0]["peak_rss_bytes"] == pytest.approx(int(done.stdout) * 1024, rel=0.03)


def test_memory_is_the_childs_own_not_ours(tiny_kit: Path) -> None:
    ballast = bytearray(b"x" * (300 << 20))
    memory = harness.run(tiny_kit, settings("single", queries=1)).memory
    del ballast

    assert memory["peak_rss_bytes"] < 300 << 20


def test_a_leak_is_named(tiny_kit: Path, tmp_path: Path, monkeypatch) -> None:
    """A classifier that keeps 200 kB of each answer, asked for some seconds."""
    (tmp_path / "sitecustomize.py").write_text(
        "from edgefuse.answering import classifier\n"
        "kept, answer = [], classifier.Classifier.answer\n"
        "def leaking(self, inputs):\n"
        "    kept.append(b'x' * 200_000 + str(len(kept)).encode())\n"
        "    return answer(self, inputs)\n"
        "classifier.Classifier.answer = leaking\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))

    monkeypatch.setattr(processes, "LOOK_S", 0.1)  # so that a busy machine has readings enough, too

    result = harness.run(tiny_kit, settings("sustained", seconds=8))

    assert result.memory["growth"]["leak"] is True
    assert any(note.startswith("Memory leaks: it rose by") for note in result.notes)
    assert "growth" in page(result)
