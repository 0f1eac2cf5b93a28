"""Work in a process that holds nothing of its parent, and the most memory that it takes: for scripts of this folder."""

from __future__ import annotations

import time
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from edgefuse_runtimes.machine import process_memory

LOOK_SECONDS = 0.003


def fresh_process() -> ProcessPoolExecutor:
    """One process with nothing of this one in it; what it is told to do waits there in a row."""
    return ProcessPoolExecutor(1, get_context("spawn"))


def most_anonymous(pid: int, done: Future[Any]) -> int:
    """The most bytes that only process `pid` and its children hold until `done`."""
    peak = 0
    while not done.done():
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        peak = max(peak, sum(process_memory(one).anon_bytes for one in (pid, *map(int, children))))
        time.sleep(LOOK_SECONDS)
    return peak
