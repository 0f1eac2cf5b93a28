"""A file is whole or absent, whatever happens while it is written."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest
from crashes import Crash, crash, killed_child

from edgefuse_runtimes import files
from edgefuse_runtimes.errors import BadInput

pytestmark = pytest.mark.field

OLD, NEW = b"old" * 1000, b"new" * 2000


def test_write_bytes_makes_folders_and_replaces(tmp_path) -> None:
    path = tmp_path / "a" / "b" / "file"
    files.write_bytes(path, OLD)
    files.write_bytes(path, NEW)

    assert path.read_bytes() == NEW
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("path", [Path(), Path("a/.."), Path("/")])
def test_what_has_no_name_cannot_be_written(path, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match="names nothing that could be made"):
        files.write_bytes(path, NEW)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_stays_and_is_told_by_its_name(tmp_path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError) as refused:
        files.write_bytes(tmp_path / "folder", NEW)
    assert refused.value.filename == str(tmp_path / "folder")
    assert list(tmp_path.iterdir()) == [tmp_path / "folder"]


def test_other_users_may_read_as_the_umask_says(tmp_path) -> None:
    before = os.umask(0o027)
    try:
        files.write_bytes(tmp_path / "file", NEW)
    finally:
        os.umask(before)

    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("existing", [OLD, None])
@pytest.mark.parametrize("step", ["os.fsync", "pathlib.Path.replace"])
def test_an_exception_before_the_rename_leaves_the_old_file_or_none(existing, step, tmp_path, monkeypatch) -> None:
    path = tmp_path / "file"
    if existing:
        path.write_bytes(existing)
    monkeypatch.setattr(step, crash)

    with pytest.raises(Crash):
        files.write_bytes(path, NEW)

    monkeypatch.undo()
    assert [entry.read_bytes() for entry in tmp_path.iterdir()] == ([existing] if existing else [])


def test_ctrl_c_in_the_moment_the_file_is_made_leaves_nothing_beside_it(tmp_path, monkeypatch) -> None:
    def interrupted(function):  # a signal that came during the system call is seen as soon as Python runs again
        def call(*arguments, **options):
            function(*arguments, **options)
            raise KeyboardInterrupt

        return call

    monkeypatch.setattr(os, "open", interrupted(os.open))
    monkeypatch.setattr(Path, "open", interrupted(Path.open))
    with pytest.raises(KeyboardInterrupt):
        files.write_bytes(tmp_path / "file", NEW)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("existing", [OLD, None])
@pytest.mark.parametrize("step", ["os.fsync", "Path.replace"])
def test_a_power_cut_before_the_rename_leaves_the_old_file_or_none(existing, step, tmp_path) -> None:
    path = tmp_path / "file"
    if existing:
        path.write_bytes(existing)

    killed_child(f"{step} = power_cut; files.write_bytes(folder / 'file', b'new' * 2000)", tmp_path)

    assert (path.read_bytes() if path.exists() else None) == existing


def test_a_power_cut_after_the_rename_leaves_the_new_file(tmp_path) -> None:
    (tmp_path / "file").write_bytes(OLD)

    killed_child("files.sync_folder = power_cut; files.write_bytes(folder / 'file', b'new' * 2000)", tmp_path)

    assert (tmp_path / "file").read_bytes() == NEW


def test_what_is_renamed_was_synced_before_and_its_folder_after(tmp_path, monkeypatch) -> None:
    steps: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def watched_fsync(handle: int) -> None:
        steps.append("sync " + Path(f"/proc/self/fd/{handle}").readlink().suffix)
        fsync(handle)

    def watched_replace(self: Path, target: Path) -> Path:
        steps.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(Path, "replace", watched_replace)
    files.write_bytes(tmp_path / "file", NEW)

    assert steps == ["sync .part", "rename", "sync "]


def test_write_json_is_utf8_and_refuses_nan(tmp_path) -> None:
    path = tmp_path / "value.json"
    files.write_json(path, {"name": "hígado", "values": [1, 2.5, None]})

    assert path.read_text(encoding="utf-8").endswith("}\n")
    assert "hígado" in path.read_text(encoding="utf-8")
    assert json.loads(path.read_bytes()) == {"name": "hígado", "values": [1, 2.5, None]}
    with pytest.raises(ValueError, match="JSON"):
        files.write_json(path, float("nan"))
    assert json.loads(path.read_bytes())["name"] == "hígado"


def test_sha256_equals_hashlib(tmp_path) -> None:
    path = tmp_path / "file"
    path.write_bytes(os.urandom(1_000_003))

    assert files.sha256(path) == hashlib.sha256(path.read_bytes()).hexdigest()


def test_read_json_gives_the_object(tmp_path) -> None:
    (tmp_path / "a.json").write_text('{"a": [1, "ä"]}', encoding="utf-8")
    assert files.read_json(tmp_path / "a.json", "fetch it again") == {"a": [1, "ä"]}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (None, "is missing"),
        (b"", "cannot be read as JSON"),
        (b"{", "cannot be read as JSON"),
        (b"\xff{}", "cannot be read as JSON"),
        (b"[" * 100_000, "cannot be read as JSON"),
        (b"[]", "holds no JSON object"),
    ],
)
def test_read_json_says_what_is_wrong_and_what_to_do(data, said, tmp_path) -> None:
    if data is not None:
        (tmp_path / "a.json").write_bytes(data)
    with pytest.raises(BadInput, match=rf"a\.json .*{said}.*; fetch it again\.$"):
        files.read_json(tmp_path / "a.json", "fetch it again")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, r"is no head \(no head\.json\); make one with 'edgefuse train'"),
        ("{", "is damaged"),
        ("{}", "names no schema"),
        ('{"schema": 2}', "has schema 2, this edgefuse reads 1; make it again with 'edgefuse train'"),
    ],
)
def test_read_versioned_refuses_what_is_not_of_this_schema(text, said, tmp_path) -> None:
    if text is not None:
        (tmp_path / "head.json").write_text(text)
    with pytest.raises(BadInput, match=said):
        files.read_versioned(tmp_path / "head.json", 1, what="no head", verb="train")


def test_the_names_of_new_folders_are_on_the_disk_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(files, "sync_folder", synced.append)
    files.write_bytes(tmp_path / "a" / "b" / "c", b"x")
    assert synced == [tmp_path, tmp_path / "a", tmp_path / "a" / "b"]
    files.make_folder(tmp_path / "private", 0o700)
    assert (tmp_path / "private").stat().st_mode & 0o777 == 0o700
    with pytest.raises(FileExistsError):
        files.make_folder(tmp_path / "a" / "b" / "c")
