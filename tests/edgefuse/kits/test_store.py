"""Versions, and names that become folders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefuse.home import home
from edgefuse.kits.installing import install
from edgefuse.kits.store import (
    installed,
    kits_folder,
    locked_store,
    objects_folder,
    remove,
    rollback,
    switch,
    version_folder,
    version_key,
)
from edgefuse_runtimes.errors import BadInput


def test_versions_are_compared_as_people_do() -> None:
    shuffled = ["1.10", "1.0-rc1", "2026-12-01", "0.9", "2", "1.0.1", "2026-11-28", "1.0", "1.2"]
    rising = ["0.9", "1.0-rc1", "1.0", "1.0.1", "1.2", "1.10", "2", "2026-11-28", "2026-12-01"]
    assert sorted(shuffled, key=version_key) == rising


@given(st.text(min_size=1, max_size=60), st.text(min_size=1, max_size=60))
def test_no_name_leads_out_of_the_store(name: str, version: str) -> None:
    try:
        folder = version_folder(name, version)
    except BadInput:
        return
    assert folder.parent.parent == kits_folder()
    assert not folder.name.startswith(".")
    assert set(f"{folder.name}{folder.parent.name}").isdisjoint("/\\\0 \n")


def test_different_names_have_different_folders() -> None:
    names = ["a b", "a%20b", "a/b", "..", ".", "%2E", "a", "å"]
    assert len({version_folder(name, "1") for name in names}) == len(names)


def test_remove_takes_a_version_or_all_and_only_what_nobody_needs(bring: Callable[..., Path], fingerprint: str) -> None:
    for version in ("1", "2", "3"):
        install(bring(version), fingerprint=fingerprint)
    tuned = kits_folder() / "tiny" / "1.tuned.json"
    tuned.write_text("{}")
    with pytest.raises(BadInput, match="Version 3 of the kit tiny is in use"):
        remove("tiny", "3")
    remove("tiny", "1")
    assert not tuned.exists()
    assert [item.record.version for item in installed()] == ["2", "3"]
    assert rollback("tiny").record.version == "2"
    with pytest.raises(BadInput, match="No version of the kit tiny was installed before 2; it stays"):
        rollback("tiny")
    remove("tiny")
    assert installed() == []
    assert list(objects_folder().iterdir()) == []
    assert sorted(path.name for path in home().iterdir()) == ["kits", "objects", "trusted_keys"]


def test_what_is_not_installed_is_named_beside_what_is(bring: Callable[..., Path], fingerprint: str) -> None:
    with pytest.raises(BadInput, match=r"No kit 'tiny' is installed \(installed: none\)"):
        switch("tiny")
    install(bring(), fingerprint=fingerprint)
    with pytest.raises(BadInput, match=r"No kit 'tin' is installed \(installed: tiny\)"):
        switch("tin")
    with pytest.raises(BadInput, match=r"not installed in version '2' \(installed: 1\)"):
        switch("tiny", "2")


def test_what_a_killed_process_left_is_cleared_by_the_next_one() -> None:
    (kits_folder() / "tiny" / ".2.part" / "whole").mkdir(parents=True)
    (kits_folder() / "tiny" / ".1.gone").mkdir()
    objects_folder().mkdir()
    for path in (kits_folder() / "tiny" / ".current.1e79.part", objects_folder() / ".abc.12.part"):
        path.write_bytes(b"half")
    with locked_store():
        assert list((kits_folder() / "tiny").iterdir()) == []
        assert list(objects_folder().iterdir()) == []
