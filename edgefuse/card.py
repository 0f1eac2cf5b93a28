"""The machine card: what a figure was measured on, without which it means nothing."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Collection
from importlib import metadata
from pathlib import Path
from typing import Any

from edgefuse_runtimes.cgroup import cpu_limit, limited_groups
from edgefuse_runtimes.emulation import emulation
from edgefuse_runtimes.kernel_files import line
from edgefuse_runtimes.machine import physical_cores
from edgefuse_runtimes.processor import cpuinfo, processor_features, processor_name
from edgefuse_runtimes.sensors.clock import scaling

LIBRARIES = ("edgefuse", "numpy", "pillow", "click", "psutil", "onnxruntime", "llama-cpp-python")

TUNING = ("OPENBLAS_CORETYPE", "OPENBLAS_NUM_THREADS", "OPENBLAS_L2_SIZE", "OMP_NUM_THREADS")
"""Settings from outside that change what numpy's BLAS does."""


def machine_card(root: Path = Path("/"), architecture: str = "") -> dict[str, Any]:
    """Processor, memory, system and libraries, as plain JSON types; None stands for what this system does not tell.

    Args:
        root: where /proc, /sys and /etc lie: "/", or the files of a recorded machine.
        architecture: as `uname -m` tells this process; "": ask.
    """
    architecture = architecture or platform.machine()
    cpus, clock, emulated = _cpus(root), scaling(root), emulation(root, architecture)
    return {
        "board": _board(root),
        "cpu": processor_name(root),
        "architecture": architecture,
        "features": processor_features(root, architecture),
        "physical_cores": physical_cores(cpus, root),
        "logical_cores": len(cpus),
        "clock_driver": clock.driver,
        "governor": clock.governor,
        "min_mhz": clock.min_mhz,
        "max_mhz": clock.max_mhz,
        "ram_bytes": _ram(root),
        "cgroup_limit_bytes": min((group.limit_bytes for group in limited_groups(root / "proc/self")), default=None),
        "cgroup_cores": cpu_limit(root / "proc/self"),
        "virtual": "hypervisor" in cpuinfo(root).get("flags", "").split(),
        "emulated": bool(emulated),
        "emulation": emulated,
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
    emulated = " (emulated)" if emulation() else ""
    cores = physical_cores()
    return f"{processor_name()}{emulated}, {cores} core{'s' * (cores != 1)}, {_ram(Path('/')) / 2**30:.0f} GiB"


def _cpus(root: Path) -> Collection[int]:
    """The kernel's numbers of the processors that this process may run on; all of a recorded machine."""
    if root == Path("/"):
        return os.sched_getaffinity(0)
    return [int(folder.name[3:]) for folder in (root / "sys/devices/system/cpu").glob("cpu[0-9]*")]


def _ram(root: Path) -> int:
    """Bytes that the kernel may use; 0 where it does not tell."""
    found = re.search(r"^MemTotal:\s+(\d+) kB$", line(root / "proc/meminfo") or "", re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def _board(root: Path) -> str | None:
    """Of a board with a device tree its model, of a PC its maker and product."""
    model = line(root / "proc/device-tree/model")
    maker = (line(root / "sys/class/dmi/id" / name) for name in ("sys_vendor", "product_name"))
    return model or " ".join(filter(None, maker)) or None


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
