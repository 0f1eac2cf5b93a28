"""The machine card: what a figure was measured on, without which it means nothing."""

from __future__ import annotations

import os
import platform
import re
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

from edgefuse_runtimes.cgroup import limited_groups
from edgefuse_runtimes.machine import physical_cores

LIBRARIES = ("edgefuse", "numpy", "pillow", "onnxruntime", "llama-cpp-python")

TUNING = ("OPENBLAS_CORETYPE", "OPENBLAS_NUM_THREADS", "OPENBLAS_L2_SIZE", "OMP_NUM_THREADS")
"""Settings from outside that change what numpy's BLAS does."""


def machine_card(root: Path = Path("/")) -> dict[str, Any]:
    """Processor, memory, system and libraries, as plain JSON types; /proc, /sys and /etc lie in `root`."""
    return {
        "board": _board(root),
        "cpu": cpu_name(root),
        "architecture": platform.machine(),
        "physical_cores": physical_cores(),
        "logical_cores": len(os.sched_getaffinity(0)),
        "ram_bytes": psutil.virtual_memory().total,
        "cgroup_limit_bytes": min((group.limit_bytes for group in limited_groups(root / "proc/self")), default=None),
        "system": _system(root),
        "kernel": platform.release(),
        "libc": " ".join(platform.libc_ver()),
        "page_bytes": os.sysconf("SC_PAGE_SIZE"),
        "python": platform.python_version(),
        "libraries": {name: version for name in LIBRARIES if (version := _version(name))},
        "settings": {name: os.environ[name] for name in TUNING if name in os.environ},
    }


def machine_words() -> str:
    """The machine in a few words: "Cortex-A72, 4 cores, 8 GiB"."""
    return f"{cpu_name()}, {physical_cores()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB"


def cpu_name(root: Path = Path("/")) -> str:
    """The processor's name; on Arm, where the kernel knows none, its implementer and part numbers."""
    facts: dict[str, str] = {}
    for line in (root / "proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        facts.setdefault(name.strip(), value.strip())
    if "model name" in facts:
        return facts["model name"]
    return f"Arm implementer {facts.get('CPU implementer', '?')} part {facts.get('CPU part', '?')}"


def _board(root: Path) -> str | None:
    for name in ("proc/device-tree/model", "sys/class/dmi/id/product_name"):
        try:
            return (root / name).read_text().strip("\0\n ") or None
        except OSError:
            continue
    return None


def _system(root: Path) -> str:
    try:
        release = (root / "etc/os-release").read_text()
    except OSError:
        return platform.system()
    found = re.search(r'^PRETTY_NAME="?(.*?)"?$', release, re.MULTILINE)
    return found[1] if found else platform.system()


def _version(library: str) -> str | None:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return None
