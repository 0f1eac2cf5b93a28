"""Which kit is used when none is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgefuse.active import activate, find_kit
from edgefuse_runtimes.errors import BadInput


def test_without_any_the_sentence_names_all_three_ways() -> None:
    with pytest.raises(BadInput, match=r"--kit KIT, set EDGEFUSE_KIT, or .*kits use"):
        find_kit()


def test_the_environment_comes_before_the_active_kit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    activate(tmp_path / "active.kit")
    assert find_kit() == tmp_path / "active.kit"
    monkeypatch.setenv("EDGEFUSE_KIT", "named.kit")
    assert find_kit() == Path("named.kit")
