"""The file of a sweep's cells: a line of JSON for each that is finished, whole at any moment, gone on with."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgefuse.appending import append_line, lock
from edgefuse.sweep.cells import Cell, Result
from edgefuse_runtimes.closing import Closing
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import sync_folder

SCHEMA = 1


class CellsFile(Closing):
    """The finished cells of one sweep; one process at a time writes to it.

    The first line says what the cells were computed from. A half-written last line, of a process that was killed, is
    removed when the file is opened.
    """

    def __init__(self, path: Path, inputs: dict[str, Any]) -> None:
        """Begin the file, or go on with one of the same inputs (plain JSON types).

        Raises:
            BadInput: the file holds something else or cells of other inputs, or is being written by another process.
        """
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        try:
            lock(self._handle, self._path)
            lines = self._whole_lines()
            if lines:
                self._check(lines[0], inputs)
            else:
                self._write({"schema": SCHEMA, "sweep": inputs})
                sync_folder(path.parent)
            self.results = {
                result.cell: result
                for number, line in enumerate(lines[1:], start=2)
                for result in [self._result(line, number)]
            }
        except BaseException:
            os.close(self._handle)
            raise

    results: dict[Cell, Result]
    """What is finished."""

    def append(self, result: Result) -> None:
        """Add a finished cell and have it on the disk; if that fails, the file is as it was."""
        self._write(to_json(result))
        self.results[result.cell] = result

    def close(self) -> None:
        """Let the file go."""
        os.close(self._handle)

    def _whole_lines(self) -> list[bytes]:
        data = self._path.read_bytes()
        *lines, rest = data.split(b"\n")
        if rest:
            if not lines and not rest.startswith(b'{"schema": '[: len(rest)]):
                raise self._foreign(1)
            os.ftruncate(self._handle, len(data) - len(rest))
            os.fsync(self._handle)
        return lines

    def _check(self, line: bytes, inputs: dict[str, Any]) -> None:
        try:
            known = json.loads(line)
            schema, found = known["schema"], known["sweep"]
            changed = [name for name in inputs.keys() | found.keys() if inputs.get(name) != found.get(name)]
        except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
            raise self._foreign(1) from error
        if schema != SCHEMA:
            raise BadInput(f"{self._path} has schema {schema}, this edgefuse writes {SCHEMA}; choose another --output.")
        if changed:
            raise BadInput(
                f"{self._path} holds a sweep of other inputs ({', '.join(sorted(changed))} differ); "
                "choose another --output or remove it first."
            )

    def _result(self, line: bytes, number: int) -> Result:
        try:
            return from_json(json.loads(line))
        except (ValueError, RecursionError, KeyError, TypeError) as error:
            raise self._foreign(number) from error

    def _write(self, value: dict[str, Any]) -> None:
        line = json.dumps(value, allow_nan=False).encode() + b"\n"
        append_line(self._handle, self._path, line)

    def _foreign(self, number: int) -> BadInput:
        return BadInput(
            f"Line {number} of {self._path} is not of a sweep of edgefuse; choose another --output, or remove the file."
        )


def to_json(result: Result) -> dict[str, Any]:
    """A result as one flat object."""
    figures = asdict(result)
    return {**result.cell._asdict(), **{name: value for name, value in figures.items() if name != "cell"}}


def from_json(value: dict[str, Any]) -> Result:
    """Inverse of `to_json`.

    Raises:
        ValueError, KeyError, TypeError: it is not one.
    """
    cell = Cell(value["fusion"], float(value["shift"]), int(value["seed"]))
    if cell.fusion not in ("early", "late"):
        raise ValueError(cell.fusion)
    figures = (float(value["accuracy"]), float(value["macro_f1"]), int(value["epoch"]), float(value["seconds"]))
    return Result(cell, *figures)
