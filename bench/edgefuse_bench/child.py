"""One measured process: started fresh, so that nothing before it warmed or filled the memory, and watched."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgefuse_bench import memory, query_log
from edgefuse_bench.order import LOG, OUTCOME, Order
from edgefuse_runtimes.errors import BadInput, DoesNotFit, EdgefuseError

_ERRORS: dict[int, type[EdgefuseError]] = {2: BadInput, 7: DoesNotFit}


@dataclass
class Timeline:
    """What the measured processes held, over the run."""

    began_ns: int
    readings: list[dict[str, int]] = field(default_factory=list)
    peak_rss_bytes: int = 0
    """The most that all processes which ran at one moment had ever held, each for itself."""
    _known: set[int] = field(default_factory=set)

    def read(self, pid: int) -> None:
        """Add what the process and its workers hold now.

        A worker counts from the second reading on: in the moment of its birth it shares its parent's memory.
        """
        tree = memory.process_tree(pid)
        held = memory.together(memory.held_by(one) for one in tree if one == pid or one in self._known)
        self._known = set(tree)
        if held.rss_bytes:
            names = ("rss_bytes", "anon_bytes", "file_bytes")
            now = {"t_ns": time.monotonic_ns() - self.began_ns}
            self.readings.append(now | {name: getattr(held, name) for name in names})
            self.peak_rss_bytes = max(self.peak_rss_bytes, held.peak_rss_bytes)


def run_child(order: Order, timeline: Timeline, interval_s: float, done: Callable[[int], None]) -> dict[str, Any]:
    """The outcome that `measure.measure` tells of this order, done in a child process.

    Args:
        order: what to do.
        timeline: gets what the process holds.
        interval_s: seconds between two looks at the process.
        done: told at each look how many queries have been answered.

    Raises:
        EdgefuseError: what the child refused, as the same class; or the child died.
    """
    folder = Path(order.folder)
    command = [sys.executable, "-P", "-m", "edgefuse_bench.measure", str(order.write())]
    command.append(str(time.monotonic_ns()))
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        for _ in _looks(process, interval_s):
            timeline.read(process.pid)
            done(query_log.count(folder / LOG))
    finally:
        process.kill()  # where it has not ended, this process was interrupted
        process.wait()
    if process.returncode < 0:
        name = signal.Signals(-process.returncode).name
        raise EdgefuseError(f"The measuring process was ended by {name}; was there enough memory? Try --engine numpy.")
    if not (folder / OUTCOME).is_file():
        raise EdgefuseError(f"The measuring process failed with exit code {process.returncode}; see above.")
    outcome: dict[str, Any] = json.loads((folder / OUTCOME).read_bytes())
    if "refused" in outcome:
        raise _ERRORS.get(outcome["exit_code"], EdgefuseError)(outcome["refused"])
    done(query_log.count(folder / LOG))
    return outcome


def _looks(process: subprocess.Popen[bytes], interval_s: float) -> Iterator[None]:
    """At every interval, until the process has ended."""
    while True:
        try:
            process.wait(interval_s)
        except subprocess.TimeoutExpired:
            yield
        else:
            return
