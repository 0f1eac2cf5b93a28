"""Whether the machine was slowed down by heat or by a weak power supply, now and since it was started.

Sources: the Raspberry Pi's documentation, "vcgencmd", `get_throttled`; the kernel's
Documentation/ABI/testing/sysfs-devices-system-cpu, thermal_throttle.
"""

from __future__ import annotations

import re
from pathlib import Path

from edgefuse_runtimes.kernel_files import number
from edgefuse_runtimes.sensors import NotMeasurable
from edgefuse_runtimes.sensors.vcgencmd import vcgencmd

BITS = {0: "under-voltage", 1: "clock capped", 2: "throttled", 3: "soft temperature limit"}
"""What each bit of `get_throttled` means now; 16 above it stands the same since the start."""

SINCE_START = 16


def throttle_bits(root: Path = Path("/")) -> int:
    """A Raspberry Pi's throttle bits.

    Raises:
        NotMeasurable: this is none, or it does not answer.
    """
    answer = vcgencmd("get_throttled", root=root)
    found = re.fullmatch(r"throttled=(0x[0-9a-fA-F]+)", answer)
    if not found:
        raise NotMeasurable(f"vcgencmd get_throttled says {answer[:60]!r}, which are no throttle bits.")
    return int(found[1], 16)


def now(bits: int) -> list[str]:
    """What is the matter at this moment, in words."""
    return [words for bit, words in BITS.items() if bits >> bit & 1]


def since_start(bits: int) -> list[str]:
    """What has been the matter since the machine was started, in words."""
    return now(bits >> SINCE_START)


def throttle_count(root: Path = Path("/")) -> int:
    """How often heat slowed an Intel processor down since the start: of its packages, or else its cores.

    Raises:
        NotMeasurable: the processor does not count it.
    """
    folders = sorted((root / "sys/devices/system/cpu").glob("cpu[0-9]*"))
    packages: dict[int, int] = {}
    for folder in folders:
        count = number(folder / "thermal_throttle/package_throttle_count")
        if count is not None:  # each core of a package shows the package's own count
            packages[number(folder / "topology/physical_package_id") or 0] = count
    if packages:
        return sum(packages.values())
    cores = [number(folder / "thermal_throttle/core_throttle_count") for folder in folders]
    if not any(count is not None for count in cores):
        raise NotMeasurable("This machine does not tell whether it was throttled.")
    return sum(count or 0 for count in cores)
