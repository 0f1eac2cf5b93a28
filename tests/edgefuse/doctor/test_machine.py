"""What the doctor reads of a machine's sensors, on recorded machines and on this one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgefuse.card import machine_card
from edgefuse.doctor.machine import machine, sensors
from edgefuse_runtimes.machine import AvailableMemory

Recorded = Callable[[str], Path]

SENSORS = {
    "pi4": {
        "temperature": {"celsius": 80.6, "slows_down_at": 80.0},
        "clock": {"mhz": 1141.118},
        "throttling": {"now": ["clock capped"], "since_start": ["clock capped", "throttled"]},
    },
    "pi5": {
        "temperature": {"celsius": 59.3, "slows_down_at": 80.0},
        "clock": {"mhz": 2400.023808},
        "throttling": {"now": [], "since_start": []},
    },
    "laptop": {
        "temperature": {"celsius": 55.0, "slows_down_at": 100.0},
        "clock": {"mhz": 2304.05},
        "throttling": {"times": 12},
    },
}


@pytest.mark.parametrize("name", SENSORS)
def test_what_sensors_say_now(recorded: Recorded, name: str) -> None:
    assert sensors(recorded(name)) == SENSORS[name]


def test_a_virtual_machine_says_why_nothing_is_measurable(recorded: Recorded) -> None:
    for said in sensors(recorded("cloud_vm")).values():
        assert set(said) == {"not_measurable"}
        assert said["not_measurable"].endswith(".")


def test_the_machine_is_its_card_and_what_is_left_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgefuse.doctor.machine.available_memory", lambda: AvailableMemory(5 << 20, "a control group"))
    found: dict[str, Any] = machine()
    card = machine_card()
    assert {name: found[name] for name in card} == card
    assert found["available_bytes"] == 5 << 20


def test_where_answers_would_be_stored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EDGEFUSE_HOME", str(tmp_path / "not" / "yet"))
    assert machine()["answers"] == {"folder": str(tmp_path), "writable": True}
    monkeypatch.setattr("os.access", lambda folder, mode: False)
    assert machine()["answers"] == {"folder": str(tmp_path), "writable": False}
