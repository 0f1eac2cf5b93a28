"""What a killed process left of a file is removed by who writes it next, and nothing else is."""

from __future__ import annotations

import errno
import fcntl
import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from crashes import killed_child

from edgefuse_runtimes import files

pytestmark = pytest.mark.field

OLD, NEW = b"old" * 1000, b"new" * 2000


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

    # Threads of this very process look elsewhere, such as those that count its open files.
    assert [str(look) for look in looks].count(str(tmp_path)) == 1


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
