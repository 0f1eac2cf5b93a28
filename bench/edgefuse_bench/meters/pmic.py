"""The power that a Raspberry Pi 5 draws, from its power management chip (PMIC)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from edgefuse_runtimes.sensors import NotMeasurable
from edgefuse_runtimes.sensors.vcgencmd import vcgencmd

READING = re.compile(r"^\s*(\w+)_([AV])\s+(?:current|volt)\(\d+\)=(\d+(?:\.\d+)?)[AV]$", re.MULTILINE)
"""A line of `vcgencmd pmic_read_adc`: "VDD_CORE_A current(7)=0.82156000A", "VDD_CORE_V volt(15)=0.81203820V"."""


class PmicPower:
    """Watts of all rails whose current and voltage the chip tells."""

    name = "PMIC power"
    unit = "W"

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._rails = sorted(self._watts())

    def info(self) -> dict[str, Any]:
        """The source, the rails, and what is not in them."""
        return {
            "source": "vcgencmd pmic_read_adc",
            "rails": self._rails,
            "covers": "What the board's rails take, without USB devices and what is lost in making them from 5 V.",
        }

    def read(self) -> float:
        """Watts now."""
        return sum(self._watts().values())

    def _watts(self) -> dict[str, float]:
        answer = vcgencmd("pmic_read_adc", root=self._root)
        told = {(rail, kind): float(value) for rail, kind, value in READING.findall(answer)}
        watts = {
            rail: amperes * told[rail, "V"]
            for (rail, kind), amperes in told.items()
            if kind == "A" and (rail, "V") in told
        }
        if not watts:
            raise NotMeasurable(f"vcgencmd pmic_read_adc says {answer[:60]!r}, which is no power.")
        return watts
