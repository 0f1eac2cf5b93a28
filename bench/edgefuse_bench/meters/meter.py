"""What every meter can do, and what its readings add up to."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Protocol

Value = float | int | str


class Meter(Protocol):
    """One thing that is measured, by one sensor. Its constructor raises `NotMeasurable` where there is no sensor."""

    name: str
    unit: str
    """"°C", "MHz", "bits", "times", "W" or "J" (since the meter's first reading)."""

    def info(self) -> dict[str, Any]:
        """Where the readings come from, and what is known about the sensor; plain JSON types."""
        ...

    def read(self) -> Value | None:
        """The reading now; None where the sensor gives none this time. May raise `NotMeasurable` or OSError instead."""
        ...


class Absent:
    """Stands for what this machine has no sensor for."""

    unit = ""

    def __init__(self, name: str, sentence: str) -> None:
        self.name = name
        self.sentence = sentence

    def info(self) -> dict[str, Any]:
        """Why it is not measurable."""
        return {"not_measurable": self.sentence}

    def read(self) -> None:
        """Nothing."""


def joules(unit: str, readings: Sequence[dict[str, Any]]) -> float | None:
    """The energy between the first and the last reading; None for other units, or with fewer than two readings.

    Watts are integrated over time by the trapezoidal rule (Press et al., Numerical Recipes, 3rd edition, section 4.1),
    whose error falls with the square of the interval; a counter of joules is subtracted.

    Args:
        unit: "W" or "J".
        readings: {"t_ns", "value"} in the order of time.
    """
    if unit not in ("W", "J") or len(readings) < 2:
        return None
    if unit == "J":
        return float(readings[-1]["value"] - readings[0]["value"])
    return float(
        sum(
            (later["t_ns"] - earlier["t_ns"]) / 1e9 * (earlier["value"] + later["value"]) / 2
            for earlier, later in pairwise(readings)
        )
    )
