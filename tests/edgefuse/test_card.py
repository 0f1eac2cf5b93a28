"""The machine card, on recorded machines and on this one."""

from __future__ import annotations

import platform
from pathlib import Path

import numpy as np
import psutil

from edgefuse.card import cpu_name, machine_card

PI_4 = """processor\t: 0
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd08
CPU revision\t: 3
"""
LAPTOP = "processor\t: 0\nmodel name\t: Intel(R) Core(TM) i5-4210U CPU @ 1.70GHz\nflags\t\t: fpu avx2\n"


def machine(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_DOT_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_the_name_of_the_processor(tmp_path) -> None:
    assert cpu_name(machine(tmp_path / "pi", proc__cpuinfo=PI_4)) == "Arm implementer 0x41 part 0xd08"
    assert cpu_name(machine(tmp_path / "old", proc__cpuinfo=LAPTOP)) == "Intel(R) Core(TM) i5-4210U CPU @ 1.70GHz"


def test_a_raspberry_pi_says_its_board(tmp_path) -> None:
    root = machine(tmp_path, proc__cpuinfo=PI_4, etc__os_release="")
    (root / "proc" / "device-tree").mkdir()
    (root / "proc" / "device-tree" / "model").write_text("Raspberry Pi 4 Model B Rev 1.4\0")
    (root / "etc" / "os-release").write_text('NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n')

    card = machine_card(root)

    assert card["board"] == "Raspberry Pi 4 Model B Rev 1.4"
    assert card["system"] == "Debian GNU/Linux 12 (bookworm)"


def test_the_card_of_this_machine(monkeypatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")

    card = machine_card()

    assert card["ram_bytes"] == psutil.virtual_memory().total
    assert card["python"] == platform.python_version()
    assert card["libraries"]["numpy"] == np.__version__
    assert card["settings"]["OMP_NUM_THREADS"] == "3"
    assert 1 <= card["physical_cores"] <= card["logical_cores"]
