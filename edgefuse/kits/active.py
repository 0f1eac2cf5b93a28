"""The kit that `classify` uses when none is named: $EDGEFUSE_KIT, then the active kit of this user."""

from __future__ import annotations

import os
from pathlib import Path

from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import home_folder, write_bytes


def find_kit() -> Path:
    """The kit to use.

    Raises:
        BadInput: neither is set.
    """
    named = os.environ.get("EDGEFUSE_KIT")
    if named:
        return Path(named)
    try:
        return Path(os.fsdecode(_record().read_bytes().rstrip(b"\n")))
    except FileNotFoundError:
        raise BadInput(
            "No kit is named: give --kit KIT, set EDGEFUSE_KIT, or choose one with 'edgefuse kits use KIT'."
        ) from None


def activate(kit: Path) -> None:
    """Make `kit` the active kit of this user."""
    write_bytes(_record(), os.fsencode(kit.resolve()) + b"\n")


def data_folder() -> Path:
    """Where edgefuse keeps what this user must not lose.

    Raises:
        FileNotFoundError: there is no such place, since nothing tells the user's home.
    """
    data = os.environ.get("XDG_DATA_HOME") or home_folder() / ".local" / "share"
    return Path(data) / "edgefuse"


def _record() -> Path:
    return data_folder() / "active-kit"
