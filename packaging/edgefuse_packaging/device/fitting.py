"""Can what is carried run on this device? Asked before the first byte is written."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgefuse_packaging.device.refused import DOES_NOT_FIT, Refused


@dataclass(frozen=True)
class Device:
    """What decides whether this can be installed here."""

    machine: str
    bits: int
    glibc: tuple[int, ...]
    """Empty where the C library is another one."""
    page: int
    """Bytes of a memory page: 16384 on a Raspberry Pi 5."""
    python: str
    memory: int
    """Bytes that programs can have."""
    disk: int
    """Bytes that are free where it would be installed."""


def this_device(root: Path) -> Device:
    """The one that this runs on, with the disk that `root` would be on."""
    place = root.absolute()
    while not place.exists():
        place = place.parent
    free = os.statvfs(place)
    library, version = platform.libc_ver()
    return Device(
        machine=platform.machine(),
        bits=64 if sys.maxsize > 2**32 else 32,
        glibc=tuple(int(number) for number in version.split(".")) if library == "glibc" else (),
        page=os.sysconf("SC_PAGE_SIZE"),
        python=f"{sys.version_info[0]}.{sys.version_info[1]}",
        memory=_available_memory(),
        disk=free.f_bavail * free.f_frsize,
    )


def require_fit(facts: Mapping[str, Any], device: Device) -> None:
    """Refuse a device on which this would not run.

    Raises:
        Refused: with the first reason.
    """
    if device.machine != facts["machine"]:
        raise Refused(f"this file is for {facts['machine']}, and this device is {device.machine}; make one for it.")
    if device.bits != 64:
        raise Refused("this Python is a 32-bit one; install the 64-bit edition of the system.")
    if not device.glibc:
        raise Refused("edgefuse needs a Linux with glibc; use Debian, Ubuntu, Fedora or Raspberry Pi OS.")
    if device.glibc < tuple(facts["glibc"]):
        needed, found = (".".join(map(str, version)) for version in (facts["glibc"], device.glibc))
        raise Refused(f"this file needs glibc {needed}, and this device has {found}; make one with --glibc {found}.")
    if device.page > facts["page"]:
        raise Refused(f"a memory page has {device.page} bytes here, and what is carried bears {facts['page']} at most.")
    if device.python not in facts["pythons"]:
        raise Refused(f"this file is for Python {' or '.join(facts['pythons'])}, and this is {device.python}.")
    if device.memory < facts["memory"]:
        raise Refused(
            f"the kit needs {_mb(facts['memory'])} of memory, and {_mb(device.memory)} are free; "
            "close other programs or use a smaller kit.",
            DOES_NOT_FIT,
        )
    if device.disk < facts["disk"][device.python]:
        raise Refused(
            f"this needs {_mb(facts['disk'][device.python])} of disk, and {_mb(device.disk)} are free; make room.",
            DOES_NOT_FIT,
        )


def _available_memory() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _mb(size: int) -> str:
    return f"{size / 1e6:.0f} MB"
