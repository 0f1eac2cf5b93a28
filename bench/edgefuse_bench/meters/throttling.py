"""Whether the machine was slowed down: a Raspberry Pi's throttle bits, an Intel processor's count."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgefuse_runtimes.sensors.throttling import BITS, SINCE_START, throttle_bits, throttle_count


class Throttling:
    """A Raspberry Pi's throttle bits: 0 to 3 what is now, 16 to 19 what has been since it was started."""

    name = "throttling"
    unit = "bits"

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        throttle_bits(root)

    def info(self) -> dict[str, Any]:
        """The source, and what each bit means."""
        then = {bit + SINCE_START: f"{words} since the start" for bit, words in BITS.items()}
        return {"source": "vcgencmd get_throttled", "bits": {str(bit): words for bit, words in (BITS | then).items()}}

    def read(self) -> int:
        """The bits now."""
        return throttle_bits(self._root)


class ThrottleCount:
    """How often heat slowed an Intel processor down since it was started."""

    name = "throttle count"
    unit = "times"

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        throttle_count(root)

    def info(self) -> dict[str, Any]:
        """The source."""
        return {"source": str(self._root / "sys/devices/system/cpu/cpu*/thermal_throttle")}

    def read(self) -> int:
        """The count since the start."""
        return throttle_count(self._root)
