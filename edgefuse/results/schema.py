"""The tables of the results log, and how an older log becomes one of today."""

from __future__ import annotations

import sqlite3

from edgefuse.results.complaints import Damaged

APPLICATION = int.from_bytes(b"edfr", "big")
"""SQLite's application id of our file, by which somebody else's database is told."""

MIGRATIONS = (
    # AUTOINCREMENT: a number is never given twice, not even after its answer was purged.
    f"""
    CREATE TABLE answers (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        time TEXT NOT NULL, clock_synchronised INTEGER, boot_id TEXT, since_boot_s REAL NOT NULL,
        edgefuse TEXT NOT NULL,
        case_id TEXT,
        kit_name TEXT NOT NULL, kit_version TEXT NOT NULL, kit_digest TEXT NOT NULL,
        label TEXT NOT NULL, referred INTEGER NOT NULL,
        picture_hash TEXT, note_hash TEXT,
        kept_picture TEXT, kept_note TEXT,
        answer TEXT NOT NULL
    );
    PRAGMA application_id = {APPLICATION};
    """,
)
"""What brings a log from the schema of its place to the next; a log's schema is its `user_version`."""

SCHEMA = len(MIGRATIONS)


def require_ours(connection: sqlite3.Connection) -> None:
    """Refuse to write to what is not an older or today's results log, nor empty.

    Raises:
        Damaged: it is another program's database, or a newer edgefuse wrote it.
        sqlite3.Error: it is damaged or cannot be read.
    """
    is_empty = not connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]
    if not is_empty and _pragma(connection, "application_id") != APPLICATION:
        raise Damaged("it is no results log")
    found = _pragma(connection, "user_version")
    if found > SCHEMA:
        raise Damaged(f"a newer edgefuse wrote it, with schema {found}, and this one knows up to {SCHEMA}")


def bring_up(connection: sqlite3.Connection) -> None:
    """Make the tables of an empty database, or bring those of an older edgefuse to today's schema; all or nothing.

    Raises:
        sqlite3.Error: it is damaged, locked, or cannot be written.
    """
    for version in range(_pragma(connection, "user_version"), SCHEMA):
        step = f"BEGIN IMMEDIATE; {MIGRATIONS[version]} PRAGMA user_version = {version + 1}; COMMIT;"
        try:
            connection.executescript(step)
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])
