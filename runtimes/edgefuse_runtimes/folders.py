"""Folders that are whole or absent: filled under a hidden name beside their place, synced, then renamed.

While NAME is made there is `.NAME.part` beside it. Whoever fills it holds a lock on a file in it, which the system
releases when a process ends in whatever way; so the next run knows a leftover from a folder that is being filled.

    .NAME.part/lock         held by the running process
    .NAME.part/whole/       what becomes NAME
    .NAME.part/PIECE.json   says that a piece of it is finished, written after the piece's files

An embedding table is made in its place instead, shard by shard; there the folder itself is locked.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import make_folder, require_name, sync_file, sync_folder, write_json

LOCK = "lock"
WHOLE = "whole"


def require_new(path: Path) -> None:
    """Refuse to overwrite: a step asks before it works for minutes.

    What a run left that was ended right after it had finished `path` goes away.

    Raises:
        BadInput: `path` already exists and is not an empty folder, or is ".", ".." or "/".
    """
    require_name(path)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        remove_leftover(path)
        raise BadInput(f"{path} already exists; choose another output or remove it first.")


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A hidden folder to fill; it becomes `path` when the block ends well and vanishes otherwise.

    Raises:
        BadInput: `path` already exists and is not an empty folder, or another process is making it.
    """
    with part_folder(path, {}) as part:
        yield part.whole


@dataclass(frozen=True)
class PartFolder:
    """A folder that is being made, some pieces of which may be finished already."""

    root: Path
    """Hidden; what lies in it beside `whole` goes away in the end."""
    pieces: Mapping[str, Any]
    """Name of each piece -> plain JSON that says all that it is made of; equal means the same piece."""

    @property
    def whole(self) -> Path:
        """What becomes the folder."""
        return self.root / WHOLE

    @property
    def finished(self) -> list[str]:
        """Names of the pieces that are there."""
        return [name for name in self.pieces if self._marker(name).is_file()]

    def piece(self, name: str, make: Callable[[], Any]) -> Any:
        """What `make` gave, now or in an interrupted run; with it, the files that it wrote below `root` are kept.

        Args:
            name: one of `pieces`.
            make: writes new files and gives plain JSON.
        """
        if name in self.finished:
            return json.loads(self._marker(name).read_bytes())["value"]
        before = set(_files(self.root))
        value = make()
        made = [file for file in _files(self.root) if file not in before]
        _sync(self.root)
        sizes = {file.relative_to(self.root).as_posix(): file.stat().st_size for file in made}
        write_json(self._marker(name), {"of": self.pieces[name], "files": sizes, "value": value})
        return value

    def tidy(self) -> None:
        """Remove all but the lock and finished pieces of what is wanted."""
        kept = {self.root / LOCK}
        for name, of in self.pieces.items():
            kept |= self._files_of(name, of)
        for entry in sorted(self.root.rglob("*"), reverse=True):  # what is in a folder before the folder
            if entry.is_dir() and not entry.is_symlink():
                if not any(entry.iterdir()):
                    entry.rmdir()
            elif entry not in kept:
                entry.unlink()
        self.whole.mkdir(exist_ok=True)

    def _marker(self, name: str) -> Path:
        return self.root / f"{name}.json"

    def _files_of(self, name: str, of: Any) -> set[Path]:
        """The files of a finished piece and its marker; none if it is not whole, or was made of something else."""
        try:
            said = json.loads(self._marker(name).read_bytes())
            sizes = {self.root / file: size for file, size in said["files"].items()}
            is_whole = all(file.stat().st_size == size for file, size in sizes.items())
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return set()
        return {*sizes, self._marker(name)} if is_whole and said.get("of") == of else set()


