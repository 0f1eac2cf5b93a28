"""Memory of a process and its workers, as the kernel counts it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from edgefuse_bench.memory import Held, children, held_by, process_tree, proportional_bytes, together

MIB = 2**20
HOLD = "import sys; held = bytearray(b'x' * ({mib} << 20)); {more}print('ready', flush=True); sys.stdin.read()"
START = (
    "import subprocess; other = subprocess.Popen([sys.executable, '-c', {inner!r}], stdin=subprocess.PIPE, "
    "stdout=subprocess.PIPE); other.stdout.readline(); "
)


@pytest.fixture
def family():
    """A process that holds 40 MiB, with a worker that holds 80."""
    inner = HOLD.format(mib=80, more="")
    outer = HOLD.format(mib=40, more=START.format(inner=inner))
    with subprocess.Popen([sys.executable, "-c", outer], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        yield process.pid
        process.stdin.close()


def test_a_worker_is_a_part_of_the_tree(family: int) -> None:
    worker = psutil.Process(family).children(recursive=True)

    assert process_tree(family) == [family, *(one.pid for one in worker)]
    assert len(worker) == 1


def test_what_is_held_is_what_psutil_says_too(family: int) -> None:
    for pid, mib in zip(process_tree(family), (40, 80), strict=True):
        held, other = held_by(pid), psutil.Process(pid).memory_full_info()
        assert held.rss_bytes == pytest.approx(other.rss, rel=0.03)
        assert mib * MIB < held.anon_bytes < held.rss_bytes <= held.peak_rss_bytes
        assert proportional_bytes(pid) == pytest.approx(other.pss, rel=0.03)


def test_several_processes_add_up(family: int) -> None:
    parts = [held_by(pid) for pid in process_tree(family)]

    assert together(parts).anon_bytes == parts[0].anon_bytes + parts[1].anon_bytes > 120 * MIB
    assert together([]) == Held(0, 0, 0, 0)


def test_a_process_that_has_ended_holds_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
        assert held_by(process.pid) == Held(0, 0, 0, 0)
        assert children(process.pid) == []
        assert proportional_bytes(process.pid) is None


def test_a_kernel_without_lists_of_children_is_asked_for_parents(tmp_path: Path) -> None:
    for pid, parent in ((1, 0), (20, 1), (21, 20), (22, 20), (30, 1)):
        (tmp_path / str(pid) / "task" / str(pid)).mkdir(parents=True)
        (tmp_path / str(pid) / "status").write_text(f"Name:\tx\nPPid:\t{parent}\n")
    (tmp_path / "meminfo").write_text("")

    assert sorted(process_tree(20, tmp_path)) == [20, 21, 22]


def test_own_memory_is_read_as_resource_counts_it() -> None:
    import resource

    assert held_by(os.getpid()).peak_rss_bytes == pytest.approx(
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, rel=0.03
    )
