"""Emulated processors are told from real ones, on recorded machines and with qemu where it is installed."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edgefuse_runtimes.emulation import emulation

pytestmark = pytest.mark.field

Recorded = Callable[[str], Path]


def process(root: Path, told: str, real: str) -> Path:
    """With the two names by which the kernel, or an emulator, calls a process's program."""
    for name, target in (("self", told), ("thread-self", real)):
        (root / "proc" / name).mkdir(parents=True)
        (root / "proc" / name / "exe").symlink_to(target)
    return root


@pytest.mark.parametrize(
    ("machine", "architecture"),
    [("pi4", "aarch64"), ("pi5", "aarch64"), ("laptop", "x86_64"), ("cloud_vm", "x86_64"), ("pi4", "armv7l")],
)
def test_real_machines_are_real(recorded: Recorded, machine: str, architecture: str) -> None:
    root = recorded(machine)
    assert emulation(root, architecture) == ""
    assert emulation(process(root, "/usr/bin/python3.11", "/usr/bin/python3.11"), architecture) == ""


def test_an_emulator_shows_in_the_threads_own_program(recorded: Recorded) -> None:
    root = process(recorded("pi4"), "/usr/bin/python3.11", "/usr/bin/qemu-aarch64-static")
    assert emulation(root, "aarch64").startswith("The kernel runs /usr/bin/qemu-aarch64-static in the place of this")


def test_an_emulator_that_hides_nothing(recorded: Recorded) -> None:
    root = process(recorded("laptop"), "/usr/bin/qemu-x86_64-static", "/usr/bin/qemu-x86_64-static")
    assert "is emulated" in emulation(root, "x86_64")


@pytest.mark.parametrize(
    ("machine", "architecture", "described"),
    [
        ("cloud_vm", "aarch64", "an x86 processor"),
        ("laptop", "aarch64", "an x86"),
        ("pi5", "x86_64", "an Arm processor"),
    ],
)
def test_another_processors_description(recorded: Recorded, machine: str, architecture: str, described: str) -> None:
    assert described in emulation(recorded(machine), architecture)


@pytest.mark.parametrize(
    ("text", "architecture"),
    [
        ("vendor_id\t: AuthenticAMD\nmodel name\t: QEMU Virtual CPU version 2.5+\n", "x86_64"),
        ("vendor_id\t: VirtualApple\nmodel name\t: VirtualApple @ 2.50GHz processor\n", "x86_64"),
        ("CPU implementer\t: 0x00\nCPU part\t: 0x051\n", "aarch64"),
    ],
)
def test_processors_that_emulators_invent(tmp_path: Path, text: str, architecture: str) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text(text)
    assert emulation(tmp_path, architecture).startswith("The processor calls itself ")


def test_a_system_that_tells_nothing_is_not_accused(tmp_path: Path) -> None:
    assert emulation(tmp_path, "aarch64") == ""


def test_under_qemu_this_very_python_is_emulated() -> None:
    emulator = shutil.which(f"qemu-{platform.machine()}-static")
    if emulator is None:
        pytest.skip(f"needs qemu-{platform.machine()}-static (Debian: qemu-user-static)")
    script = "from edgefuse_runtimes.emulation import emulation; print(emulation())"
    command = [emulator, os.path.realpath(sys.executable), "-c", script]
    paths = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | {"PYTHONPATH": paths})
    assert f"The kernel runs {os.path.realpath(emulator)}" in done.stdout
