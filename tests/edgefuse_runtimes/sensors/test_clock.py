"""The cores' clock and how it is chosen, on recorded machines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgefuse_runtimes.sensors import NotMeasurable
from edgefuse_runtimes.sensors.clock import Scaling, firmware_mhz, kernel_mhz, scaling

pytestmark = pytest.mark.field

Recorded = Callable[[str], Path]


def test_the_firmware_tells_what_the_kernel_does_not_know(recorded: Recorded) -> None:
    root = recorded("pi4")
    assert kernel_mhz(root) == 1500  # what it asked for
    assert firmware_mhz(root) == 1141.118  # what it was given in this heat


def test_the_fastest_core_counts(recorded: Recorded) -> None:
    assert kernel_mhz(recorded("laptop")) == 2304.05


def test_how_the_clock_is_chosen(recorded: Recorded) -> None:
    root = recorded("laptop")
    assert scaling(root) == Scaling("intel_pstate", "powersave", 800, 2700)
    (root / "sys/devices/system/cpu/cpufreq/policy3/scaling_governor").write_text("performance\n")
    assert scaling(root).governor == "powersave, performance"


def test_a_virtual_machine_tells_nothing(recorded: Recorded) -> None:
    root = recorded("cloud_vm")
    assert scaling(root) == Scaling(None, None, None, None)
    with pytest.raises(NotMeasurable, match="does not scale the clock"):
        kernel_mhz(root)


def test_another_answer_of_the_firmware_is_no_clock(recorded: Recorded) -> None:
    root = recorded("pi5")
    (root / "vcgencmd/measure_clock_arm").write_text("frequency(0)=fast\n")
    with pytest.raises(NotMeasurable, match="which is no clock"):
        firmware_mhz(root)
