"""Where edgefuse runs: 64-bit Linux with glibc and Python 3.11 to 3.13; elsewhere one sentence says so.

This module must import on every Python that can read its syntax, so it needs nothing but the standard library.
"""

from __future__ import annotations

import os
import platform
import sys
from contextlib import suppress
from dataclasses import dataclass

from edgefuse_runtimes.errors import BadInput

FIRST_PYTHON, LAST_PYTHON = (3, 11), (3, 13)


@dataclass(frozen=True)
class Platform:
    """What decides whether edgefuse runs at all."""

    system: str
    """"Linux", "Windows", "Darwin", ..."""
    machine: str
    """The processor's kind, as `uname -m` says."""
    bits: int
    """Of an address of this Python, which may be 32-bit on a 64-bit kernel."""
    byte_order: str
    """"little" or "big"."""
    libc: str
    """"glibc 2.36"; "" where the C library is another one, such as musl."""
    python: tuple[int, int, int]
    implementation: str
    """"CPython", "PyPy", ..."""


def this_platform() -> Platform:
    """The one that this process runs on."""
    libc = ""
    with suppress(AttributeError, ValueError, OSError):  # musl, macOS and Windows do not know the name
        libc = os.confstr("CS_GNU_LIBC_VERSION") or ""
    return Platform(
        system=platform.system(),
        machine=platform.machine(),
        bits=64 if sys.maxsize > 2**32 else 32,
        byte_order=sys.byteorder,
        libc=libc,
        python=(sys.version_info[0], sys.version_info[1], sys.version_info[2]),
        implementation=platform.python_implementation(),
    )


def unsupported(found: Platform) -> str:
    """Why edgefuse does not run there, as a sentence that says what to do; "" where it does."""
    version = ".".join(map(str, found.python))
    supported = f"{FIRST_PYTHON[0]}.{FIRST_PYTHON[1]} to {LAST_PYTHON[0]}.{LAST_PYTHON[1]}"
    if found.system != "Linux":
        name = {"Darwin": "macOS"}.get(found.system, found.system or "this system")
        advice = "use WSL 2" if name == "Windows" else "use a machine or a virtual machine with 64-bit Linux"
        return f"edgefuse does not run on {name} yet; {advice}."
    if found.bits != 64:
        return (
            f"edgefuse needs a 64-bit system, and this Python is a {found.bits}-bit one ({found.machine}); "
            "install the 64-bit edition of the system, which Raspberry Pi OS has for the Pi 3 and later."
        )
    if found.byte_order != "little":
        return f"edgefuse does not run on big-endian processors ({found.machine}); use an x86-64 or 64-bit Arm machine."
    if not found.libc.startswith("glibc"):
        return (
            "edgefuse needs a Linux with glibc, and this one has another C library (Alpine has musl); "
            "use Debian, Ubuntu, Fedora or Raspberry Pi OS."
        )
    if found.implementation != "CPython":
        return f"edgefuse needs CPython {supported}, and this is {found.implementation} {version}; use CPython."
    if not FIRST_PYTHON <= found.python[:2] <= LAST_PYTHON:
        return f"edgefuse needs Python {supported}, and this is Python {version}; install one of these beside it."
    return ""


def require_supported() -> None:
    """Refuse to go on where edgefuse does not run.

    Raises:
        BadInput: the sentence of `unsupported`.
    """
    sentence = unsupported(this_platform())
    if sentence:
        raise BadInput(sentence)
