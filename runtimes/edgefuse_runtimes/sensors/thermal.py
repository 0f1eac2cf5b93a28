"""How hot the processor is.

Sources: the kernel's Documentation/ABI/testing/sysfs-class-thermal and Documentation/hwmon/sysfs-interface.rst; for the
Raspberry Pi's limit its documentation, "Frequency management and thermal control".
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edgefuse_runtimes.kernel_files import line, number
from edgefuse_runtimes.sensors import NotMeasurable
from edgefuse_runtimes.sensors.vcgencmd import board

ARM_ZONES = ("cpu", "bcm2835", "bigcore", "package", "soc")
OTHER_ZONES = ("x86_pkg_temp", "acpitz")
"""What the kinds of thermal zones begin with, the nearest to the cores first; acpitz may be anywhere inside."""

X86_CHIPS = ("coretemp", "k10temp", "zenpower")
"""Drivers of the sensors inside processors."""

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
    for one in (*_zones(root, ARM_ZONES), *_chips(root), *_zones(root, OTHER_ZONES)):
        with suppress(NotMeasurable):
            one.celsius()
            return one
    raise NotMeasurable("The system shows no sensor of the processor's temperature, as virtual machines do not.")


def _zones(root: Path, beginnings: tuple[str, ...]) -> Iterator[Thermometer]:
    folders = sorted((root / "sys/class/thermal").glob("thermal_zone*"))
    for beginning in beginnings:
        for folder in folders:
            kind = line(folder / "type") or ""
            if kind.startswith(beginning):
                yield Thermometer(folder / "temp", kind, _limit(root, folder))


def _chips(root: Path) -> Iterator[Thermometer]:
    for folder in sorted((root / "sys/class/hwmon").glob("hwmon*")):
        kind = line(folder / "name")
        if kind in X86_CHIPS:
            yield Thermometer(folder / "temp1_input", kind, _celsius(folder / "temp1_max"))


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
