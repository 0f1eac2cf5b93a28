"""Whether this process runs on a processor that another program plays: its times then say nothing about the real one.

Two facts give an emulator of user programs (qemu-user, box64, Rosetta) away. It pretends that /proc/self/exe is the
program that it runs, but leaves /proc/thread-self/exe as the kernel has it: the emulator itself. And /proc/cpuinfo is
the real processor's, unless the emulator changes that too. An emulator of whole machines (qemu-system) gives itself
away by its processor's name only; told to play a known board it cannot be told from one.

Sources: qemu's linux-user/syscall.c; the kernel's Documentation/filesystems/proc.rst.
"""

from __future__ import annotations

import platform
import re
from pathlib import Path

from edgefuse_runtimes.processor import cpuinfo

EMULATORS = re.compile(r"qemu-|box64|FEX|rosetta", re.IGNORECASE)
"""Names of programs that run other processors' programs."""

QEMU_PROCESSORS = ("QEMU Virtual CPU", "VirtualApple")
QEMU_ARM = ("0x00", "0x051")
"""Implementer and part of the processor that qemu invents on Arm."""


def emulation(root: Path = Path("/"), architecture: str = "") -> str:
    """What shows that this process runs on an emulated processor, as a sentence; "" where nothing does.

    Args:
        root: where /proc lies.
        architecture: as `uname -m` tells this process; "": ask.
    """
    architecture = architecture or platform.machine()
    told, real = _link(root / "proc/self/exe"), _link(root / "proc/thread-self/exe")
    if real and (told != real or EMULATORS.search(Path(real).name)):
        return f"The kernel runs {real} in the place of this program, so the {architecture} processor is emulated."
    facts = cpuinfo(root)
    described = "Arm" if "CPU implementer" in facts else "x86" if "vendor_id" in facts else ""
    if described and described != ("x86" if architecture in ("x86_64", "i686") else "Arm"):
        return f"The kernel describes an {described} processor, and this process runs as {architecture}: emulated."
    name = facts.get("model name", "")
    if name.startswith(QEMU_PROCESSORS) or (facts.get("CPU implementer"), facts.get("CPU part")) == QEMU_ARM:
        return f"The processor calls itself {name or 'what qemu calls its own'}: emulated."
    return ""


def _link(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:
        return ""
