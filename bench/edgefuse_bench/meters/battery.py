"""The power that a machine takes from its battery.

Source: the kernel's Documentation/ABI/testing/sysfs-class-power.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgefuse_runtimes.kernel_files import line, number
from edgefuse_runtimes.sensors import NotMeasurable


class BatteryPower:
    """Watts that all batteries of the machine give, while they discharge."""

    name = "battery power"
    unit = "W"

    def __init__(self, root: Path = Path("/")) -> None:
        supplies = sorted((root / "sys/class/power_supply").glob("*"))
        # A mouse's or a keyboard's battery has the scope "Device".
        self._batteries = [
            supply for supply in supplies if line(supply / "type") == "Battery" and line(supply / "scope") != "Device"
        ]
        if not self._batteries:
            raise NotMeasurable("The machine shows no battery.")
        if self.read() is None:
            raise NotMeasurable(
                "The battery is not discharging, or does not tell its power; unplug the charger to measure."
            )

    def info(self) -> dict[str, Any]:
        """The batteries, and what they feed."""
        return {
            "source": ", ".join(map(str, self._batteries)),
            "covers": "The whole machine with its screen; batteries tell a new value every few seconds only.",
        }

    def read(self) -> float | None:
        """Watts now; None while no battery discharges."""
        watts = [one for battery in self._batteries if (one := _watts(battery)) is not None]
        return sum(watts) if watts else None


def _watts(battery: Path) -> float | None:
    """Of a battery that discharges: told in microwatts, or in microvolts and microamperes, which may be negative."""
    if line(battery / "status") != "Discharging":
        return None
    microwatts = number(battery / "power_now")
    if microwatts is not None:
        return abs(microwatts) / 1e6
    microamperes, microvolts = number(battery / "current_now"), number(battery / "voltage_now")
    if microamperes is None or microvolts is None:
        return None
    return abs(microamperes) * microvolts / 1e12
