"""Removing answers for good: no part of them stays in any file of the log."""

from __future__ import annotations

import sqlite3

from edgefuse.results.complaints import is_full, why
from edgefuse.results.inputs import FOLDER, remove_pictures
from edgefuse.results.log_file import LogFile
from edgefuse.results.records import Wanted
from edgefuse.results.set_aside import logs_set_aside
from edgefuse_runtimes.errors import BadInput, DoesNotFit
from edgefuse_runtimes.files import sync_folder


def purge(file: LogFile, wanted: Wanted) -> int:
    """Remove answers and the pictures that were kept with them; how many answers.

    What is deleted is overwritten with zeros (secure_delete), the file is then written anew (VACUUM, since a tree of
    pages leaves copies of cells where it was rearranged), and the journal is emptied. What a flash card keeps of
    overwritten blocks is beyond reach.

    Raises:
        BadInput: another process has the log open, or it cannot be written.
        DoesNotFit: the disk is full and no answer was removed; or the answers are gone, but traces may be left in the
            file, which there is no room to write anew.
    """
    if not file.exists:
        return 0
    where, values = wanted.where()
    try:
        with file.alone() as connection:
            kept = f"SELECT kept_picture FROM answers WHERE kept_picture IS NOT NULL AND {where}"  # noqa: S608
            names = [name for (name,) in connection.execute(kept, values)]
            remove_pictures(file.folder, names)
            count = connection.execute(f"DELETE FROM answers WHERE {where}", values).rowcount  # noqa: S608
            _write_anew(connection)
    except (sqlite3.Error, OSError) as error:
        refusal = DoesNotFit if is_full(error, file.folder) else BadInput
        raise refusal(f"The results log {file.path} cannot be purged: {why(error, file.folder)}.") from error
    return count


def purge_all(file: LogFile) -> int:
    """Remove every answer, every picture that was kept, and all logs that were set aside; how many answers.

    Raises:
        BadInput, DoesNotFit: as `purge`.
    """
    count = purge(file, Wanted())
    if (file.folder / FOLDER).is_dir():  # of logs that were set aside, too
        remove_pictures(file.folder, [path.name for path in (file.folder / FOLDER).iterdir()])
    for path in logs_set_aside(file.folder):
        path.unlink(missing_ok=True)
    if file.folder.is_dir():
        sync_folder(file.folder)
    return count


def _write_anew(connection: sqlite3.Connection) -> None:
    try:
        _empty_journal(connection)
        connection.execute("VACUUM")
        _empty_journal(connection)
    except sqlite3.OperationalError as error:
        raise DoesNotFit(
            f"The answers are gone from the results log, but it cannot be written anew ({error}), so traces of them "
            "may be left; free some room and run the same command again."
        ) from error


def _empty_journal(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
