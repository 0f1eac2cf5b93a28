"""The device key: secret bytes by which this user's inputs get names that nobody else can guess back.

The plain hash of a short note can be reversed by hashing all likely notes; a keyed hash cannot without the key.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from edgefuse.home import home
from edgefuse_runtimes.files import sync_folder

BYTES = 32
NAME = "device-key"


def device_key() -> bytes | None:
    """The key of this user on this device, made at its first use; None where it cannot be kept."""
    try:
        path = home() / NAME
        return _read(path) or _make(path)
    except OSError:
        return None  # a read-only home or none: whatever needs the key does without


def _read(path: Path) -> bytes | None:
    """The key, after closing it to others; None where there is none or not all of it."""
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        return None
    if len(key) != BYTES:
        path.unlink(missing_ok=True)
        return None
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)
    return key


def _make(path: Path) -> bytes | None:
    """A new key; of two processes that make one at the same time, both get that of the first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{NAME}.{secrets.token_hex(8)}.part")
    try:
        with os.fdopen(_new(part), "wb") as file:
            file.write(secrets.token_bytes(BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(part, path)  # unlike a rename, it never replaces a key that is in use
        except FileExistsError:
            pass
        except OSError:  # a file system without hard links, such as vfat or exFAT
            _write_new(path)
        sync_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)
    return _read(path)


def _write_new(path: Path) -> None:
    """A new key under its own name, in one write; a process that comes first keeps its own."""
    with contextlib.suppress(FileExistsError):
        handle = _new(path)
        try:
            os.write(handle, secrets.token_bytes(BYTES))
            os.fsync(handle)
        finally:
            os.close(handle)


def _new(path: Path) -> int:
    """A handle of a new file that its owner alone may read."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
