"""All meters that a machine has, and in the place of each that it has not, why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from edgefuse_bench.meters.battery import BatteryPower
from edgefuse_bench.meters.clock import Clock
from edgefuse_bench.meters.meter import Absent, Meter
from edgefuse_bench.meters.pmic import PmicPower
from edgefuse_bench.meters.rapl import RaplEnergy
from edgefuse_bench.meters.temperature import Temperature
from edgefuse_bench.meters.throttling import ThrottleCount, Throttling
from edgefuse_runtimes.sensors import NotMeasurable

KINDS: dict[str, tuple[Callable[[Path], Meter], ...]] = {
    "temperature": (Temperature,),
    "clock": (Clock,),
    "throttling": (Throttling, ThrottleCount),
    "energy": (PmicPower, RaplEnergy, BatteryPower),
}
"""What is measured, and the meters of it; for each, all that the machine has are used."""


def all_meters(root: Path = Path("/")) -> list[Meter]:
    """The meters of the machine whose /proc, /sys and /usr/bin lie in `root`; never raises."""
    return [meter for name, kinds in KINDS.items() for meter in _meters(name, kinds, root)]


def _meters(name: str, kinds: Sequence[Callable[[Path], Meter]], root: Path) -> list[Meter]:
    """Those that work, or one that says why none does."""
    found: list[Meter] = []
    why = []
    for kind in kinds:
        try:
            found.append(kind(root))
        except (NotMeasurable, OSError) as error:
            why.append(str(error))
    return found or [Absent(name, " ".join(why))]
