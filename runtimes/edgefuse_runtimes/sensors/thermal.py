"""How hot the processor is.

Sources: the kernel's Documentation/ABI/testing/sysfs-class-thermal and Documentation/hwmon/sysfs-interface.rst; for the
Raspberry Pi's limit its documentation, "Frequency management and thermal control".
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edgefuse_runtimes.kernel_files import line, number
from edgefuse_runtimes.sensors import NotMeasurable
from edgefuse_runtimes.sensors.vcgencmd import board

ARM_ZONES = ("cpu-thermal", "cpu_thermal", "bcm2835_thermal", "soc-thermal", "soc_thermal")
X86_CHIPS = ("coretemp", "k10temp", "zenpower")
OTHER_ZONES = ("x86_pkg_temp", "acpitz")
"""Kinds of thermal zones and drivers of sensors, the nearest to the cores first; acpitz may be anywhere inside."""

RASPBERRY_PI_LIMIT = 80.0
"""Degrees Celsius: from here to 85 a Raspberry Pi slows its cores down more and more."""

POSSIBLE = (-40.0, 150.0)
"""Degrees Celsius; what lies outside is a sensor's way to say that it knows nothing."""


@dataclass(frozen=True)
class Thermometer:
    """One sensor of the processor's heat."""

    file: Path
    kind: str
    """As the kernel calls it: "cpu-thermal", "x86_pkg_temp", "coretemp"."""
    limit: float | None
    """Degrees Celsius at which the machine begins to slow down; None where it does not tell."""

    def celsius(self) -> float:
        """The temperature now.

        Raises:
            NotMeasurable: the sensor gave no sensible number.
        """
        millidegrees = number(self.file)
        if millidegrees is None or not POSSIBLE[0] <= millidegrees / 1000 <= POSSIBLE[1]:
            raise NotMeasurable(f"{self.file} gives no temperature.")
        return millidegrees / 1000


def thermometer(root: Path = Path("/")) -> Thermometer:
    """The sensor that is nearest to the cores.

    Raises:
        NotMeasurable: the system shows none, as virtual machines do.
    """
    zones = {line(zone / "type"): zone for zone in sorted((root / "sys/class/thermal").glob("thermal_zone*"))}
    chips = {line(chip / "name"): chip for chip in sorted((root / "sys/class/hwmon").glob("hwmon*"))}

    def of_zones(kinds: tuple[str, ...]) -> list[Thermometer]:
        return [Thermometer(zones[kind] / "temp", kind, _limit(root, zones[kind])) for kind in kinds if kind in zones]

    inside = [
        Thermometer(chips[kind] / "temp1_input", kind, _celsius(chips[kind] / "temp1_max"))
        for kind in X86_CHIPS
        if kind in chips
    ]
    for one in (*of_zones(ARM_ZONES), *inside, *of_zones(OTHER_ZONES)):
        with suppress(NotMeasurable):
            one.celsius()
            return one
    raise NotMeasurable("The system shows no sensor of the processor's temperature, as virtual machines do not.")


def _limit(root: Path, zone: Path) -> float | None:
    """Where the machine begins to slow down: the lowest trip point at which the kernel acts without shutting down."""
    if board(root).startswith("Raspberry Pi"):
        return RASPBERRY_PI_LIMIT
    trips = [
        _celsius(kind.with_name(kind.name.replace("_type", "_temp")))
        for kind in zone.glob("trip_point_*_type")
        if line(kind) in ("passive", "hot")
    ]
    return min((trip for trip in trips if trip is not None), default=None)


def _celsius(path: Path) -> float | None:
    millidegrees = number(path)
    return millidegrees / 1000 if millidegrees is not None and 0 < millidegrees / 1000 <= POSSIBLE[1] else None
