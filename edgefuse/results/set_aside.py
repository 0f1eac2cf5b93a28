"""A damaged log is set aside under a name of its own, with its journals, and never deleted or overwritten."""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
from pathlib import Path

from edgefuse_runtimes.files import sync_folder

FILE = "results.sqlite"
JOURNALS = ("-wal", "-shm")
"""What SQLite appends to a database's name for the files beside it; the first holds answers, too."""


def set_aside(folder: Path) -> Path:
    """Rename the log of `folder` and its journals to the first free `results.sqlite.corrupt-N`; the new path.

    The journals go first: left alone, they would be taken for those of the next log. No other process may have it open.
    """
    for number in itertools.count(1):
        aside = folder / f"{FILE}.corrupt-{number}"
        if not any(aside.with_name(aside.name + ending).exists() for ending in ("", *JOURNALS)):
            break
    for ending in (*JOURNALS, ""):
        with contextlib.suppress(FileNotFoundError):
            (folder / (FILE + ending)).rename(aside.with_name(aside.name + ending))
    sync_folder(folder)
    return aside


def logs_set_aside(folder: Path) -> list[Path]:
    """Every file of logs that were set aside."""
    return sorted(folder.glob(f"{FILE}.corrupt-*"))


def last_number(path: Path) -> int | None:
    """The last number that a damaged log gave to an answer, if that can still be read."""
    with contextlib.suppress(sqlite3.Error):
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        try:
            row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'answers'").fetchone()
            return row[0] if row is not None and isinstance(row[0], int) else None
        finally:
            connection.close()
    return None
