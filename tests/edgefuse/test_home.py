"""Where edgefuse keeps what must not be lost."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from edgefuse.home import closed_to_others, home, installation


def test_the_named_folder_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEFUSE_HOME", str(tmp_path / "stick"))
    assert home() == tmp_path / "stick"


def test_else_it_is_in_the_users_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert home() == tmp_path / "edgefuse"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert home() == tmp_path / ".local" / "share" / "edgefuse"


def test_an_installation_is_known_through_the_link_that_it_is_started_by(
    everyones_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", str(everyones_root / "current"))
    assert installation() == everyones_root

    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    assert installation() is None


@pytest.mark.parametrize(("umask", "is_everyones", "mode"), [
    (0o077, True, 0o644), (0o077, False, 0o600), (0o000, True, 0o644), (0o000, False, 0o644),
])  # fmt: skip
def test_others_may_never_write_and_all_may_read_what_is_for_everyone(
    everyones_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, umask: int, is_everyones: bool, mode: int
) -> None:
    monkeypatch.setattr(sys, "prefix", str(everyones_root / "current"))
    monkeypatch.setenv("EDGEFUSE_HOME", str(everyones_root if is_everyones else tmp_path / "mine"))
    before = os.umask(umask)
    try:
        with closed_to_others():
            (tmp_path / "file").touch()
        assert os.umask(umask) == umask
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == mode
