"""The doctor's page, of described reports."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from edgefuse.card import machine_card
from edgefuse.doctor.examination import examine
from edgefuse.doctor.machine import sensors
from edgefuse.doctor.page import MARKS, render
from edgefuse.platforms import this_platform

Recorded = Callable[[str], Path]


@pytest.mark.parametrize("unicode", [True, False])
def test_every_state_has_a_mark(unicode: bool, tiny_kit: Path) -> None:
    found = examine(this_platform(), tiny_kit)
    engine = found["kit"]["encoders"][0]["engines"][0]
    for state in MARKS:
        page = render(found | {"kit": found["kit"] | {"encoders": [
            found["kit"]["encoders"][0] | {"engines": [engine | {"state": state, "reason": "why " * 60}]}
        ]}}, unicode=unicode)  # fmt: skip
        assert MARKS[state][0 if unicode else 1] in page
        assert unicode or page.isascii()


def page(root: Path, architecture: str, *, unicode: bool = True, **changes: Any) -> list[str]:
    """Of a recorded machine without a kit, blanks and colours taken out."""
    found = examine(this_platform(), None)
    machine = found["machine"] | machine_card(root, architecture) | {"sensors": sensors(root)} | changes
    shown = click.unstyle(render(found | {"machine": machine}, unicode=unicode))
    return [" ".join(line.split()) for line in shown.splitlines()]


def test_a_hot_raspberry_pi(recorded: Recorded) -> None:
    shown = page(recorded("pi4"), "aarch64")
    assert "board Raspberry Pi 4 Model B Rev 1.1" in shown
    assert "processor Cortex-A72 (aarch64), 4 cores" in shown
    assert "clock 1141 MHz of 600 to 1500 MHz, governor ondemand" in shown
    assert "heat 81 °C; slows down from 80 °C on" in shown
    assert "throttling now clock capped; since the start clock capped, throttled" in shown
    assert not any(line.startswith("emulated") for line in shown)


def test_a_laptop_and_a_terminal_without_unicode(recorded: Recorded) -> None:
    shown = page(recorded("laptop"), "x86_64", unicode=False)
    assert "heat 55 C; slows down from 100 C on" in shown
    assert "throttling 12 times since the start, by heat" in shown
    assert all(line.isascii() for line in shown)


def test_what_is_not_measurable_is_left_out(recorded: Recorded) -> None:
    shown = page(recorded("cloud_vm"), "x86_64")
    assert not any(line.startswith(("clock", "heat", "throttling", "board")) for line in shown)


def test_limits_of_a_control_group(recorded: Recorded) -> None:
    shown = page(recorded("pi5"), "aarch64", cgroup_cores=1.0, cgroup_limit_bytes=512 << 20, available_bytes=500 << 20)
    assert "processor Cortex-A76 (aarch64), 4 cores, limited to the time of 1 core by a control group" in shown
    assert "memory 7.9 GiB, 500 MiB available, limited to 512 MiB by a control group" in shown


def test_an_emulated_processor(recorded: Recorded) -> None:
    shown = " ".join(page(recorded("cloud_vm"), "aarch64"))
    assert "emulated The kernel describes an x86 processor, and this process runs as aarch64: emulated." in shown
    assert "Times say nothing about a real one." in shown
