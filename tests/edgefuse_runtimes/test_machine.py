"""What the machine has and what a process uses, against psutil, threadpoolctl and the kernel."""

from __future__ import annotations

import mmap
import os
import re
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest

from edgefuse_runtimes import machine

MIB = 2**20


@contextmanager
def child(code: str) -> Iterator[int]:
    """The pid of a Python process that ran `code`, said "ready", and waits."""
    waiting = textwrap.dedent(code) + "\nprint('ready', flush=True)\ninput()\n"
    with subprocess.Popen(
        [sys.executable, "-c", waiting], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process.pid
        finally:
            process.kill()


def test_process_memory_of_another_process_equals_psutil() -> None:
    with child("held = bytearray(b'x' * (64 << 20))") as pid:
        memory = machine.process_memory(pid)
        resident = psutil.Process(pid).memory_info().rss

    assert memory.anon_bytes >= 64 * MIB
    assert memory.anon_bytes + memory.file_bytes == pytest.approx(resident, abs=2 * MIB)
    assert memory.peak_rss_bytes >= resident - 2 * MIB


def test_memory_given_back_stays_in_the_peak() -> None:
    with child("held = bytearray(b'x' * (64 << 20)); del held") as pid:
        memory = machine.process_memory(pid)

    assert memory.peak_rss_bytes >= memory.anon_bytes + 60 * MIB


def test_a_forgotten_peak_begins_anew() -> None:
    with child(
        "from edgefuse_runtimes.machine import forget_peak_memory\n"
        "held = bytearray(b'x' * (64 << 20)); del held; forget_peak_memory()"
    ) as pid:
        memory = machine.process_memory(pid)

    assert memory.peak_rss_bytes <= memory.anon_bytes + memory.file_bytes + 8 * MIB


def test_file_pages_are_told_from_our_own(tmp_path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"x" * (32 * MIB))
    before = machine.process_memory()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert np.frombuffer(mapped, np.uint8)[:: mmap.PAGESIZE].sum() > 0
        after = machine.process_memory()

    assert after.file_bytes - before.file_bytes >= 30 * MIB
    assert after.anon_bytes - before.anon_bytes < 16 * MIB


def test_this_process_is_the_default() -> None:
    memory = machine.process_memory()

    assert memory.anon_bytes + memory.file_bytes == pytest.approx(psutil.Process().memory_info().rss, abs=8 * MIB)


def test_a_process_that_has_ended_uses_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        deadline = time.monotonic() + 30
        while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline, "the child did not end"
            time.sleep(0.01)
        ended = machine.process_memory(process.pid)
    gone = machine.process_memory(process.pid)

    assert ended == gone == machine.ProcessMemory(0, 0, 0)


@pytest.fixture
def _blas_threads_as_before() -> Iterator[None]:
    yield
    machine.set_blas_threads(machine.physical_cores())


@pytest.mark.usefixtures("_blas_threads_as_before")
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_set_blas_threads_is_what_threadpoolctl_then_sees(threads) -> None:
    threadpoolctl = pytest.importorskip("threadpoolctl", reason="threadpoolctl is the reference (extra dev)")

    assert machine.set_blas_threads(threads)

    numbers = {pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"}
    assert numbers == {threads}


def test_a_blas_without_a_setter_is_told_by_the_environment(monkeypatch) -> None:
    for name in machine.BLAS_VARIABLES:
        monkeypatch.setenv(name, "8")
    monkeypatch.setattr(machine, "loaded_libraries", lambda name: [])

    assert not machine.set_blas_threads(3)

    child = "import os, sys; print(*(os.environ[name] for name in sys.argv[1:]))"
    told = subprocess.run(
        [sys.executable, "-c", child, *machine.BLAS_VARIABLES], capture_output=True, text=True, check=True
    )
    assert told.stdout.split() == ["3"] * len(machine.BLAS_VARIABLES)


def blas_threads(threads: int) -> int:
    """Threads that the kernel counts in a fresh process after it multiplied large matrices."""
    code = f"""
        import re
        from pathlib import Path
        import numpy as np
        from edgefuse_runtimes.machine import set_blas_threads
        assert set_blas_threads({threads})
        np.dot(np.ones((700, 700), np.float32), np.ones((700, 700), np.float32))
        print(re.search(r"Threads:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
    """
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    return int(done.stdout)


def test_set_blas_threads_starts_that_many_threads() -> None:
    """Counted in processes whose BLAS began with one thread."""
    assert [blas_threads(1), blas_threads(2), blas_threads(3)] == [1, 2, 3]


def test_physical_cores_counts_siblings_once_and_keeps_to_the_allowed(monkeypatch) -> None:
    siblings = {0: "0,4", 1: "1,5", 4: "0,4", 5: "1,5", 2: "2", 3: "3"}
    monkeypatch.setattr(machine, "_core", lambda cpu, root: siblings[cpu])

    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 4, 5})
    assert machine.physical_cores() == 2
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 2, 3})
    assert machine.physical_cores() == 3


@pytest.mark.parametrize(("limit", "usable"), [(None, 4), (8.0, 4), (2.5, 2), (0.5, 1)])
def test_a_control_group_leaves_fewer_cores_to_use(
    monkeypatch: pytest.MonkeyPatch, limit: float | None, usable: int
) -> None:
    monkeypatch.setattr(machine, "physical_cores", lambda: 4)
    monkeypatch.setattr(machine, "cpu_limit", lambda: limit)
    assert machine.usable_cores() == usable


def test_physical_cores_of_this_machine() -> None:
    cores = machine.physical_cores()

    assert 1 <= cores <= (psutil.cpu_count(logical=True) or 1)
    if len(os.sched_getaffinity(0)) == psutil.cpu_count(logical=True) and psutil.cpu_count(logical=False):
        assert cores == psutil.cpu_count(logical=False)


def test_cpu_model_names_the_processor_and_its_abilities() -> None:
    told = machine.cpu_model()
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)

    assert flags is not None
    assert flags[1].strip() in told
    assert told == machine.cpu_model()
