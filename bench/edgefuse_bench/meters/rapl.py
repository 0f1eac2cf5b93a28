"""The energy that a processor says it took: RAPL, of Intel processors and of AMD's since Zen.

Source: the kernel's Documentation/power/powercap/powercap.rst.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgefuse_runtimes.kernel_files import line, number
from edgefuse_runtimes.sensors import NotMeasurable


class RaplEnergy:
    """Joules of all processor packages since the first reading."""

    name = "RAPL energy"
    unit = "J"

    def __init__(self, root: Path = Path("/")) -> None:
        zones = sorted((root / "sys/class/powercap").glob("intel-rapl:*"))
        self._counters = [
            _Counter(zone / "energy_uj", number(zone / "max_energy_range_uj"))
            for zone in zones
            if (line(zone / "name") or "").startswith("package")
        ]
        if not self._counters:
            raise NotMeasurable("The processor shows no energy counter (RAPL).")
        self.read()

    def info(self) -> dict[str, Any]:
        """The counters' files, and what they cover."""
        return {
            "source": ", ".join(str(counter.file) for counter in self._counters),
            "covers": "The processor's packages alone, as they count it themselves; not memory, disk and screen.",
        }

    def read(self) -> float:
        """Joules since the first reading."""
        return sum(counter.joules() for counter in self._counters)


class _Counter:
    """One counter of microjoules, which begins at 0 again after its range."""

    def __init__(self, file: Path, highest: int | None) -> None:
        self.file = file
        self._highest = highest
        self._last: int | None = None
        self._counted = 0

    def joules(self) -> float:
        """Since the first call; what passed between two calls must be less than the counter's range.

        Raises:
            NotMeasurable: the counter may not be read.
        """
        try:
            now = int(self.file.read_text())
        except PermissionError:
            raise NotMeasurable(
                "The processor's energy counter (RAPL) is readable by root only, since Linux 5.10 (CVE-2020-8694); run "
                "as root to measure energy."
            ) from None
        except (OSError, ValueError) as error:
            raise NotMeasurable(f"{self.file} gives no energy ({error}).") from None
        step = now - (now if self._last is None else self._last)
        if step < 0:
            if self._highest is None:
                raise NotMeasurable(f"{self.file} began anew, and its range is not known.")
            step += self._highest
        self._last = now
        self._counted += step
        return self._counted / 1e6
