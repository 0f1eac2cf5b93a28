"""The cores' clock."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgefuse_runtimes.sensors import NotMeasurable
from edgefuse_runtimes.sensors.clock import firmware_mhz, kernel_mhz, scaling


class Clock:
    """Of the core that is clocked fastest, in MHz: from a Raspberry Pi's firmware, elsewhere from the kernel."""

    name = "clock"
    unit = "MHz"

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._source, self._mhz = "vcgencmd measure_clock arm", firmware_mhz
        try:
            firmware_mhz(root)
        except NotMeasurable:
            self._source, self._mhz = "cpufreq scaling_cur_freq", kernel_mhz
            kernel_mhz(root)

    def info(self) -> dict[str, Any]:
        """The source, how the kernel chooses the clock, and its range in MHz."""
        found = scaling(self._root)
        return {
            "source": self._source,
            "driver": found.driver,
            "governor": found.governor,
            "min_mhz": found.min_mhz,
            "max_mhz": found.max_mhz,
        }

    def read(self) -> float:
        """MHz now."""
        return self._mhz(self._root)
