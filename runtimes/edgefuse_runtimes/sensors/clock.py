"""How fast the cores are clocked.

Source: the kernel's Documentation/admin-guide/pm/cpufreq.rst. On a Raspberry Pi scaling_cur_freq is what the kernel
asked for; what the firmware made of it when it throttles is in `vcgencmd measure_clock arm` alone (the Raspberry Pi's
documentation, "Overclocking options").
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from edgefuse_runtimes.kernel_files import line, number
from edgefuse_runtimes.sensors import NotMeasurable
from edgefuse_runtimes.sensors.vcgencmd import vcgencmd


@dataclass(frozen=True)
class Scaling:
    """How the kernel chooses the clock."""

    driver: str | None
    governor: str | None
    """"ondemand", "schedutil", "powersave", ...; several, when cores differ, with commas."""
    min_mhz: float | None
    max_mhz: float | None


def scaling(root: Path = Path("/")) -> Scaling:
    """Driver, governor and range of the clock; None each where the system does not tell, as in virtual machines."""
    policies = _policies(root)
    governors = dict.fromkeys(one for policy in policies if (one := line(policy / "scaling_governor")))
    lowest = [khz for policy in policies if (khz := number(policy / "cpuinfo_min_freq"))]
    highest = [khz for policy in policies if (khz := number(policy / "cpuinfo_max_freq"))]
    return Scaling(
        driver=next((one for policy in policies if (one := line(policy / "scaling_driver"))), None),
        governor=", ".join(governors) or None,
        min_mhz=min(lowest) / 1000 if lowest else None,
        max_mhz=max(highest) / 1000 if highest else None,
    )


def firmware_mhz(root: Path = Path("/")) -> float:
    """The Arm cores' clock in MHz, of a Raspberry Pi's firmware.

    Raises:
        NotMeasurable: there is none.
    """
    answer = vcgencmd("measure_clock", "arm", root=root)
    found = re.fullmatch(r"frequency\(\d+\)=(\d+)", answer)
    if not found:
        raise NotMeasurable(f"vcgencmd measure_clock says {answer[:60]!r}, which is no clock.")
    return int(found[1]) / 1e6


def kernel_mhz(root: Path = Path("/")) -> float:
    """The clock in MHz of the core that is clocked fastest: under load on some cores alone, one of those.

    Raises:
        NotMeasurable: the kernel does not scale the clock.
    """
    now = [khz for policy in _policies(root) if (khz := number(policy / "scaling_cur_freq"))]
    if not now:
        raise NotMeasurable("The kernel does not scale the clock, as in virtual machines, or does not tell it.")
    return max(now) / 1000


def _policies(root: Path) -> list[Path]:
    return sorted((root / "sys/devices/system/cpu/cpufreq").glob("policy*"))
