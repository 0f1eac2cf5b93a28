"""The SQLite file of the results log: opened, shared by processes, and begun anew where it is damaged."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from edgefuse.results.complaints import Damaged, InUse, is_damage, is_full, why
from edgefuse.results.copies import copied
from edgefuse.results.schema import bring_up, require_ours
from edgefuse.results.set_aside import FILE, last_number, set_aside
from edgefuse_runtimes.closing import Closing
from edgefuse_runtimes.errors import BadInput, DoesNotFit
from edgefuse_runtimes.files import make_folder, sync_folder

T = TypeVar("T")

WAIT_S = 20.0
"""For other processes that write, which takes them some milliseconds an answer."""


class LogFile(Closing):
    """A connection to the log below `folder`, opened when it is first needed.

    SQLite's own locks let several processes read and write. Two lock files guard what those do not cover: "opening" is
    held while a log is made, checked or replaced; "in-use" is shared by all who have it open.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.remarks: list[str] = []
        """That a damaged log was set aside, as sentences."""
        self._connection: sqlite3.Connection | None = None
        self._reading: sqlite3.Connection | None = None
        """To a copy, where the log itself cannot be opened."""
        self._in_use: int | None = None
        self._inode: int | None = None
        """Of the database that was opened last; None: there was none."""
        self._copy = contextlib.ExitStack()

    @property
    def path(self) -> Path:
        """Of the database."""
        return self.folder / FILE

    @property
    def exists(self) -> bool:
        """Whether any answer was ever stored here."""
        return self.path.exists() or self.path.with_name(f"{FILE}-wal").exists()

    def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What `work` gives; where the log is damaged it is set aside, with a remark, and `work` gets a new one.

        Raises:
            sqlite3.Error, OSError: it cannot be written.
        """
        try:
            return work(self._connected())
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
            self._set_aside(error)
            return work(self._connected())

    def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What `work` gives.

        Raises:
            BadInput: the log was damaged and was set aside, or cannot be read.
            DoesNotFit: it cannot be read, since there is no room for what SQLite writes beside it.
        """
        try:
            return work(self._reading or self._connected())
        except (sqlite3.Error, OSError) as error:
            if is_damage(error):
                self._set_aside(error)
                if self.remarks:
                    raise BadInput(self.remarks.pop()) from error
                return work(self._connected())
            full = is_full(error, self.folder)
            if self._reading is None and (full or getattr(error, "errno", None) == errno.EROFS):
                with contextlib.suppress(sqlite3.Error, OSError):
                    return work(self._connected_to_copy())
            refusal = DoesNotFit if full else BadInput
            raise refusal(f"The results log {self.path} cannot be read: {why(error, self.folder)}.") from error

    def close(self) -> None:
        """Let the file go."""
        self._close_copy()
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
        if self._in_use is not None:
            os.close(self._in_use)
        self._connection = self._in_use = None

    def _close_copy(self) -> None:
        if self._reading is not None:
            with contextlib.suppress(sqlite3.Error):
                self._reading.close()
        self._reading = None
        self._copy.close()

    @contextlib.contextmanager
    def alone(self) -> Iterator[sqlite3.Connection]:
        """The connection while no other process has the log open.

        Raises:
            InUse: another one has it open all the time.
        """
        with self._opening():
            connection = self._connection or self._connect()
            self._wait_until_alone()
            try:
                yield connection
            finally:
                assert self._in_use is not None
                fcntl.flock(self._in_use, fcntl.LOCK_SH)

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            with self._opening():
                return self._connect()
        return self._connection

    def _connect(self) -> sqlite3.Connection:
        """Open or make the log; the caller holds "opening"."""
        if self._in_use is None:
            self._in_use = self._lock_file("in-use")
        try:
            # Whoever closes the log last takes the journal away, unless the power goes first.
            was_cut_short = _try_lock(self._in_use) and self.path.with_name(f"{FILE}-wal").exists()
            self._inode = self._inode_now()
            is_new = self._inode is None
            if is_new and was_cut_short:
                raise Damaged("its file is gone and its journal is left")
            self._connection = self._sqlite()
            self._inode = self._inode_now()
            if was_cut_short:
                _check(self._connection)
            bring_up(self._connection)
            if is_new:
                sync_folder(self.folder)
            fcntl.flock(self._in_use, fcntl.LOCK_SH)
            self._close_copy()
        except BaseException:
            self.close()
            raise
        return self._connection

    def _connected_to_copy(self) -> sqlite3.Connection:
        """Of a disk that is full, or may only be read, as the system makes of a failing memory card."""
        self.close()
        path = self._copy.enter_context(copied(self.path))
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            require_ours(connection)
            bring_up(connection)
        except BaseException:
            connection.close()
            self._close_copy()
            raise
        self._reading = connection
        return connection

    def _inode_now(self) -> int | None:
        try:
            return self.path.stat().st_ino
        except FileNotFoundError:
            return None

    def _sqlite(self) -> sqlite3.Connection:
        """A connection on which each statement commits by itself, and is on the disk when it has."""
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # its journals get the same mode
        if self.path.stat().st_mode & 0o077:
            self.path.chmod(0o600)
        # One process's threads take turns at it.
        connection = sqlite3.connect(self.path, timeout=WAIT_S, isolation_level=None, check_same_thread=False)
        try:
            require_ours(connection)
            for setting in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON"):
                connection.execute(f"PRAGMA {setting}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _set_aside(self, error: Exception) -> None:
        self.close()
        with self._opening():
            self._in_use = self._lock_file("in-use")
            try:
                self._wait_until_alone()
                if self._inode_now() != self._inode:
                    return  # another process has set it aside meanwhile
                number = last_number(self.path)
                aside = set_aside(self.folder)
                if number:
                    _go_on_after(self._connect(), number)
                self.remarks.append(
                    f"The results log {self.path} cannot be used ({error}); it was set aside as {aside.name}, nothing "
                    f"of it was deleted, and a new one begins with number {(number or 0) + 1}."
                )
            finally:
                self.close()

    def _wait_until_alone(self) -> None:
        """Hold "in-use" alone; the caller holds "opening", so that nobody else comes."""
        assert self._in_use is not None
        waited = time.monotonic() + WAIT_S / 4
        while not _try_lock(self._in_use):
            if time.monotonic() > waited:
                raise InUse("another edgefuse has the results log open")
            time.sleep(0.05)

    @contextlib.contextmanager
    def _opening(self) -> Iterator[None]:
        make_folder(self.folder, 0o700)
        if self.folder.stat().st_mode & 0o077:
            self.folder.chmod(0o700)
        lock = self._lock_file("opening")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _lock_file(self, name: str) -> int:
        return os.open(self.folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _check(connection: sqlite3.Connection) -> None:
    """Look at every page: a power cut may have torn one that no new answer touches."""
    found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise Damaged(str(found).splitlines()[0])


def _go_on_after(connection: sqlite3.Connection, number: int) -> None:
    """Numbers stand on paper beside patients' names, so a new log does not give them again."""
    connection.execute("INSERT INTO sqlite_sequence VALUES ('answers', ?)", (number,))


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
