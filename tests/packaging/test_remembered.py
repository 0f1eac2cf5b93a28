"""A kit that this device has to refuse is known before it is unpacked, by the same rules as edgefuse's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefuse.kits import store
from edgefuse.kits.highest import highest_version
from edgefuse.kits.installing import install
from edgefuse_packaging.device.refused import Refused
from edgefuse_packaging.device.remembered import require_not_older, version_key


@given(st.text() | st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,3}){0,3}(-?(rc|beta)[0-9]?)?", fullmatch=True))
def test_versions_are_compared_as_edgefuse_does(version: str) -> None:
    assert version_key(version) == store.version_key(version)


@pytest.fixture
def root(tiny_kit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where edgefuse installed version 1 of a kit."""
    monkeypatch.setenv("EDGEFUSE_HOME", str(tmp_path / "root"))
    install(tiny_kit, allow_unsigned=True)
    assert highest_version("tiny") == "1"
    return tmp_path / "root"


def facts(kit: Path, **more: str) -> dict[str, Any]:
    manifest = json.loads((kit / "kit.json").read_text())
    return {"kit": {name: manifest[name] for name in ("name", "version", "digest")} | more}


def test_the_same_kit_again_and_a_newer_one_are_taken(root: Path, tiny_kit: Path) -> None:
    require_not_older(root, facts(tiny_kit))
    require_not_older(root, facts(tiny_kit, version="1.0.1", digest="00"))
    require_not_older(root, facts(tiny_kit, name="another", version="0"))
    require_not_older(root / "missing", facts(tiny_kit, version="0"))


def test_an_older_one_and_another_one_of_the_same_version_are_refused(root: Path, tiny_kit: Path) -> None:
    with pytest.raises(Refused, match=r"^the kit tiny 0\.9 is older than version 1, .*; add --allow-downgrade if you "):
        require_not_older(root, facts(tiny_kit, version="0.9"))
    with pytest.raises(
        Refused, match=r"^another kit tiny 1 is installed already, with other content; .* 'edgefuse kits "
    ):
        require_not_older(root, facts(tiny_kit, digest="00"))


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"versions": 1}', "\xff"])
def test_what_is_damaged_is_never_passed_over(root: Path, tiny_kit: Path, content: str) -> None:
    (root / "kits" / "highest.json").write_text(content, encoding="latin-1")
    with pytest.raises(Refused, match=r"highest\.json is damaged; remove it, and mind yourself"):
        require_not_older(root, facts(tiny_kit))


@pytest.mark.parametrize("content", ["", "[]", "{}"])
def test_a_damaged_record_is_none(root: Path, tiny_kit: Path, content: str) -> None:
    (record,) = (root / "kits" / "tiny").glob("*.installed.json")
    record.write_text(content)
    require_not_older(root, facts(tiny_kit, digest="00"))
