"""The device that a plan is made for: this one, or one that is described by its sizes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgefuse.home import home
from edgefuse.sizes import said_size
from edgefuse_runtimes.contract import Engine
from edgefuse_runtimes.encoder import is_installed
from edgefuse_runtimes.machine import available_memory, process_memory

SYSTEM_BYTES = 256 << 20
"""What is kept from edgefuse on a device that is not here, for its system and other programs."""


@dataclass(frozen=True)
class Device:
    """What a device leaves to edgefuse."""

    memory_bytes: int
    memory_words: str
    """Where the figure comes from."""
    disk_bytes: int
    disk_words: str
    is_here: bool
    """Whether it is this machine."""

    @property
    def usable(self) -> Callable[[Engine], bool]:
        """Which engines it has: those that are installed here; on a device that is not here, any."""
        return is_installed if self.is_here else lambda engine: True


def device(ram: int | None, disk: int | None, system: int = SYSTEM_BYTES, kit: Path | None = None) -> Device:
    """A device with `ram` bytes of memory, `system` of which are not edgefuse's, and `disk` free bytes.

    What is None is this machine's: the memory that is available, within the limits of its control groups, and the disk
    that is free, with the room that `kit` has already if it lies there.
    """
    if ram is None:
        here = available_memory()
        memory = here.bytes + process_memory().anon_bytes  # what this process holds will be free again
        memory_words = f"available here: {here.limit}"
    else:
        memory = max(0, ram - system)
        memory_words = f"of {said_size(ram)}; {said_size(system)} are left to the system and other programs"
    if disk is not None:
        return Device(memory, memory_words, disk, "free on the device", ram is None)
    folder = _existing(home())
    usage = shutil.disk_usage(folder).free
    lies_there = kit is not None and kit.exists() and kit.stat().st_dev == folder.stat().st_dev
    taken = sum(file.stat().st_size for file in kit.rglob("*") if file.is_file()) if kit and lies_there else 0
    words = f"free in {folder}" + (", and what the kit takes there" if taken else "")
    return Device(memory, memory_words, usage + taken, words, ram is None)


def _existing(folder: Path) -> Path:
    return next(parent for parent in (folder, *folder.parents) if parent.is_dir())
