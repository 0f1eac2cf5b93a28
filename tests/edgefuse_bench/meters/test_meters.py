"""Which meters a recorded machine has, what they say of themselves, and what they read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgefuse_bench.meters import Meter, all_meters

Recorded = Callable[[str], Path]


def by_name(root: Path) -> dict[str, Meter]:
    return {meter.name: meter for meter in all_meters(root)}


def readings(root: Path) -> dict[str, Any]:
    return {name: meter.read() for name, meter in by_name(root).items()}


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        ("pi4", {"temperature": 80.6, "clock": 1141.118, "throttling": 0x60002}),
        ("pi5", {"temperature": 59.3, "clock": 2400.023808, "throttling": 0}),
        ("laptop", {"temperature": 55.0, "clock": 2304.05, "throttle count": 12, "battery power": 19.195}),
        ("cloud_vm", {"temperature": None, "clock": None, "throttling": None, "energy": None}),
    ],
)
def test_what_each_machine_measures(recorded: Recorded, machine: str, expected: dict[str, Any]) -> None:
    found = readings(recorded(machine))
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize("machine", ["pi4", "pi5", "laptop", "cloud_vm"])
def test_every_meter_tells_its_source_or_why_there_is_none(recorded: Recorded, machine: str) -> None:
    for meter in all_meters(recorded(machine)):
        info = json.loads(json.dumps(meter.info()))
        assert ("source" in info) != ("not_measurable" in info)
        assert bool(meter.unit) == ("source" in info)
        if "not_measurable" in info:
            assert info["not_measurable"].endswith(".")
            assert machine in ("cloud_vm", "pi4")


def test_a_raspberry_pi_names_its_bits(recorded: Recorded) -> None:
    info = by_name(recorded("pi5"))["throttling"].info()
    assert info["bits"]["0"] == "under-voltage"
    assert info["bits"]["18"] == "throttled since the start"


def test_the_clock_tells_how_it_is_chosen(recorded: Recorded) -> None:
    pi = by_name(recorded("pi4"))["clock"].info()
    assert (pi["source"], pi["governor"]) == ("vcgencmd measure_clock arm", "ondemand")
    laptop = by_name(recorded("laptop"))["clock"].info()
    assert (laptop["source"], laptop["max_mhz"]) == ("cpufreq scaling_cur_freq", 2700)


def test_this_machine_has_meters_too() -> None:
    assert {"temperature", "clock"} <= {meter.name for meter in all_meters()}
