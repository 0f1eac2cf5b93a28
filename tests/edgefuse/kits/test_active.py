"""Which kit is used when none is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgefuse.answering.device_key import device_key
from edgefuse.kits.active import activate, find_kit
from edgefuse_runtimes.errors import BadInput


def test_without_any_the_sentence_names_all_three_ways() -> None:
    with pytest.raises(BadInput, match=r"--kit KIT, set EDGEFUSE_KIT, or .*kits install"):
        find_kit()


def test_the_environment_comes_before_the_active_kit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    activate(tmp_path / "active.kit")
    assert find_kit() == tmp_path / "active.kit"
    monkeypatch.setenv("EDGEFUSE_KIT", "named.kit")
    assert find_kit() == Path("named.kit")


def test_a_user_without_a_home_has_no_active_kit_and_no_device_key(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(BadInput, match="No kit is named"):
        find_kit()
    assert device_key() is None
