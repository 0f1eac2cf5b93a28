"""What other programs did to the processor during a run: no interval knows what will be different when they stop."""

from __future__ import annotations

import contextlib
import os
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from edgefuse_bench.memory import PROC

BUSY = (0, 1, 2, 5, 6, 7)
"""Columns of /proc/stat (proc(5)): user, nice, system, irq, softirq, and steal, which a host took away."""

LEAST_CORES = 0.1
"""Below which nothing is said: kernel threads and a shell take that much."""


@dataclass(frozen=True)
class Moment:
    """Seconds since whenever."""

    clock: float
    busy: float
    """Of all cores together."""
    own: float
    """Processor time of this process, of those it waited for, and of workers that still run."""


def moment(proc: Path = PROC, *, workers: Sequence[int] = ()) -> Moment | None:
    """Now, with the process numbers of workers that count as our own; None where the system tells no core's time."""
    try:
        columns = (proc / "stat").read_text().split("\n", 1)[0].split()[1:]
        busy = sum(int(columns[index]) for index in BUSY) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return None
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    own = sum(one.ru_utime + one.ru_stime for one in used) + sum(map(_seconds, workers))
    return Moment(time.monotonic(), busy, own)


def others_cores(before: Moment | None, after: Moment | None) -> float | None:
    """How many cores others kept busy between two moments, on average."""
    if before is None or after is None or after.clock <= before.clock:
        return None
    others = (after.busy - before.busy) - (after.own - before.own)
    return max(0.0, others / (after.clock - before.clock))


def sentence(cores: float | None, all_cores: int) -> list[str]:
    """What the notes say of it, if it is worth a word."""
    if cores is None or cores < LEAST_CORES:
        return []
    return [
        f"Other programs kept {cores:.1f} of {all_cores} cores busy during this run: close them and measure again, for "
        "these times are not what an idle machine needs, and another run may differ by more than its interval says."
    ]


def _seconds(pid: int) -> float:
    """Processor time of one process; 0 once it has ended."""
    with contextlib.suppress(psutil.NoSuchProcess):
        times = psutil.Process(pid).cpu_times()
        return float(times.user + times.system)
    return 0.0
