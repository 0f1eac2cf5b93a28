"""The results log itself: answers are stored under a number, found again, and purged."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgefuse import __version__
from edgefuse.answering.prediction import Prediction
from edgefuse.home import home
from edgefuse.results import clock
from edgefuse.results.complaints import why
from edgefuse.results.inputs import Given, new_picture_name, remove_pictures, without_names, write_picture
from edgefuse.results.log_file import LogFile
from edgefuse.results.purging import purge, purge_all
from edgefuse.results.records import COLUMNS, Record, Wanted, read_row
from edgefuse.results.set_aside import logs_set_aside
from edgefuse_runtimes.closing import Closing
from edgefuse_runtimes.errors import BadInput, NotStored

_INSERT = """
INSERT INTO answers (time, clock_synchronised, boot_id, since_boot_s, edgefuse, case_id, kit_name, kit_version,
    kit_digest, label, referred, picture_hash, note_hash, kept_picture, kept_note, answer)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


def results_folder() -> Path:
    """Where this user's log lies.

    Raises:
        FileNotFoundError: there is no such place, since nothing tells the user's home.
    """
    return home() / "results"


class ResultsLog(Closing):
    """The answers of this user on this device; several processes may use it at once."""

    def __init__(self, file: LogFile) -> None:
        self._file = file

    @classmethod
    def open(cls, folder: Path) -> ResultsLog:
        """The log below `folder`, see `results_folder`; it is made with the first answer."""
        return cls(LogFile(folder))

    @property
    def path(self) -> Path:
        """Of the database."""
        return self._file.path

    @property
    def set_aside(self) -> list[Path]:
        """Files of damaged logs that were set aside."""
        return logs_set_aside(self._file.folder)

    def take_remarks(self) -> list[str]:
        """Sentences about the log that were not taken yet: one that was set aside, and answers that are damaged."""
        remarks, self._file.remarks[:] = list(dict.fromkeys(self._file.remarks)), []
        return remarks

    def store(self, prediction: Prediction, given: Given, *, case: str | None = None) -> int:
        """Have an answer on the disk; the number it has from now on, one more than the last ever given.

        Raises:
            NotStored: the log cannot be written, or the picture that was to be kept; then it has the number.
        """
        row = _row(prediction, given, case)
        folder = self._file.folder
        try:
            number = self._file.write(lambda connection: connection.execute(_INSERT, row).lastrowid)
        except (sqlite3.Error, OSError) as error:
            raise NotStored(f"The answer was not stored in the results log: {why(error, folder)}.") from error
        assert number is not None
        if given.kept_picture is not None:
            self._keep_picture(number, row[13], given.kept_picture)
        return number

    def _keep_picture(self, number: int, name: str, content: bytes) -> None:
        folder = self._file.folder
        try:
            write_picture(folder, name, content)
        except OSError as error:
            with contextlib.suppress(sqlite3.Error, OSError):
                remove_pictures(folder, [name])
                forget = "UPDATE answers SET kept_picture = NULL WHERE number = ?"
                self._file.write(lambda connection: connection.execute(forget, (number,)))
            sentence = f"The answer was stored without its picture, which cannot be kept: {why(error, folder)}."
            raise NotStored(sentence, number) from error

    def records(self, wanted: Wanted = Wanted()) -> Iterator[Record]:  # noqa: B008 - frozen
        """Answers in the order of their numbers, all of one moment; damaged ones are left out, with a remark.

        Raises:
            BadInput: the log is damaged and was set aside, or cannot be read.
        """
        if not self._file.exists:
            return
        where, values = wanted.where()
        query = f"SELECT {COLUMNS} FROM answers WHERE {where} ORDER BY number"  # noqa: S608 - the conditions above
        rows = self._file.read(lambda connection: connection.execute(query, values))
        damaged = []
        while row := self._file.read(lambda connection: rows.fetchone()):
            try:
                record = read_row(row, self._file.folder)
            except (ValueError, TypeError):
                damaged.append(str(row[0]))
                continue
            yield record
        if damaged:
            self._file.remarks.append(
                f"In the results log {self.path} these answers are damaged and were left out: {', '.join(damaged)}."
            )

    def record(self, number: int) -> Record:
        """The answer with this number.

        Raises:
            BadInput: there is none, or the log cannot be read.
        """
        query = f"SELECT {COLUMNS} FROM answers WHERE number = ?"  # noqa: S608 - a constant
        row = None
        if self._file.exists:
            row = self._file.read(lambda connection: connection.execute(query, (number,)).fetchone())
        if row is None:
            raise BadInput(f"The results log {self.path} has no answer {number}; see 'edgefuse results list'.")
        try:
            return read_row(row, self._file.folder)
        except (ValueError, TypeError) as error:
            raise BadInput(f"The answer {number} in the results log {self.path} is damaged; check the disk.") from error

    def count(self, wanted: Wanted) -> int:
        """How many answers there are.

        Raises:
            BadInput: the log is damaged and was set aside, or cannot be read.
        """
        if not self._file.exists:
            return 0
        where, values = wanted.where()
        query = f"SELECT COUNT(*) FROM answers WHERE {where}"  # noqa: S608 - the conditions above
        return int(self._file.read(lambda connection: connection.execute(query, values).fetchone())[0])

    def purge(self, wanted: Wanted) -> int:
        """Remove answers, see `purging.purge`; how many they were."""
        return purge(self._file, wanted)

    def purge_all(self) -> int:
        """Remove every answer, every picture that was kept, and all logs that were set aside; how many answers."""
        return purge_all(self._file)

    def close(self) -> None:
        """Let the file go."""
        self._file.close()


def _row(prediction: Prediction, given: Given, case: str | None) -> tuple[Any, ...]:
    """The values of a new answer."""
    moment = clock.now()
    answer = without_names(prediction, given)
    return (
        moment.time,
        moment.clock_synchronised,
        moment.boot_id,
        moment.since_boot_s,
        __version__,
        case,
        prediction.kit["name"],
        prediction.kit["version"],
        prediction.kit["digest"],
        prediction.label,
        prediction.referred,
        given.picture_hash,
        given.note_hash,
        None if given.kept_picture is None else new_picture_name(given.suffix),
        given.kept_note,
        json.dumps(answer.to_json()),
    )
