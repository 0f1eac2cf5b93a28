"""The file of a batch's answers: one JSON line for each sample, whole at any moment, gone on with by sample id."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from edgefuse.appending import append_line, lock
from edgefuse_runtimes.closing import Closing
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import sync_folder

_BEGINNING = b'{"id": "'
"""Of every line; by it half a line of ours is told from somebody's text file."""


class AnswersFile(Closing):
    """Answers of one kit, appended one at a time; one process at a time writes to it."""

    def __init__(self, path: Path, digest: str) -> None:
        """Begin the file, or go on with one whose answers are of the kit with this digest.

        Raises:
            BadInput: the file holds something else or answers of another kit, is being written by another process, or
                is no regular file.
        """
        self._path, self._digest = path, digest
        is_new = not path.exists()
        if not is_new and not path.is_file():  # a pipe would wait for itself to be written
            raise BadInput(f"{path} is no regular file, and so cannot be gone on with; choose another --output.")
        # For its owner only: it names pictures, and with them perhaps people.
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            lock(self._handle, self._path)
            self.answered, self.was_torn = self._read()
            if is_new:
                sync_folder(path.parent)
        except BaseException:
            os.close(self._handle)
            raise

    answered: set[str]
    """Ids of the samples that have their answer."""
    was_torn: bool
    """Whether the last line was half written, by a process that was killed, and was removed."""

    def append(self, sample_id: str, answer: dict[str, Any]) -> None:
        """Add a sample's answer and have it on the disk; if that fails, the file is as it was."""
        line = json.dumps({"id": sample_id, **answer}).encode() + b"\n"
        append_line(self._handle, self._path, line)
        self.answered.add(sample_id)

    def close(self) -> None:
        """Let the file go."""
        os.close(self._handle)

    def _read(self) -> tuple[set[str], bool]:
        answered, whole, torn, ended = set(), 0, False, True
        with self._path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.endswith(b"\n"):
                    answered.add(self._id(line, number))
                    whole += len(line)
                else:
                    part = line.rstrip(b"\0")  # a power cut can leave zeros in place of what was not written
                    if _is_json(part):  # of us or of somebody else: only what is no JSON was half written
                        answered.add(self._id(part, number))
                        whole, ended = whole + len(part), False
                    elif part.startswith(_BEGINNING[: len(part)]):
                        torn = True
                    else:
                        raise self._foreign(number)
        if torn or not ended:
            os.ftruncate(self._handle, whole)
            if not ended:
                os.write(self._handle, b"\n")
            os.fsync(self._handle)
        return answered, torn

    def _id(self, line: bytes, number: int) -> str:
        try:
            answer = json.loads(line)
            name, digest, kit = answer["id"], answer["kit"]["digest"], answer["kit"]
        except (ValueError, RecursionError, KeyError, TypeError) as error:
            raise self._foreign(number) from error
        if digest != self._digest:
            raise BadInput(
                f"Line {number} of {self._path} is an answer of another kit ({kit.get('name')} {kit.get('version')}, "
                f"digest {str(digest)[:12]}); choose another --output, or classify with that kit."
            )
        if not isinstance(name, str):
            raise self._foreign(number)
        return name

    def _foreign(self, number: int) -> BadInput:
        return BadInput(
            f"Line {number} of {self._path} is no answer of edgefuse; choose another --output, or remove the file."
        )


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except RecursionError:
        return True  # deeper than any answer of ours, and so somebody else's
    except ValueError:
        return False
    return True
