"""The kit that `classify` uses when none is named: $EDGEFUSE_KIT, then the active kit of this user."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from edgefuse.home import closed_to_others, home, installation
from edgefuse.kits.store import current_folder, kit_folder, kits_folder, versions_of
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import write_bytes


def find_kit(named: Path | None = None) -> Path:
    """The folder of the kit to use.

    Args:
        named: a folder, the name of an installed kit, or the folder of one with all its versions; None: what
            $EDGEFUSE_KIT names so, else the active kit.

    Raises:
        BadInput: none is named, and none is active.
    """
    if named is None and os.environ.get("EDGEFUSE_KIT"):
        named = Path(os.environ["EDGEFUSE_KIT"])
    if named is not None:
        return _installed(named) or current_folder(named) or named
    kit = active_kit()
    if kit is None:
        raise BadInput(
            "No kit is named: give --kit KIT, set EDGEFUSE_KIT, or bring one with 'edgefuse kits install KIT'."
        )
    return current_folder(kit) or kit


def active_kit() -> Path | None:
    """What was activated: the folder of a kit in the store, which has versions, or of one elsewhere; None: nothing."""
    try:
        return Path(os.fsdecode(_path().read_bytes().rstrip(b"\n")))
    except FileNotFoundError:
        return None


def activate(kit: Path) -> None:
    """Make the kit in the folder `kit` the active kit of this user; of one in the store, whatever version is in use."""
    folder = kit.resolve()
    in_store = folder.is_relative_to(kits_folder().resolve())
    with closed_to_others():
        write_bytes(_path(), os.fsencode(folder.parent if in_store else folder) + b"\n")


def deactivate() -> None:
    """Have no active kit."""
    _path().unlink(missing_ok=True)


def _installed(named: Path) -> Path | None:
    """The folder of the version in use of the kit of that name, this user's or else everyone's; None: there is none."""
    if named.exists() or len(named.parts) != 1:
        return None
    with contextlib.suppress(BadInput):
        return next((item.folder for item in versions_of(str(named)) if item.in_use), None)
    root = installation()
    with contextlib.suppress(BadInput):
        return None if root is None else current_folder(kit_folder(str(named), root))
    return None


def _path() -> Path:
    return home() / "active-kit"
