"""The machine card, on recorded machines and on this one."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest

from edgefuse.card import machine_card, machine_words
from edgefuse_runtimes.machine import physical_cores

Recorded = Callable[[str], Path]

EXPECTED = {
    "pi4": {
        "board": "Raspberry Pi 4 Model B Rev 1.1",
        "cpu": "Cortex-A72",
        "architecture": "aarch64",
        "features": ["NEON"],
        "physical_cores": 4,
        "logical_cores": 4,
        "clock_driver": "cpufreq-dt",
        "governor": "ondemand",
        "min_mhz": 600,
        "max_mhz": 1500,
        "ram_bytes": 3_885_400 * 1024,
        "virtual": False,
        "system": "Debian GNU/Linux 12 (bookworm)",
    },
    "pi5": {
        "board": "Raspberry Pi 5 Model B Rev 1.0",
        "cpu": "Cortex-A76",
        "architecture": "aarch64",
        "features": ["NEON", "NEON half precision", "dot product"],
        "physical_cores": 4,
        "max_mhz": 2400,
        "virtual": False,
    },
    "laptop": {
        "board": "LENOVO 20ARS0AB00",
        "cpu": "Intel(R) Core(TM) i5-4210U CPU @ 1.70GHz",
        "architecture": "x86_64",
        "features": ["SSE4.2", "AVX", "F16C", "FMA", "AVX2"],
        "physical_cores": 2,
        "logical_cores": 4,
        "clock_driver": "intel_pstate",
        "governor": "powersave",
        "virtual": False,
        "system": "Ubuntu 22.04.5 LTS",
    },
    "cloud_vm": {
        "board": None,
        "cpu": "AMD EPYC",
        "architecture": "x86_64",
        "governor": None,
        "max_mhz": None,
        "ram_bytes": 24_684_084 * 1024,
        "virtual": True,
    },
}


@pytest.mark.parametrize("machine", EXPECTED)
def test_the_card_of_a_recorded_machine(recorded: Recorded, machine: str) -> None:
    expected = EXPECTED[machine]
    card = json.loads(json.dumps(machine_card(recorded(machine), expected["architecture"])))
    assert {name: card[name] for name in expected} == expected
    assert (card["emulated"], card["emulation"]) == (False, "")


def test_an_emulated_machine_says_so(recorded: Recorded) -> None:
    card = machine_card(recorded("cloud_vm"), "aarch64")
    assert card["emulated"]
    assert "runs as aarch64" in card["emulation"]


def test_the_card_of_this_machine(monkeypatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")

    card = machine_card()

    assert card["ram_bytes"] == psutil.virtual_memory().total
    assert card["python"] == platform.python_version()
    assert card["libraries"]["numpy"] == np.__version__
    assert card["settings"]["OMP_NUM_THREADS"] == "3"
    assert 1 <= card["physical_cores"] <= card["logical_cores"]
    assert card["physical_cores"] == physical_cores()


def test_a_machine_in_a_few_words() -> None:
    card = machine_card()
    words = machine_words()
    assert words.startswith(card["cpu"])
    assert f"{card['physical_cores']} cores, {card['ram_bytes'] / 2**30:.0f} GiB" in words
