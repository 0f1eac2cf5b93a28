"""What can be wrong with the results log, told from what is wrong with the disk."""

from __future__ import annotations

import errno
import shutil
import sqlite3
from pathlib import Path


class Damaged(sqlite3.DatabaseError):
    """A file that this edgefuse must not write: damaged, somebody else's, or a newer edgefuse's."""


class InUse(OSError):
    """Other processes have the log open, so that nobody may replace it now."""


_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT)
_REFUSED = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM)
_LOCKED = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_LEAST_ROOM = 1 << 20
"""Bytes: below, an error of reading or writing that SQLite does not explain is taken for a full disk."""


def is_damage(error: Exception) -> bool:
    """Whether the file is no results log that this edgefuse can use, and not just locked, full, or out of reach."""
    return isinstance(error, Damaged) or _code(error) in _DAMAGE


def why(error: Exception, folder: Path) -> str:
    """What stands in the way of the log below `folder`, and what to do, as the end of a sentence."""
    code = _code(error)
    if isinstance(error, InUse):
        return "another edgefuse has it open; let that one finish first"
    if is_full(error, folder):
        return f"the disk of {folder} is full; free some room"
    if code in _LOCKED:
        return "another program keeps it locked; let that one finish first"
    if code in _REFUSED or isinstance(error, PermissionError) or getattr(error, "errno", None) == errno.EROFS:
        reason = getattr(error, "strerror", None) or error
        return f"{folder} cannot be written ({reason}); check its permissions, or name another folder by EDGEFUSE_HOME"
    return f"{getattr(error, 'strerror', None) or error}; check the disk of {folder}"


def is_full(error: Exception, folder: Path) -> bool:
    """Whether it comes from the disk of `folder`, which has no room."""
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or _code(error) == sqlite3.SQLITE_FULL:
        return True
    if _code(error) != sqlite3.SQLITE_IOERR:
        return False
    try:
        return shutil.disk_usage(folder).free < _LEAST_ROOM
    except OSError:
        return False


def _code(error: Exception) -> int | None:
    """SQLite's primary result code."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else int(code) & 0xFF
