"""The machine as the doctor shows it: its card, memory and disk that are left, and what its sensors say now."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from edgefuse.card import machine_card
from edgefuse.home import home
from edgefuse_runtimes.machine import available_memory
from edgefuse_runtimes.sensors import NotMeasurable
from edgefuse_runtimes.sensors.clock import firmware_mhz, kernel_mhz
from edgefuse_runtimes.sensors.thermal import thermometer
from edgefuse_runtimes.sensors.throttling import now, since_start, throttle_bits, throttle_count
from edgefuse_runtimes.verdicts import verdicts_folder


def machine() -> dict[str, Any]:
    """The machine card, and "available_bytes", "disk", "writable", "answers" and "sensors"."""
    cache, data = _below(verdicts_folder), _below(home)
    return machine_card() | {
        "available_bytes": available_memory().bytes,
        "disk": cache and {"folder": str(cache), "free_bytes": psutil.disk_usage(str(cache)).free},
        "writable": _writable(cache),
        "answers": {"folder": data and str(data), "writable": _writable(data)},
        "sensors": sensors(),
    }


def sensors(root: Path = Path("/")) -> dict[str, dict[str, Any]]:
    """What can be measured at this moment: "temperature", "clock", "throttling"; else "not_measurable", why not."""
    return {
        "temperature": _first(root, _temperature),
        "clock": _first(root, lambda root: {"mhz": firmware_mhz(root)}, lambda root: {"mhz": kernel_mhz(root)}),
        "throttling": _first(root, _throttling, lambda root: {"times": throttle_count(root)}),
    }


def _first(root: Path, *ways: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
    """What the first way that works says."""
    why = ""
    for way in ways:
        try:
            return way(root)
        except (NotMeasurable, OSError) as error:
            why = str(error)
    return {"not_measurable": why}


def _temperature(root: Path) -> dict[str, Any]:
    found = thermometer(root)
    return {"celsius": found.celsius(), "slows_down_at": found.limit}


def _throttling(root: Path) -> dict[str, Any]:
    bits = throttle_bits(root)
    return {"now": now(bits), "since_start": since_start(bits)}


def _below(place: Callable[[], Path]) -> Path | None:
    """The folder that is there, in which that place is or would be made; None where the user has no home."""
    try:
        folder = place().absolute()
    except FileNotFoundError:
        return None
    # Path.is_dir fails in a folder that may not be entered.
    return next((one for one in (folder, *folder.parents) if os.path.isdir(one)), None)  # noqa: PTH112


def _writable(folder: Path | None) -> bool:
    return folder is not None and os.access(folder, os.W_OK)
