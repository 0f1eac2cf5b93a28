"""How a command stores its answers: what cannot be stored costs no answer, and is told at the end."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from edgefuse.answering.device_key import device_key
from edgefuse.answering.prediction import Prediction
from edgefuse.results.inputs import Given, case_id, read_given
from edgefuse_runtimes.closing import Closing
from edgefuse_runtimes.errors import NotStored

if TYPE_CHECKING:
    from edgefuse.results.log import ResultsLog


class Storing(Closing):
    """Where the answers of one command go."""

    def __init__(
        self, log: ResultsLog | str | None, *, case: str | None, keep: bool, say: Callable[[str], None]
    ) -> None:
        """Store into `log`, or nowhere.

        Args:
            log: None: nothing is to be stored; a sentence: nothing can be.
            case: what the user calls the case, unless a sample says otherwise.
            keep: whether the picture and the note themselves are kept.
            say: takes each remark about the log.
        """
        self.not_stored = 0
        """Answers that are not in the log, or are without their picture, though they should be."""
        self.complaint: str | None = None
        """Why, of the last of them."""
        self._log, self._case, self._keep, self._say = log, case_id(case), keep, say
        self._key = device_key() if log is not None else None

    def given(self, picture: Path | None, note: str | None, note_file: str | None = None) -> Given:
        """What the log will know of a sample; threads may ask side by side."""
        if self._log is None:
            return Given()
        return read_given(self._key, picture, note, note_file=note_file, keep=self._keep)

    def store(self, prediction: Prediction, given: Given, case: str | None = None) -> Prediction:
        """The answer with its number, which is on the disk when this returns; without one where it was not stored."""
        if self._log is None:
            return prediction
        try:
            if isinstance(self._log, str):
                raise NotStored(self._log)
            number: int | None = self._log.store(prediction, given, case=case_id(case) or self._case)
        except NotStored as error:
            self.not_stored += 1
            self.complaint = str(error)
            number = error.number
        if not isinstance(self._log, str):
            for remark in self._log.take_remarks():
                self._say(remark)
        return dataclasses.replace(prediction, number=number)

    def close(self) -> None:
        """Let the log go."""
        if self._log is not None and not isinstance(self._log, str):
            self._log.close()


def open_storing(
    *, log: bool = True, case: str | None = None, keep: bool = False, say: Callable[[str], None]
) -> Storing:
    """Storing into this user's log, or with `log` False nowhere; for the others see `Storing`."""
    return Storing(_users_log() if log else None, case=case, keep=keep, say=say)


def _users_log() -> ResultsLog | str:
    """This user's log, or why there can be none."""
    try:
        from edgefuse.results.log import ResultsLog, results_folder

        return ResultsLog.open(results_folder())
    except ImportError:
        return "The answer was not stored: this Python has no sqlite3; install the package that brings it."
    except FileNotFoundError:
        return "The answer was not stored: nothing tells this user's home folder; name a folder by EDGEFUSE_HOME."
