"""The processor's temperature."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgefuse_runtimes.sensors.thermal import thermometer


class Temperature:
    """The sensor nearest to the cores, in degrees Celsius."""

    name = "temperature"
    unit = "°C"

    def __init__(self, root: Path = Path("/")) -> None:
        self._thermometer = thermometer(root)

    def info(self) -> dict[str, Any]:
        """The sensor's file, its kind as the kernel names it, and where the machine begins to slow down, if known."""
        one = self._thermometer
        return {"source": str(one.file), "sensor": one.kind, "slows_down_at": one.limit}

    def read(self) -> float:
        """Degrees Celsius now."""
        return self._thermometer.celsius()
