"""Encoders' files on a worker: found by their content, sent in pieces, never half there."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from edgefuse.kits.encoders import Encoders
from edgefuse.scheduling import store
from edgefuse.scheduling.store import SHARED, files_of, find, receive
from edgefuse_runtimes.errors import BadInput


@pytest.fixture
def files(tiny_encoders: Path) -> tuple[store.File, ...]:
    encoders = Encoders.open(tiny_encoders)
    return files_of(encoders, encoders.text)


def send(folder: Path, files: tuple[store.File, ...], *, upto: int | None = None, piece: int = 7000) -> None:
    for file in files[:upto]:
        data = (folder / file.name).read_bytes()
        for offset in range(0, len(data), piece):
            receive(files, file, "token", offset, data[offset : offset + piece])


def test_a_worker_needs_the_file_and_what_engines_are_tried_on(files: tuple[store.File, ...]) -> None:
    assert [file.name for file in files] == ["text.gguf", "golden.npz", "golden/0.txt"]


def test_a_folder_is_known_by_its_content(
    files: tuple[store.File, ...], tiny_encoders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find(files, None) is None
    assert find(files, str(tiny_encoders)) == tiny_encoders
    shutil.copytree(tiny_encoders, tmp_path / "a" / "some name")
    shutil.copytree(tiny_encoders, tmp_path / "b" / "other")
    assert find(files, str(tmp_path / "a")) == tmp_path / "a" / "some name"
    damaged = tmp_path / "b" / "other" / "text.gguf"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    assert find(files, str(tmp_path / "b")) is None
    assert find(files, str(tmp_path / "nowhere")) is None
    monkeypatch.setenv(SHARED, str(tmp_path / "a"))
    assert find(files, None) == tmp_path / "a" / "some name"


def test_a_file_is_hashed_once(
    files: tuple[store.File, ...], tiny_encoders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = Path(shutil.copytree(tiny_encoders, tmp_path / "E"))
    hashed = []
    real = store.sha256
    monkeypatch.setattr(store, "sha256", lambda path: hashed.append(path.name) or real(path))
    assert find(files, str(copy)) == find(files, str(copy)) == copy
    assert sorted(hashed) == ["0.txt", "golden.npz", "text.gguf"]
    os.utime(copy / "text.gguf", (1, 1))
    assert find(files, str(copy)) == copy
    assert hashed.count("text.gguf") == 2


def test_what_was_sent_is_found(files: tuple[store.File, ...], tiny_encoders: Path) -> None:
    send(tiny_encoders, files, upto=2)
    assert find(files, None) is None
    send(tiny_encoders, files)
    folder = find(files, None)
    assert folder == store.store(files)
    for file in files:
        assert (folder / file.name).read_bytes() == (tiny_encoders / file.name).read_bytes()
    assert not list(folder.rglob(".*"))


def test_what_came_over_damaged_is_not_kept(files: tuple[store.File, ...], tiny_encoders: Path) -> None:
    data = bytearray((tiny_encoders / files[0].name).read_bytes())
    data[100] ^= 1
    with pytest.raises(BadInput, match="came over damaged"):
        receive(files, files[0], "token", 0, bytes(data))
    assert not [path for path in store.store(files).rglob("*") if path.is_file()]


def test_what_a_sending_left_is_removed_by_the_next_one(files: tuple[store.File, ...], tiny_encoders: Path) -> None:
    first, folder = files[0], store.store(files)
    for token in ("ended", "running"):
        receive(files, first, token, 0, b"a piece")
    ended = folder / f".{first.name}.ended.part"
    os.utime(ended, (1, 1))
    send(tiny_encoders, files)
    assert not ended.exists()
    assert (folder / f".{first.name}.running.part").exists()
