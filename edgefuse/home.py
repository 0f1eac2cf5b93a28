"""The folder of what this user must not lose: installed kits, the device key, answers that were kept."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from edgefuse_runtimes.files import home_folder


def home() -> Path:
    """$EDGEFUSE_HOME, else `edgefuse` in the user's data folder; it may not exist yet.

    Raises:
        FileNotFoundError: there is no such place, since nothing tells the user's home.
    """
    named = os.environ.get("EDGEFUSE_HOME")
    if named:
        return Path(named)
    data = os.environ.get("XDG_DATA_HOME")
    return (Path(data) if data else home_folder() / ".local" / "share") / "edgefuse"


def installation() -> Path | None:
    """The folder that an installer put this edgefuse into, whose kits and keys are those of all who use it.

    None where it came in another way.
    """
    version = Path(sys.prefix).resolve()  # it is started through the link ROOT/current
    root = version.parent.parent
    return root if version.parent.name == "versions" and (root / "current").is_symlink() else None


def trusted_roots() -> list[Path]:
    """Whose kits and keys count for this user: his own, if his home is known, and those of an installation for all."""
    everyones = installation()
    try:
        own = [home()]
    except FileNotFoundError:
        own = []
    return own if everyones is None else [*own, everyones]


@contextlib.contextmanager
def closed_to_others() -> Iterator[None]:
    """What is made while the block runs, only its owner may write to, whatever the user's umask allows.

    In an installation for everyone all may read it, whatever the umask forbids.
    """
    root = installation()
    is_everyones = root is not None and home().resolve() == root
    before = os.umask(0o022)
    if not is_everyones:
        os.umask(before | 0o022)
    try:
        yield
    finally:
        os.umask(before)
