"""The processor's temperature, on recorded machines."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from edgefuse_runtimes.sensors import NotMeasurable
from edgefuse_runtimes.sensors.thermal import thermometer

pytestmark = pytest.mark.field

Recorded = Callable[[str], Path]


@pytest.mark.parametrize(
    ("machine", "kind", "celsius", "limit"),
    [("pi4", "cpu-thermal", 80.6, 80.0), ("pi5", "cpu-thermal", 59.3, 80.0), ("laptop", "coretemp", 55.0, 100.0)],
)
def test_the_sensor_nearest_to_the_cores(
    recorded: Recorded, machine: str, kind: str, celsius: float, limit: float
) -> None:
    found = thermometer(recorded(machine))
    assert (found.kind, found.celsius(), found.limit) == (kind, celsius, limit)


def test_without_the_processors_own_sensor_a_zone_is_read(recorded: Recorded) -> None:
    root = recorded("laptop")
    shutil.rmtree(root / "sys/class/hwmon")
    assert thermometer(root).kind == "x86_pkg_temp"
    assert thermometer(root).limit is None  # its trip point of 0 means none
    (root / "sys/class/thermal/thermal_zone1/trip_point_1_type").write_text("hot\n")
    (root / "sys/class/thermal/thermal_zone1/trip_point_1_temp").write_text("95000\n")
    assert thermometer(root).limit == 95.0
    (root / "sys/class/thermal/thermal_zone1/type").write_text("iwlwifi_1\n")
    assert thermometer(root).kind == "acpitz"


@pytest.mark.parametrize("kind", ["cpu_thermal", "cpu0-thermal", "bcm2835_thermal", "soc-thermal"])
def test_other_boards_call_it_otherwise(recorded: Recorded, kind: str) -> None:
    root = recorded("pi4")
    zone = root / "sys/class/thermal/thermal_zone0"
    shutil.copytree(zone, zone.with_name("thermal_zone1"))
    (zone.with_name("thermal_zone1") / "type").write_text(f"{kind}\n")
    (zone / "type").write_text("gpu-thermal\n")
    assert thermometer(root).kind == kind


def test_a_virtual_machine_has_none(recorded: Recorded) -> None:
    with pytest.raises(NotMeasurable, match="virtual machines do not"):
        thermometer(recorded("cloud_vm"))


@pytest.mark.parametrize("text", ["", "-274000\n", "999999\n", "warm\n"])
def test_nonsense_is_no_temperature(recorded: Recorded, text: str) -> None:
    root = recorded("pi5")
    found = thermometer(root)
    (root / "sys/class/thermal/thermal_zone0/temp").write_text(text)
    with pytest.raises(NotMeasurable, match="gives no temperature"):
        found.celsius()
    with pytest.raises(NotMeasurable):
        thermometer(root)
