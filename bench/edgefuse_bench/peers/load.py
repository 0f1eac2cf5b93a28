"""How much of the processor other programs took meanwhile: figures of a machine that was shared say so."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence

import psutil


class OthersWork:
    """A clock of what other programs do, from when it is made."""

    def __init__(self, pids: Sequence[int]) -> None:
        """`pids`: of the processes that count as our own, beside this one."""
        self._pids = (os.getpid(), *pids)
        self._begun, self._busy, self._own = time.monotonic(), _busy(), self._our_seconds()

    def share(self) -> float:
        """Share of all cores' time that others took, 0 to 1."""
        elapsed = (time.monotonic() - self._begun) * (psutil.cpu_count() or 1)
        others = (_busy() - self._busy) - (self._our_seconds() - self._own)
        return min(1.0, max(0.0, others / elapsed))

    def _our_seconds(self) -> float:
        seconds = 0.0
        for pid in self._pids:
            with contextlib.suppress(psutil.NoSuchProcess):
                times = psutil.Process(pid).cpu_times()
                seconds += times.user + times.system
        return seconds


def _busy() -> float:
    times = psutil.cpu_times()
    return float(sum(times[:3]) + sum(times[5:8]))  # user, nice, system; irq, softirq, steal
