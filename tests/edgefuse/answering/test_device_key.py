"""The secret by which inputs are named."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgefuse.answering.device_key import BYTES, device_key

TELL = "from edgefuse.answering.device_key import device_key; print(device_key().hex())"


@pytest.fixture
def path() -> Path:
    return Path(os.environ["XDG_DATA_HOME"]) / "edgefuse" / "device-key"


def test_it_is_made_once_for_its_owner_only(path: Path) -> None:
    key = device_key()
    assert key is not None
    assert len(key) == BYTES
    assert device_key() == key == path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["device-key"]


def test_another_device_has_another(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    key = device_key()
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert device_key() != key


def test_processes_that_begin_together_agree() -> None:
    children = [subprocess.Popen([sys.executable, "-c", TELL], stdout=subprocess.PIPE, text=True) for _ in range(4)]
    keys = {child.communicate()[0].strip() for child in children}
    assert keys == {(device_key() or b"").hex()}


def test_a_key_that_others_could_read_is_closed(path: Path) -> None:
    key = device_key()
    path.chmod(0o644)
    assert device_key() == key
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"short", bytes(BYTES + 1)])
def test_half_a_key_is_replaced(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    key = device_key()
    assert key == path.read_bytes()
    assert len(key) == BYTES


def test_on_a_file_system_without_hard_links_it_is_made_too(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: str, target: Path) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    key = device_key()
    assert key is not None
    assert device_key() == key == path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["device-key"]


def test_a_user_without_a_home_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setattr(Path, "home", no_home)
    assert device_key() is None


def no_home() -> Path:
    raise RuntimeError("Could not determine home directory.")


def test_where_nothing_can_be_written_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/proc/nowhere")
    assert device_key() is None
