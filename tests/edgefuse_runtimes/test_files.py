"""A file is whole or absent, whatever happens while it is written."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from edgefuse_runtimes import files
from edgefuse_runtimes.errors import BadInput

pytestmark = pytest.mark.field

OLD, NEW = b"old" * 1000, b"new" * 2000


class Crash(BaseException):
    """What no caller expects."""


def crash(*_: object, **__: object) -> None:
    raise Crash


def killed_child(body: str, folder: Path) -> None:
    """Run `body` in a child process that kills itself as by a power cut."""
    prelude = """
        import os, signal, sys
        from pathlib import Path
        from edgefuse_runtimes import files
        folder = Path(sys.argv[1])
        def power_cut(*_, **__):
            os.kill(os.getpid(), signal.SIGKILL)
    """
    code = textwrap.dedent(prelude) + textwrap.dedent(body)
    done = subprocess.run([sys.executable, "-c", code, str(folder)], check=False)
    assert done.returncode == -signal.SIGKILL


def test_write_bytes_makes_folders_and_replaces(tmp_path) -> None:
    path = tmp_path / "a" / "b" / "file"
    files.write_bytes(path, OLD)
    files.write_bytes(path, NEW)

    assert path.read_bytes() == NEW
    assert list(path.parent.iterdir()) == [path]


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


def test_what_a_killed_process_left_is_removed_by_who_writes_next(tmp_path) -> None:
    killed_child("os.fsync = power_cut; files.write_bytes(folder / 'file', b'new' * 2000)", tmp_path)
    (leftover,) = tmp_path.iterdir()
    others = [
        tmp_path / ".file.part",
        tmp_path / ".other.0123456789abcdef.part",
        tmp_path / "file.0123456789abcdef.part",
    ]
    for other in others:
        other.touch()

    files.write_bytes(tmp_path / "file", NEW)

    assert not leftover.exists()
    assert sorted(tmp_path.iterdir()) == sorted([*others, tmp_path / "file"])


def test_what_is_left_meanwhile_where_this_process_wrote_before_is_removed_too(tmp_path) -> None:
    files.write_bytes(tmp_path / "file", OLD)
    for name in ("file", "other"):
        killed_child(f"os.fsync = power_cut; files.write_bytes(folder / {name!r}, b'new' * 2000)", tmp_path)

    files.write_bytes(tmp_path / "file", NEW)
    assert [path.name[:7] for path in tmp_path.glob(".*")] == [".other."]
    files.write_bytes(tmp_path / "other", NEW)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "other"]


def test_a_folder_is_not_looked_through_again_for_each_of_many_files(tmp_path, monkeypatch) -> None:
    looks = []
    for name in ("listdir", "scandir"):
        look = getattr(os, name)
        monkeypatch.setattr(os, name, lambda folder, look=look: looks.append(folder) or look(folder))

    for number in range(20):
        files.write_bytes(tmp_path / f"file-{number}", NEW)

    assert [Path(look) for look in looks] == [tmp_path]


def test_a_pipe_or_link_of_such_a_name_neither_blocks_nor_leads_elsewhere(tmp_path) -> None:
    (tmp_path / "elsewhere").write_bytes(OLD)
    os.mkfifo(tmp_path / ".file.0123456789abcdef.part")
    (tmp_path / ".file.1123456789abcdef.part").symlink_to(tmp_path / "elsewhere")

    files.write_bytes(tmp_path / "file", NEW)

    assert (tmp_path / "file").read_bytes() == NEW
    assert (tmp_path / "elsewhere").read_bytes() == OLD


def test_what_another_writes_at_the_moment_is_no_leftover(tmp_path) -> None:
    path = tmp_path / "file"
    with files.new_file(path) as slow:
        slow.write(OLD)
        files.write_bytes(path, NEW)
        assert path.read_bytes() == NEW

    assert path.read_bytes() == OLD
    assert list(tmp_path.iterdir()) == [path]


def test_many_who_write_the_same_file_do_not_remove_each_others(tmp_path) -> None:
    path = tmp_path / "file"
    with ThreadPoolExecutor(8) as pool:  # a lock is of an open file, so threads stand for processes
        list(pool.map(lambda _: files.write_bytes(path, NEW), range(400)))

    assert path.read_bytes() == NEW
    assert list(tmp_path.iterdir()) == [path]


def test_what_was_made_anew_under_the_name_of_a_leftover_stays(tmp_path, monkeypatch) -> None:
    leftover, flock, anew = tmp_path / f".file.{'0' * 16}.part", fcntl.flock, []
    leftover.write_bytes(OLD)

    def too_late(handle, how) -> None:
        if how & fcntl.LOCK_NB and not anew:  # another took the first one away, and its writer made a second one
            leftover.unlink()
            anew.append(leftover.open("xb"))
            flock(anew[0], fcntl.LOCK_EX)
        flock(handle, how)

    monkeypatch.setattr(fcntl, "flock", too_late)
    files.write_bytes(tmp_path / "file", NEW)

    assert anew
    assert leftover.exists()
    anew[0].close()


def test_a_file_that_is_taken_for_a_leftover_before_it_is_locked_is_made_again(tmp_path, monkeypatch) -> None:
    path, flock, taken = tmp_path / "file", fcntl.flock, []

    def too_late(handle, how) -> None:
        if not taken:
            taken.extend(tmp_path.iterdir())
            taken[0].unlink()
        flock(handle, how)

    monkeypatch.setattr(fcntl, "flock", too_late)
    files.write_bytes(path, NEW)

    assert len(taken) == 1
    assert path.read_bytes() == NEW
    assert list(tmp_path.iterdir()) == [path]


def test_where_nothing_can_be_locked_files_are_written_all_the_same(tmp_path, monkeypatch) -> None:
    def no_locks(handle, how) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    (tmp_path / ".file.0123456789abcdef.part").write_bytes(OLD)
    monkeypatch.setattr(fcntl, "flock", no_locks)
    files.write_bytes(tmp_path / "file", NEW)

    assert (tmp_path / "file").read_bytes() == NEW
    assert (tmp_path / ".file.0123456789abcdef.part").read_bytes() == OLD


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


def test_arrays_that_hold_objects_are_not_unpickled(tmp_path: Path) -> None:
    ran = tmp_path / "ran"

    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(ran),)

    np.savez(tmp_path / "a.npz", a=np.array([Trap()], dtype=object))
    with pytest.raises(BadInput, match="cannot be read"):
        files.read_arrays(tmp_path / "a.npz", "copy it again")
    assert not ran.exists()


def test_a_bomb_of_arrays_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file, file.open("a.npy", "w", force_zip64=True) as member:
        np.lib.format.write_array_header_1_0(member, {"descr": "|u1", "fortran_order": False, "shape": (1 << 28,)})
        for _ in range(256):
            member.write(bytes(1 << 20))
    assert path.stat().st_size < 1 << 20
    with pytest.raises(BadInput, match="it would become 268435"):
        files.read_arrays(path, "copy it again")


def test_an_archive_of_something_else_holds_no_arrays(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as file:
        file.writestr("a.npy", b"no array")
    with pytest.raises(BadInput, match="holds something that is no array"):
        files.read_arrays(tmp_path / "a.npz", "copy it again")


@pytest.mark.parametrize("shape", [(10**13,), (2**40, 2**40), (-1,)])
def test_a_header_that_asks_for_too_much_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as file, file.open("a.npy", "w") as member:
        np.lib.format.write_array_header_1_0(member, {"descr": "<f4", "fortran_order": False, "shape": shape})
        member.write(bytes(100))
    with pytest.raises(BadInput, match="cannot be read"):
        files.read_arrays(tmp_path / "a.npz", "copy it again")


@pytest.mark.parametrize(
    "header", [b"{'descr': (\n", b"{'descr'", b"(" * 5000, b"{'descr': '<f4'}", b"\xff\xfe", b"9" * 9000]
)
def test_a_header_that_is_none_is_refused(tmp_path: Path, header: bytes) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as file:
        file.writestr("a.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    with pytest.raises(BadInput, match="cannot be read"):
        files.read_arrays(tmp_path / "a.npz", "copy it again")


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
