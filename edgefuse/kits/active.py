"""The kit that `classify` uses when none is named: $EDGEFUSE_KIT, then the active kit of this user."""

from __future__ import annotations

import os
from pathlib import Path

from edgefuse.home import home
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import write_bytes


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


def _record() -> Path:
    return home() / "active-kit"
