"""Files that are whole or absent: written under a temporary name, synced, then renamed.

While NAME is written there is `.NAME.TOKEN.part` beside it, locked by whoever writes it. The system releases the lock
when a process ends in whatever way; so who writes NAME next knows a leftover, and removes it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from edgefuse_runtimes.errors import BadInput

TOKEN_BYTES = 8
"""Of what tells temporary names of the same file apart."""
_PART = re.compile(rf"\.(.+)\.[0-9a-f]{{{2 * TOKEN_BYTES}}}\.part", re.DOTALL)
"""A temporary name; its group is the name of the file."""

_looked_through: dict[tuple[int, int, int], list[str]] = {}
"""Temporary names in folders as this process left them: device, inode and time stamp -> names.

A folder that nobody else changed since is not looked through again, so n files in one folder do not cost n**2. What
another process leaves within one tick of a time stamp is found by the next process only.
"""
MOST_FOLDERS = 64
"""Of which that is remembered."""


def home_folder() -> Path:
    """This user's home folder, which may not exist.

    Raises:
        FileNotFoundError: nothing tells which it is, neither HOME nor the list of users.
    """
    try:
        return Path.home()
    except RuntimeError:
        raise FileNotFoundError(errno.ENOENT, "no home folder is known", "~") from None


def cache_home() -> Path:
    """`edgefuse` in this user's cache folder, for what can be made again; it may not exist yet.

    Raises:
        FileNotFoundError: there is no such place, since nothing tells the user's home.
    """
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else home_folder() / ".cache") / "edgefuse"


def sha256(path: Path) -> str:
    """Hex digest of a file's bytes, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_json(path: Path, remedy: str) -> dict[str, Any]:
    """The JSON object in the file `path`.

    Args:
        path: of the file.
        remedy: what to do where there is none, as the end of a sentence.

    Raises:
        BadInput: the file is missing, cannot be read, or holds something else.
    """
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise BadInput(f"{path} is missing; {remedy}.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"{path} is damaged and cannot be read as JSON ({error}); {remedy}.") from error
    if not isinstance(value, dict):
        raise BadInput(f"{path} is damaged and holds no JSON object; {remedy}.")
    return value


def read_versioned(path: Path, schema: int, *, what: str, verb: str) -> dict[str, Any]:
    """The JSON object that describes a folder which `edgefuse VERB` made: `path` is table.json, head.json or the like.

    Args:
        path: of the description, in its folder.
        schema: the one that is read here.
        what: what a folder without it is, for the sentence: "no head".
        verb: of the command that makes one.

    Raises:
        BadInput: the folder is none of these, or its description is damaged or of another schema.
    """
    if not path.is_file():
        raise BadInput(f"{path.parent} is {what} (no {path.name}); make one with 'edgefuse {verb}'.")
    again = f"make it again with 'edgefuse {verb}'"
    description = read_json(path, again)
    found = description.get("schema")
    if found is None:
        raise BadInput(f"{path} is damaged (it names no schema); {again}.")
    if found != schema:
        raise BadInput(f"{path} has schema {found}, this edgefuse reads {schema}; {again}.")
    return description


def require_name(path: Path) -> None:
    """Refuse ".", ".." and "/": what is made under a hidden name beside its place needs one of its own.

    Raises:
        BadInput: `path` ends in none.
    """
    if path.name in ("", ".."):
        raise BadInput(f"{path} names nothing that could be made; choose another output, such as {path / 'NAME'}.")


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write; it becomes `path` in one step when the block ends well, and vanishes otherwise.

    Raises:
        BadInput: `path` is ".", ".." or "/".
        IsADirectoryError: it is another folder.
    """
    require_name(path)
    if path.is_dir():  # told by its own name, and before the work
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    folder = path.parent
    make_folder(folder)
    others = _remove_leftovers(path)
    part = path.with_name(f".{path.name}.{secrets.token_hex(TOKEN_BYTES)}.part")
    try:  # the name is known before there is a file: an interrupt in the very moment it is made removes it, too
        with _new_locked(part) as file:
            begun = _stamp(folder)
            yield file
            file.flush()
            os.fsync(file.fileno())
            unchanged = _stamp(folder) == begun
            part.replace(path)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT) and error.filename is None:
            error.filename = str(path)  # a write alone does not tell where
        raise
    sync_folder(folder)
    if unchanged:
        if len(_looked_through) >= MOST_FOLDERS:
            _looked_through.clear()
        _looked_through[_stamp(folder)] = others


def _stamp(folder: Path) -> tuple[int, int, int]:
    facts = folder.stat()
    return facts.st_dev, facts.st_ino, facts.st_mtime_ns


def _new_locked(part: Path) -> BinaryIO:
    """The new file `part`, locked; made once more if another process took it for a leftover before it was."""
    while True:
        file = part.open("xb")
        with contextlib.suppress(OSError):  # a file system without locks, on which leftovers stay
            fcntl.flock(file, fcntl.LOCK_EX)
        if part.exists():
            return file
        file.close()


def _remove_leftovers(path: Path) -> list[str]:
    """Remove what processes that were killed while they wrote `path` left of it; the temporary names that stay."""
    names = _looked_through.pop(_stamp(path.parent), None)
    if names is None:
        names = []
        with contextlib.suppress(PermissionError):  # a folder that may be written and not read
            names = [entry.name for entry in path.parent.iterdir() if _PART.fullmatch(entry.name)]
    for leftover in [path.with_name(name) for name in names if _PART.sub(r"\1", name) == path.name]:
        with contextlib.suppress(OSError):
            # Whatever else somebody called so: a link is not followed, a pipe not waited for.
            handle = os.open(leftover, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails while somebody writes it
                if os.path.samestat(os.fstat(handle), leftover.lstat()):  # else its writer has made it anew meanwhile
                    leftover.unlink()
            finally:
                os.close(handle)
    return [name for name in names if os.path.lexists(path.with_name(name))]


def write_bytes(path: Path, data: bytes) -> None:
    """Put `data` at `path` in one step: readers see the old file or the new one, never a part."""
    with new_file(path) as file:
        file.write(data)


def write_json(path: Path, value: Any) -> None:
    """`write_bytes` of indented UTF-8 JSON with a final newline."""
    write_bytes(path, (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode())


def sync_file(path: Path) -> None:
    """Have a file's bytes on the disk before what follows."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Have the names in a folder on the disk before what follows."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(path: Path, mode: int = 0o777) -> None:
    """Have a folder, with those above it; the name of each that was made is on the disk before what follows."""
    if path.is_dir() or path == path.parent:
        return
    make_folder(path.parent)
    path.mkdir(mode, exist_ok=True)
    sync_folder(path.parent)