@contextlib.contextmanager
def part_folder(path: Path, pieces: Mapping[str, Any]) -> Iterator[PartFolder]:
    """Like `new_folder`, but an interruption leaves finished pieces, and the next run with the same ones goes on.

    An error leaves nothing: what it complains of will not be there again.

    Args:
        path: of the folder to be.
        pieces: see `PartFolder.pieces`; what an interrupted run left of others is removed.

    Raises:
        BadInput: `path` already exists and is not an empty folder, or another process is making it.
    """
    require_new(path)
    make_folder(path.parent)
    with _locked(path) as root:
        part = PartFolder(root, pieces)
        try:
            part.tidy()
            yield part
            _sync(part.whole)
            part.whole.replace(path)
            sync_folder(path.parent)
        except Exception:
            _clear(root)
            raise
        except BaseException:  # Ctrl-C and the like
            if part.finished:
                part.tidy()
            else:
                _clear(root)
            raise
        _clear(root)


@contextlib.contextmanager
def scratch_folder(path: Path) -> Iterator[Path]:
    """A hidden folder beside `path` for what is needed until that is made; it vanishes in the end.

    What a run left of it that was killed goes away when the same is made again.

    Raises:
        BadInput: another process is making `path`.
    """
    make_folder(path.parent)
    with _locked(path) as root:
        try:
            PartFolder(root, {}).tidy()
            yield root / WHOLE
        finally:
            _clear(root)


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep other processes from filling a folder in its place; it is made if need be, and goes again if it stays empty.

    The folder itself is locked, so that nothing of the lock is left when the process ends, in whatever way. On a file
    system without such locks the block runs all the same.

    Raises:
        BadInput: another process fills it, or it is no folder.
    """
    missing = not folder.exists()
    if not missing and not folder.is_dir():
        raise BadInput(f"{folder} is no folder; choose another output.")
    make_folder(folder)
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            _lock(handle, folder)
        yield
    finally:
        if missing:
            with contextlib.suppress(OSError):  # something is in it
                folder.rmdir()
        os.close(handle)


def remove_leftover(path: Path) -> None:
    """Remove what a run that was ended left while it made `path`; nothing where another one is making it."""
    if _hidden(path).is_dir():
        try:
            with _locked(path) as root:
                _clear(root)
        except (BadInput, OSError):  # it is not ours, or may not be written
            return


def _hidden(path: Path) -> Path:
    return path.with_name(f".{path.name}.part")


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[Path]:
    """The hidden folder of `path`, which no other process uses while the block runs."""
    root = _hidden(path)
    while (handle := _try_to_lock(root, path)) is None:
        pass
    try:
        yield root
    finally:
        os.close(handle)


def _try_to_lock(root: Path, path: Path) -> int | None:
    """A handle that holds the lock; None where its file was removed meanwhile by a process that ended."""
    root.mkdir(exist_ok=True)
    names = [entry.name for entry in root.iterdir()]  # at once, since other processes come and go
    if names and LOCK not in names:
        raise BadInput(f"{root} stands in the way and is not of edgefuse's making; remove it or choose another output.")
    try:
        handle = os.open(root / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    except FileNotFoundError:
        return None
    try:
        _lock(handle, path)
        if os.path.samestat(os.fstat(handle), (root / LOCK).stat()):
            return handle
    except FileNotFoundError:
        pass
    except BadInput:
        os.close(handle)
        raise
    os.close(handle)
    return None


def _lock(handle: int, path: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise BadInput(
            f"Another edgefuse is making {path} at this moment; wait for it or choose another output."
        ) from error


def _clear(root: Path) -> None:
    """Remove all; the lock last, so that what is left by an interruption is known as ours."""
    with contextlib.suppress(OSError):  # what cannot be removed now will be by the next run
        for entry in root.iterdir():
            if entry.name != LOCK:
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        (root / LOCK).unlink()
        root.rmdir()


def _files(folder: Path) -> list[Path]:
    return [entry for entry in folder.rglob("*") if entry.is_file()]


def _sync(folder: Path) -> None:
    """Have a folder and all that is in it on the disk."""
    for entry in sorted(folder.rglob("*")):
        if entry.is_symlink():  # it is in its folder, and what it points to is not ours
            continue
        if entry.is_file():
            sync_file(entry)
        elif entry.is_dir():  # a device or a pipe holds nothing
            sync_folder(entry)
    sync_folder(folder)
