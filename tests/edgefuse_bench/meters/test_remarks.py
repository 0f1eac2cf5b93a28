"""What readings mean for a run, in sentences."""

from __future__ import annotations

from typing import Any

import pytest

from edgefuse_bench.meters import remarks


def result(name: str, *values: Any, **info: Any) -> dict[str, Any]:
    readings = [{"t_ns": index * 10**9, "value": value} for index, value in enumerate(values)]
    return {"name": name, "unit": "", "info": info, "readings": readings}


@pytest.mark.parametrize("bits", [(0, 0, 0), (0, 0x4, 0x40000)])
def test_nothing_is_said_of_a_machine_that_was_well(bits: tuple[int, ...]) -> None:
    well = result("throttling", *bits)
    assert bool(remarks([well])) == any(bits)
    assert remarks([result("temperature", 79.9, slows_down_at=80.0), result("throttle count", 4, 4)]) == []
    assert remarks([{"name": "temperature", "not_measurable": "There is none."}, result("clock", 600.0)]) == []


@pytest.mark.parametrize(
    ("bits", "said"),
    [
        ((0, 0x50005, 0x50000), "(under-voltage, throttled)"),
        ((0, 0x50005, 0x50000), "with a stronger power supply."),
        ((0, 0x80008, 0), "with better cooling."),
        ((0, 0x50005, 0xD000D), "with a stronger power supply and better cooling."),
        ((0x60002, 0x60002), "(clock capped)"),
        ((0x0, 0x20000), "(clock capped)"),  # between two readings
    ],
)
def test_throttling_during_the_run(bits: tuple[int, ...], said: str) -> None:
    sentence = remarks([result("throttling", *bits)])[0]
    assert sentence.startswith("The machine was slowed down during the run (")
    assert said in sentence


def test_throttling_before_the_run_is_told_apart() -> None:
    assert remarks([result("throttling", 0x50000, 0x50000)]) == [
        "Before this run, since it was started, the machine had: under-voltage, throttled."
    ]


def test_a_processor_that_counts() -> None:
    (sentence,) = remarks([result("throttle count", 12, 12, 15)])
    assert sentence.startswith("Heat slowed the processor down 3 times during the run")


def test_heat_without_throttle_bits() -> None:
    (sentence,) = remarks([result("temperature", 60.0, 81.2, 80.0, slows_down_at=80.0)])
    assert sentence.startswith("The processor reached 81 °C; from 80 °C on it slows down")
    assert remarks([result("temperature", 99.0, slows_down_at=None)]) == []


def test_a_machine_on_its_battery() -> None:
    (sentence,) = remarks([result("battery power", 19.2, 18.9)])
    assert sentence.startswith("The machine ran on its battery")


def test_without_readings_there_is_nothing_to_say() -> None:
    assert remarks([result("throttling"), result("temperature", slows_down_at=80.0)]) == []
