"""Reading a note from a file, standard input or an option."""

from __future__ import annotations

import sys
from pathlib import Path

from edgefuse_runtimes.errors import BadInput


def read_note(source: str) -> tuple[str, list[str]]:
    """The text of the file `source` ("-": standard input), and what the answer must say about reading it.

    Bytes that are not UTF-8 are replaced, never a reason to give no answer.

    Raises:
        BadInput: the file is missing or a folder.
    """
    if source == "-":
        return _decode(sys.stdin.buffer.read(), "standard input")
    path = Path(source)
    if path.is_dir():
        raise BadInput(f"{path} is a folder, not a note; name one text file.")
    try:
        return _decode(path.read_bytes(), str(path))
    except FileNotFoundError as error:
        raise BadInput(f"There is no note at {path}; check the path, or give the words with --note.") from error
    except OSError as error:
        raise BadInput(f"The note {path} cannot be read ({error.strerror}); check its permissions.") from error


def given_words(words: str) -> tuple[str, list[str]]:
    """The same for words of the command line, where Python keeps bytes that it cannot read as lone surrogates."""
    return _decode(words.encode("utf-8", "surrogateescape"), "The note")


def _decode(data: bytes, name: str) -> tuple[str, list[str]]:
    try:
        return data.decode("utf-8-sig"), []
    except UnicodeDecodeError as error:
        remark = f"{name} is not UTF-8 (byte {error.start}); unreadable bytes were replaced."
        return data.decode("utf-8-sig", errors="replace"), [remark]
