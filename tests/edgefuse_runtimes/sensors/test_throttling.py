"""Throttle bits in words, and an Intel processor's count."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from edgefuse_runtimes.sensors import NotMeasurable
from edgefuse_runtimes.sensors.throttling import now, since_start, throttle_bits, throttle_count

pytestmark = pytest.mark.field

Recorded = Callable[[str], Path]


@pytest.mark.parametrize(
    ("bits", "today", "before"),
    [
        (0x0, [], []),
        (0x50005, ["under-voltage", "throttled"], ["under-voltage", "throttled"]),
        (0x60002, ["clock capped"], ["clock capped", "throttled"]),
        (0x80008, ["soft temperature limit"], ["soft temperature limit"]),
        (0x10000, [], ["under-voltage"]),
        (0xF, ["under-voltage", "clock capped", "throttled", "soft temperature limit"], []),
        (0xFFF0FFF0, [], []),  # bits without a meaning
    ],
)
def test_every_bit_in_words(bits: int, today: list[str], before: list[str]) -> None:
    assert now(bits) == today
    assert since_start(bits) == before


def test_the_bits_of_recorded_machines(recorded: Recorded) -> None:
    assert throttle_bits(recorded("pi4")) == 0x60002
    assert throttle_bits(recorded("pi5")) == 0
    with pytest.raises(NotMeasurable):
        throttle_bits(recorded("laptop"))


def test_another_answer_is_no_bits(recorded: Recorded) -> None:
    root = recorded("pi5")
    (root / "vcgencmd/get_throttled").write_text("throttled=yes\n")
    with pytest.raises(NotMeasurable, match="which are no throttle bits"):
        throttle_bits(root)


def test_a_package_is_counted_once(recorded: Recorded) -> None:
    root = recorded("laptop")
    assert throttle_count(root) == 12
    cpu = root / "sys/devices/system/cpu/cpu3"
    (cpu / "topology/physical_package_id").write_text("1\n")
    (cpu / "thermal_throttle/package_throttle_count").write_text("5\n")
    assert throttle_count(root) == 17


def test_without_a_count_of_packages_the_cores_are_counted(recorded: Recorded) -> None:
    root = recorded("laptop")
    for file in root.glob("sys/devices/system/cpu/cpu*/thermal_throttle/package_throttle_count"):
        file.unlink()
    assert throttle_count(root) == 0 + 0 + 3 + 3
    for folder in root.glob("sys/devices/system/cpu/cpu*/thermal_throttle"):
        shutil.rmtree(folder)
    with pytest.raises(NotMeasurable, match="does not tell whether"):
        throttle_count(root)
