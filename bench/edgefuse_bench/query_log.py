"""Queries as fixed records in a file: one is written in microseconds, and no memory grows with their number.

The measured process writes, the harness reads: while it goes on to tell how many there are, and at the end.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from pathlib import Path

from edgefuse_bench.result import Query
from edgefuse_runtimes.closing import Closing

FIRST, WARMUP, MEASURED = 0, 1, 2
"""What a query was asked for."""

TIMES = ("start", "load", "decode", "image", "tokenise", "text", "head")
"""Stages in a record; "start" is of a process, and of Cold alone."""

_RECORD = struct.Struct(f"={4 + len(TIMES)}q")


class QueryLog(Closing):
    """Appends queries to a file."""

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def write(self, kind: int, sample: int, asked_ns: int, total_ns: int, stages_ns: Mapping[str, int]) -> None:
        """Add one query; a stage that is not named took no time."""
        times = (stages_ns.get(name, 0) for name in TIMES)
        os.write(self._handle, _RECORD.pack(kind, sample, asked_ns, total_ns, *times))

    def close(self) -> None:
        """Let the file go."""
        os.close(self._handle)


def count(path: Path) -> int:
    """How many queries are there so far."""
    return path.stat().st_size // _RECORD.size if path.exists() else 0


def read(path: Path, *, process: int, began_ns: int, cold: bool = False) -> dict[int, list[Query]]:
    """The queries by kind, in order.

    Args:
        path: of the log.
        process: what the queries shall say of it.
        began_ns: the clock's reading when the run began.
        cold: whether every query has "start" and "load".
    """
    found: dict[int, list[Query]] = {FIRST: [], WARMUP: [], MEASURED: []}
    if not path.exists():
        return found
    data = path.read_bytes()
    for kind, sample, asked, total, *times in _RECORD.iter_unpack(data[: len(data) // _RECORD.size * _RECORD.size]):
        stages = dict(zip(TIMES, times, strict=True))
        if not cold:
            del stages["start"]
            if kind != FIRST:
                del stages["load"]
        found[kind].append(Query(sample, total, stages, start_ns=asked - began_ns, process=process))
    return found
