"""The kernel is told once which program runs those of another processor."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgefuse_packaging import root
from edgefuse_runtimes.errors import BadInput


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What stands for the kernel's folder; nothing is registered."""
    formats, known = tmp_path / "binfmt_misc", tmp_path / "binfmt.d"
    formats.mkdir()
    known.mkdir()
    (formats / "register").touch()
    (known / "qemu-riscv64.conf").write_text(":qemu-riscv64:M::magic:mask:/emulator:F\n")
    monkeypatch.setattr(root, "BINARY_FORMATS", formats)
    monkeypatch.setattr(root, "KNOWN_FORMATS", known)
    return formats


def test_an_emulator_is_registered(kernel: Path) -> None:
    root.register_emulator("riscv64")
    assert (kernel / "register").read_text() == ":qemu-riscv64:M::magic:mask:/emulator:F"


def test_a_registered_one_is_left_alone(kernel: Path) -> None:
    (kernel / "qemu-riscv64").touch()
    root.register_emulator("riscv64")
    assert (kernel / "register").read_text() == ""


def test_where_the_emulator_is_not_installed_a_sentence_says_so(kernel: Path) -> None:
    with pytest.raises(BadInput, match="with qemu-user-static installed"):
        root.register_emulator("loongarch64")
