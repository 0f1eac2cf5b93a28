"""Logs that are read without being written: on a full or read-only disk, or set aside because they are damaged."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from edgefuse.results.records import COLUMNS, Record, Wanted, read_row
from edgefuse.results.set_aside import FILE, last_number
from edgefuse_runtimes.errors import BadInput


@contextlib.contextmanager
def copied(path: Path) -> Iterator[Path]:
    """A copy of the log `path` with its journal, which goes away in the end; SQLite writes beside what it reads.

    Raises:
        OSError: it cannot be read, or there is nowhere to copy it to.
    """
    with tempfile.TemporaryDirectory(prefix="edgefuse-results-") as name:  # for this user only
        copy = Path(name) / FILE
        shutil.copyfile(path, copy)
        with contextlib.suppress(FileNotFoundError):
            shutil.copyfile(path.with_name(f"{path.name}-wal"), copy.with_name(f"{FILE}-wal"))
        yield copy


def salvaged(path: Path, wanted: Wanted, say: Callable[[str], None]) -> Iterator[Record]:
    """Every answer in the log `path` that can still be read, one by one; `say` is told how many numbers cannot.

    Raises:
        BadInput: there is no such file, or nothing in it can be read.
    """
    if not path.is_file():
        raise BadInput(f"There is no log at {path}; check the path.")
    where, values = wanted.where()
    query = f"SELECT {COLUMNS} FROM answers WHERE number = ? AND {where}"  # noqa: S608 - a condition of ours
    with copied(path) as copy, contextlib.closing(sqlite3.connect(copy)) as connection:
        last = last_number(copy)
        if last is None:
            raise BadInput(f"Nothing can be read of the log {path}; it is too damaged, or no results log.")
        lost = 0
        for number in range(1, last + 1):
            try:
                row = connection.execute(query, (number, *values)).fetchone()
                record = None if row is None else read_row(row, path.parent)
            except (sqlite3.Error, ValueError, TypeError):
                lost += 1
                continue
            if record is not None:
                yield record
    if lost:
        say(f"{lost} of {last} numbers of {path} cannot be read any more.")
