"""A folder is whole or absent, whatever happens while it is made; finished pieces of it outlive an interruption."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest
from crashes import Crash, crash, killed_child

from edgefuse_runtimes import folders
from edgefuse_runtimes.errors import BadInput

pytestmark = pytest.mark.field

OLD, NEW = b"old" * 1000, b"new" * 2000


def fill(folder: Path) -> None:
    (folder / "inner").mkdir()
    (folder / "inner" / "a").write_bytes(NEW)
    (folder / "b").write_bytes(NEW)


def test_new_folder_appears_whole(tmp_path) -> None:
    path = tmp_path / "deep" / "kit"
    with folders.new_folder(path) as part:
        fill(part)
        assert not path.exists()

    assert sorted(file.relative_to(path).as_posix() for file in path.rglob("*")) == ["b", "inner", "inner/a"]
    assert list(path.parent.iterdir()) == [path]


def test_new_folder_takes_the_place_of_an_empty_one(tmp_path) -> None:
    (tmp_path / "kit").mkdir()
    with folders.new_folder(tmp_path / "kit") as part:
        fill(part)

    assert (tmp_path / "kit" / "b").read_bytes() == NEW


def test_new_folder_refuses_what_exists(tmp_path) -> None:
    (tmp_path / "file").write_bytes(OLD)
    (tmp_path / "kit").mkdir()
    (tmp_path / "kit" / "file").write_bytes(OLD)

    for name in ("file", "kit"):
        with pytest.raises(BadInput, match="already exists"), folders.new_folder(tmp_path / name):
            raise AssertionError("the block ran")
    assert (tmp_path / "kit" / "file").read_bytes() == OLD


@pytest.mark.parametrize("error", [Crash, KeyboardInterrupt, OSError])
def test_an_exception_in_the_block_leaves_nothing(error, tmp_path) -> None:
    with pytest.raises(error), folders.new_folder(tmp_path / "kit") as part:  # noqa: PT012 - the block is what fails
        fill(part)
        raise error

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("step", ["os.fsync", "pathlib.Path.replace"])
def test_an_exception_at_the_end_leaves_nothing(step, tmp_path, monkeypatch) -> None:
    with pytest.raises(Crash), folders.new_folder(tmp_path / "kit") as part:  # noqa: PT012 - the end is what fails
        fill(part)
        monkeypatch.setattr(step, crash)

    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("step", ["power_cut()", "os.fsync = power_cut", "Path.replace = power_cut"])
def test_a_power_cut_leaves_no_folder_of_that_name(step, tmp_path) -> None:
    body = f"""
        with folders.new_folder(folder / "kit") as part:
            (part / "a").write_bytes(b"new")
            {step}
    """
    killed_child(body, tmp_path)

    assert not (tmp_path / "kit").exists()
    with folders.new_folder(tmp_path / "kit") as part:
        fill(part)
    assert (tmp_path / "kit" / "b").read_bytes() == NEW


def test_every_file_of_a_new_folder_is_synced(tmp_path, monkeypatch) -> None:
    synced: set[str] = set()
    fsync = os.fsync

    def watched(handle: int) -> None:
        synced.add(Path(f"/proc/self/fd/{handle}").readlink().name)
        fsync(handle)

    monkeypatch.setattr(os, "fsync", watched)
    with folders.new_folder(tmp_path / "kit") as part:
        fill(part)

    assert synced >= {"a", "b", "inner", part.name, tmp_path.name}
    assert list(tmp_path.iterdir()) == [tmp_path / "kit"]


def test_other_users_may_read_a_new_folder_as_the_umask_says(tmp_path) -> None:
    before = os.umask(0o027)
    try:
        with folders.new_folder(tmp_path / "kit"):
            pass
    finally:
        os.umask(before)

    assert (tmp_path / "kit").stat().st_mode & 0o777 == 0o750


def test_a_folder_that_is_being_made_is_left_alone(tmp_path) -> None:
    with folders.new_folder(tmp_path / "kit") as part:
        fill(part)
        with pytest.raises(BadInput, match=r"is making .*kit at this moment"), folders.new_folder(tmp_path / "kit"):
            raise AssertionError("the block ran")
        folders.remove_leftover(tmp_path / "kit")
        assert (part / "b").read_bytes() == NEW

    assert (tmp_path / "kit" / "b").read_bytes() == NEW


def test_a_hidden_folder_of_somebody_else_is_left_alone(tmp_path) -> None:
    (tmp_path / ".kit.part").mkdir()
    (tmp_path / ".kit.part" / "thesis.txt").write_bytes(OLD)

    with pytest.raises(BadInput, match="not of edgefuse's making"), folders.new_folder(tmp_path / "kit"):
        raise AssertionError("the block ran")
    folders.remove_leftover(tmp_path / "kit")
    assert (tmp_path / ".kit.part" / "thesis.txt").read_bytes() == OLD


def test_what_was_left_right_after_the_last_step_is_removed_where_the_folder_is_refused(tmp_path) -> None:
    (tmp_path / "kit").mkdir()
    (tmp_path / "kit" / "b").write_bytes(OLD)
    (tmp_path / ".kit.part").mkdir()
    (tmp_path / ".kit.part" / "lock").touch()

    with pytest.raises(BadInput, match="already exists"):
        folders.require_new(tmp_path / "kit")
    assert list(tmp_path.iterdir()) == [tmp_path / "kit"]
    assert (tmp_path / "kit" / "b").read_bytes() == OLD


def test_a_scratch_folder_is_empty_and_vanishes_whatever_was_left_of_it(tmp_path) -> None:
    with folders.scratch_folder(tmp_path / "file") as scratch:
        (scratch / "a").write_bytes(OLD)
        left = {path.name: path for path in scratch.parent.iterdir()}
        assert sorted(left) == ["lock", "whole"]
    assert list(tmp_path.iterdir()) == []

    (tmp_path / ".file.part" / "whole").mkdir(parents=True)
    (tmp_path / ".file.part" / "lock").touch()
    (tmp_path / ".file.part" / "whole" / "a").write_bytes(OLD)
    found: list[Path] = []
    with pytest.raises(Crash), folders.scratch_folder(tmp_path / "file") as scratch:
        crash(found.extend(scratch.iterdir()))
    assert found == []
    assert list(tmp_path.iterdir()) == []


PIECES = {"a": {"of": "x"}, "b": {"of": "y"}}


def make_pieces(path: Path, pieces: dict[str, object], stop: BaseException | None = None) -> list[str]:
    """Names of the pieces that had to be made; `stop` is raised between the two."""
    made: list[str] = []

    def making(part: folders.PartFolder, name: str) -> dict[str, str]:
        made.append(name)
        (part.whole / f"{name}.bin").write_bytes(name.encode() * 100)
        (part.root / f"{name}.beside").write_bytes(NEW)
        return {"name": name}

    with folders.part_folder(path, pieces) as part:
        assert part.piece("a", lambda: making(part, "a")) == {"name": "a"}
        (part.whole / "half-made").mkdir()
        (part.whole / "half-made" / "c").write_bytes(NEW)
        assert (part.root / "a.beside").read_bytes() == NEW
        if stop is not None:
            raise stop
        (part.whole / "half-made" / "c").unlink()
        (part.whole / "half-made").rmdir()
        assert part.piece("b", lambda: making(part, "b")) == {"name": "b"}
    return made


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), SystemExit(1)])
def test_a_finished_piece_outlives_an_interruption(stop, tmp_path) -> None:
    with pytest.raises(type(stop)):
        make_pieces(tmp_path / "kit", PIECES, stop)
    left = {entry.relative_to(tmp_path).as_posix() for entry in tmp_path.rglob("*") if entry.is_file()}
    assert left == {f".kit.part/{name}" for name in ("lock", "a.json", "a.beside", "whole/a.bin")}

    assert make_pieces(tmp_path / "kit", PIECES) == ["b"]
    assert {entry.name for entry in (tmp_path / "kit").iterdir()} == {"a.bin", "b.bin"}
    assert list(tmp_path.iterdir()) == [tmp_path / "kit"]


def test_an_error_leaves_no_piece(tmp_path) -> None:
    with pytest.raises(BadInput, match="no"):
        make_pieces(tmp_path / "kit", PIECES, BadInput("no"))
    assert list(tmp_path.iterdir()) == []


def test_a_piece_of_something_else_is_made_anew(tmp_path) -> None:
    for others in ({"a": {"of": "z"}, "b": {"of": "y"}}, {"b": {"of": "y"}, "a": {"of": "x", "more": 1}}):
        with pytest.raises(KeyboardInterrupt):
            make_pieces(tmp_path / "kit", PIECES, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            make_pieces(tmp_path / "kit", others, KeyboardInterrupt())
    assert make_pieces(tmp_path / "kit", PIECES) == ["a", "b"]


@pytest.mark.parametrize("damage", ["whole/a.bin", "a.json", "a.beside"])
def test_a_piece_that_is_not_whole_is_made_anew(damage, tmp_path) -> None:
    with pytest.raises(KeyboardInterrupt):
        make_pieces(tmp_path / "kit", PIECES, KeyboardInterrupt())
    path = tmp_path / ".kit.part" / damage
    path.write_bytes(path.read_bytes()[:-9])

    assert make_pieces(tmp_path / "kit", PIECES) == ["a", "b"]


def test_a_power_cut_leaves_the_finished_piece(tmp_path) -> None:
    body = """
        with folders.part_folder(folder / "kit", {"a": 1}) as part:
            part.piece("a", lambda: (part.whole / "a.bin").write_bytes(b"a"))
            (part.whole / "b.bin").write_bytes(b"b")
            power_cut()
    """
    killed_child(body, tmp_path)

    with folders.part_folder(tmp_path / "kit", {"a": 1}) as part:
        assert part.finished == ["a"]
        assert [entry.name for entry in part.whole.iterdir()] == ["a.bin"]
    assert list(tmp_path.iterdir()) == [tmp_path / "kit"]


def test_pipes_and_links_to_nowhere_are_no_hindrance(tmp_path: Path) -> None:
    with folders.new_folder(tmp_path / "made") as made:
        os.mkfifo(made / "pipe")
        (made / "link").symlink_to("/nowhere")
    assert (tmp_path / "made" / "pipe").is_fifo()
    assert (tmp_path / "made" / "link").is_symlink()


def test_a_folder_that_is_filled_in_its_place_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "V"
    with folders.alone_in(folder):
        with pytest.raises(BadInput, match=r"is making .*V at this moment"), folders.alone_in(folder):
            raise AssertionError("the block ran")
        (folder / "a").write_bytes(NEW)
    with folders.alone_in(folder):
        assert (folder / "a").read_bytes() == NEW


def test_a_folder_in_whose_place_nothing_was_made_goes_again(tmp_path: Path) -> None:
    for name in ("new", "old"):
        with pytest.raises(Crash), folders.alone_in(tmp_path / name):
            crash()
        assert (tmp_path / name).exists() == (name == "old")
        (tmp_path / "old").mkdir(exist_ok=True)
    (tmp_path / "file").write_bytes(OLD)
    with pytest.raises(BadInput, match="file is no folder; choose"), folders.alone_in(tmp_path / "file"):
        raise AssertionError("the block ran")


def test_a_power_cut_leaves_no_lock(tmp_path: Path) -> None:
    body = """
        with folders.alone_in(folder / "V"):
            power_cut()
    """
    killed_child(body, tmp_path)
    assert list((tmp_path / "V").iterdir()) == []
    with folders.alone_in(tmp_path / "V"):
        pass
    assert (tmp_path / "V").exists()


def test_a_file_system_without_locks_is_worked_on_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)
    with folders.alone_in(tmp_path / "V"):
        (tmp_path / "V" / "a").write_bytes(NEW)
