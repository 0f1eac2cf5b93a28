"""Which processors an installer is proven on; the proof itself is `make proof-arm` and `make proof-old-x86`."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgefuse_packaging import proof
from edgefuse_packaging.root import EMULATORS, Root, missing_tools

OTHER = next(machine for machine in EMULATORS if machine != platform.machine())


@pytest.fixture
def installed(tmp_path: Path) -> Root:
    """A root whose user has an installation; its Python is a link, as a virtual environment's is."""
    root = Root(tmp_path)
    version = root.outside(root.home / proof.HOME) / "versions" / "1"
    (version / "bin").mkdir(parents=True)
    (version / "bin" / "python").symlink_to("/usr/bin/python3.11")
    (version.parent.parent / "current").symlink_to(Path("versions", "1"))
    return root


def test_this_machines_own_processor_runs_what_is_installed_as_it_is(installed: Root) -> None:
    with proof._emulated(installed, platform.machine(), proof.NATIVE) as environment:
        assert environment == {}
        python = installed.outside(installed.home / proof.HOME) / "versions" / "1" / "bin" / "python"
        assert str(python.readlink()) == "/usr/bin/python3.11"


def test_the_kernels_emulator_is_told_the_processor(installed: Root) -> None:
    with proof._emulated(installed, OTHER, "some-cpu") as environment:
        assert environment == {"QEMU_CPU": "some-cpu"}


def test_native_needs_no_emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda tool, path: None if tool.startswith("qemu") else tool)

    assert missing_tools(OTHER, emulated=True) == [EMULATORS[OTHER]]
    assert missing_tools(OTHER, emulated=False) == []


def test_native_is_no_other_machines_processor(tmp_path: Path) -> None:
    done = CliRunner().invoke(proof.main, [str(tmp_path), "--machine", OTHER, "--processor", "native"])

    assert done.exit_code == 2
    assert f"The native processor is this machine's, {platform.machine()}, and not {OTHER}." in done.output
