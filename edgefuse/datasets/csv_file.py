"""Reading CSV files that people made."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from edgefuse_runtimes.errors import BadInput

if TYPE_CHECKING:
    from _csv import Reader

Row = dict[str, str]


def read_header(path: Path) -> list[str]:
    """The names of the columns.

    Raises:
        BadInput: as `read_rows`, as far as the first line tells.
    """
    with _complaints(path, _reader(path)) as reader:
        return _header(path, reader, ())


def read_rows(path: Path, required: Sequence[str]) -> list[Row]:
    """The rows of a UTF-8 CSV file with a header line; cells are stripped of surrounding blanks.

    Cells are divided by tabs if the header has a tab and no comma, else by commas.

    Raises:
        BadInput: the file is missing, not UTF-8, not CSV, lacks a required column, or a row has another
            number of cells than the header.
    """
    rows = []
    with _complaints(path, _reader(path)) as reader:
        header = _header(path, reader, required)
        for cells in reader:
            if not cells:
                continue  # blank lines, as spreadsheets leave at the end
            if len(cells) != len(header):
                raise BadInput(
                    f"Line {reader.line_num} of {path} has {len(cells)} cells, its header has {len(header)}; "
                    "put a text that holds commas in double quotes."
                )
            rows.append({name: cell.strip() for name, cell in zip(header, cells, strict=True)})
    return rows


def _reader(path: Path) -> Reader:
    text = read_text(path)
    first = text.partition("\n")[0]
    delimiter = "\t" if "\t" in first and "," not in first else ","
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)


@contextmanager
def _complaints(path: Path, reader: Reader) -> Iterator[Reader]:
    """Turn what the reader complains of into our sentence."""
    try:
        yield reader
    except csv.Error as error:
        raise BadInput(f"Line {reader.line_num} of {path} is not valid CSV ({error}); correct it.") from error


def read_text(path: Path) -> str:
    """The content of a UTF-8 file that people made, without a byte order mark.

    Raises:
        BadInput: it is missing, cannot be read or is not UTF-8.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise BadInput(f"There is no table at {path}; check the path.") from error
    except OSError as error:
        raise BadInput(f"The table {path} cannot be read ({error.strerror}); check what it is.") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadInput(f"{path} is not UTF-8 (line {line}); save it in UTF-8.") from error


def _header(path: Path, reader: Reader, required: Sequence[str]) -> list[str]:
    header = [name.strip() for name in next(reader, [])]
    missing = [name for name in required if name not in header]
    if missing:
        raise BadInput(
            f"{path} lacks the column {', '.join(missing)}; its first line names: {', '.join(header) or 'nothing'}."
        )
    twice = [name for name in header if header.count(name) > 1]
    if twice:
        raise BadInput(f"{path} has the column {twice[0]!r} more than once; rename or remove one.")
    return header
