"""What the machine has and what this process uses of it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgefuse_runtimes import kernel_files
from edgefuse_runtimes.cgroup import cpu_limit, limited_groups


@dataclass(frozen=True)
class AvailableMemory:
    """What this process may still take before the kernel ends it or another one."""

    bytes: int
    limit: str
    """What sets the limit, as words for a sentence."""


def available_memory() -> AvailableMemory:
    """The least of what the machine and each control group of this process leave; file pages count as free.

    Swap does not count: an engine that swaps is slower than anyone waits.
    """
    machine = AvailableMemory(_machine_available(), "the machine's memory")
    groups = [
        AvailableMemory(group.available_bytes, f"the limit of {group.limit_bytes >> 20} MiB in {group.folder}")
        for group in limited_groups()
    ]
    return min((machine, *groups), key=lambda available: available.bytes)


def _machine_available() -> int:
    """MemAvailable: what is free, and what file pages the kernel can drop."""
    found = re.search(r"^MemAvailable:\s+(\d+) kB$", Path("/proc/meminfo").read_text(), re.MULTILINE)
    assert found is not None  # in Linux since 3.14
    return int(found[1]) * 1024


@dataclass(frozen=True)
class ProcessMemory:
    """Bytes of memory of one process, as Linux counts them."""

    peak_rss_bytes: int
    """VmHWM: the most that was ever resident."""
    anon_bytes: int
    """RssAnon: what only this process holds, now."""
    file_bytes: int
    """RssFile: file pages in memory, now; the system may drop them."""


def process_memory(pid: int | None = None) -> ProcessMemory:
    """Memory of process `pid` (default: this one), from /proc; zeros once it has ended."""
    try:
        text = Path(f"/proc/{pid or 'self'}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        text = ""
    kib = {name: int(value) for name, value in re.findall(r"^(\w+):\s+(\d+) kB$", text, re.MULTILINE)}
    return ProcessMemory(*(kib.get(name, 0) * 1024 for name in ("VmHWM", "RssAnon", "RssFile")))


def forget_peak_memory() -> None:
    """Let this process's VmHWM begin anew at what it holds now, where the system allows it."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def return_freed_memory() -> None:
    """Give the system back what the C library's allocator keeps of memory that was freed, where that is glibc.

    A closed session of onnxruntime leaves tens of megabytes behind in it.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def physical_cores(cpus: Collection[int] | None = None, root: Path = Path("/")) -> int:
    """Cores this process may run on, a pair of hyper-threads counted once.

    Args:
        cpus: the kernel's numbers of those that it may run on; None: ask.
        root: where /sys lies.
    """
    allowed = os.sched_getaffinity(0) if cpus is None else cpus
    cores = {_core(cpu, root) for cpu in allowed}
    return max(1, len(cores))


def usable_cores() -> int:
    """Threads that can compute at once: the physical cores, or as many whole ones as a control group gives time for.

    A thread more than that only uses up the time of the group sooner; then all stand still.
    """
    limit = cpu_limit()
    return physical_cores() if limit is None else max(1, min(physical_cores(), int(limit)))


def _core(cpu: int, root: Path) -> str:
    return kernel_files.line(root / f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list") or str(cpu)


BLAS_VARIABLES = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "OMP_NUM_THREADS")
"""Where the libraries that numpy may be built with read their number of threads."""


def set_blas_threads(threads: int) -> bool:
    """Make numpy's own BLAS use `threads` threads; False where its library offers no setter.

    Such a BLAS is told by environment variables, which it reads when it is loaded: that helps where it is loaded later,
    and in child processes.
    """
    setter = blas_threads_setter()
    if setter is None:
        os.environ |= dict.fromkeys(BLAS_VARIABLES, str(threads))
        return False
    setter(threads)
    return True


def blas_threads_setter() -> Callable[[int], None] | None:
    """What makes numpy's own BLAS use a number of threads; None where its library offers no setter.

    numpy's wheels bundle OpenBLAS under names with a prefix and a suffix that changed over time. Where other libraries
    brought an OpenBLAS of their own along, it is set too.
    """
    np.dot(np.ones((2, 2), np.float32), np.ones((2, 2), np.float32))  # loads the library where that is lazy
    names = [f"{prefix}openblas_set_num_threads{suffix}" for prefix in ("scipy_", "") for suffix in ("64_", "")]
    handles = [ctypes.CDLL(library) for library in loaded_libraries("openblas")]
    setters = [getattr(handle, name) for handle in handles for name in names if hasattr(handle, name)]

    def set_all(threads: int) -> None:
        for setter in setters:
            setter(ctypes.c_int(threads))

    return set_all if setters else None


def loaded_libraries(name: str) -> list[str]:
    """Paths of the native libraries of this process whose file names hold `name`."""
    with Path("/proc/self/maps").open(errors="surrogateescape") as maps:
        paths = {line.split(maxsplit=5)[5].rstrip("\n") for line in maps if name in line}
    return sorted(path for path in paths if name in Path(path).name and Path(path).is_file())


def cpu_model() -> str:
    """The processor's name and abilities in one line, as the kernel tells them."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = ("model name", "flags", "Features", "CPU part", "CPU implementer")
    first: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() in names:
            first.setdefault(name.strip(), value.strip())
    return "; ".join(f"{name}: {value}" for name, value in sorted(first.items()))
