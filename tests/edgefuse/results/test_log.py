"""What is stored is found again, by its number, by whoever may read it, and by nobody else."""

from __future__ import annotations

import errno
import multiprocessing
import sqlite3
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from edgefuse.answering.prediction import Prediction
from edgefuse.results import clock, log_file
from edgefuse.results.inputs import Given, read_given
from edgefuse.results.log import ResultsLog
from edgefuse.results.records import Wanted
from edgefuse.results.schema import SCHEMA
from edgefuse_runtimes.errors import BadInput, NotStored

Make = Callable[..., Prediction]


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_an_answer_is_found_again_whole(log: ResultsLog, prediction: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = clock.Moment("2026-11-28T23:37:08.123Z", True, "boot", 12.5)
    monkeypatch.setattr(clock, "now", lambda: moment)
    number = log.store(prediction(), Given("p", "n"), case="A-17")
    record = log.record(number)
    assert number == 1
    assert clock.Moment(record.time, record.clock_synchronised, record.boot_id, record.since_boot_s) == moment
    assert (record.case, record.picture_hash, record.note_hash) == ("A-17", "p", "n")
    assert record.answer == prediction(number=1).to_json()
    assert list(log.records()) == [record]


def test_numbers_go_on_and_are_never_given_twice(log: ResultsLog, prediction: Make, folder: Path) -> None:
    assert [log.store(prediction(), Given()) for _ in range(3)] == [1, 2, 3]
    assert log.purge(Wanted()) == 3
    log.close()
    with ResultsLog.open(folder) as again:
        assert again.store(prediction(), Given()) == 4


def test_nothing_is_made_before_the_first_answer(log: ResultsLog, folder: Path) -> None:
    assert list(log.records()) == []
    assert log.count(Wanted()) == 0
    assert log.purge(Wanted()) == 0
    with pytest.raises(BadInput, match=r"has no answer 1; see 'edgefuse results list'"):
        log.record(1)
    assert not folder.exists()


def test_only_its_owner_may_read_it(log: ResultsLog, prediction: Make, folder: Path) -> None:
    folder.mkdir(mode=0o755)
    (folder / "results.sqlite").touch(mode=0o644)
    log.store(prediction(), Given(kept_picture=b"JPEG", suffix=".jpg"))
    assert {path.stat().st_mode & 0o777 for path in files(folder)} == {0o600}
    assert {path.stat().st_mode & 0o777 for path in (folder, folder / "pictures")} == {0o700}
    assert {path.name for path in files(folder)} >= {"results.sqlite", "results.sqlite-wal", "results.sqlite-shm"}


def test_the_disk_is_waited_for(log: ResultsLog, prediction: Make, folder: Path) -> None:
    log.store(prediction(), Given())
    connection = log._file._connected()
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA,)


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        (Wanted(), [1, 2, 3, 4]),
        (Wanted(kit="ham"), [1, 2, 4]),
        (Wanted(kit="cd" * 4), [3]),
        (Wanted(kit="%"), []),
        (Wanted(case="A"), [2, 3]),
        (Wanted(referred=True), [4]),
        (Wanted(referred=False, case="A"), [2, 3]),
        (Wanted(since="2026-11-03"), [3, 4]),
        (Wanted(since="2026-11-02", before="2026-11-04"), [2, 3]),
    ],
)
def test_answers_are_chosen(
    log: ResultsLog, prediction: Make, monkeypatch: pytest.MonkeyPatch, wanted: Wanted, numbers: list[int]
) -> None:
    other = {"name": "other", "version": "1", "digest": "cd" * 32}
    stored = [(prediction(), None), (prediction(), "A"), (prediction(kit=other), "A"), (prediction(referred=True), "B")]
    for day, (answer, case) in enumerate(stored, start=1):
        moment = clock.Moment(f"2026-11-{day:02}T10:00:00.000Z", None, None, 0.0)
        monkeypatch.setattr(clock, "now", lambda moment=moment: moment)
        log.store(answer, Given(), case=case)
    assert [record.number for record in log.records(wanted)] == numbers
    assert log.count(wanted) == len(numbers)


def _store(folder: Path, prediction: Prediction, count: int) -> None:
    with ResultsLog.open(folder) as log:
        for _ in range(count):
            log.store(prediction, Given())


def test_processes_may_store_at_once_from_the_first_moment_on(folder: Path, prediction: Make) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_store, args=(folder, prediction(), 20)) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * 4
    with ResultsLog.open(folder) as log:
        assert [record.number for record in log.records()] == list(range(1, 81))
    assert not list(folder.glob("*.corrupt-*"))


def test_threads_may_take_turns(log: ResultsLog, prediction: Make) -> None:
    log.store(prediction(), Given())
    thread = threading.Thread(target=lambda: log.store(prediction(), Given()))
    thread.start()
    thread.join()
    assert log.count(Wanted()) == 2


# What is kept of picture and note


@pytest.fixture
def inputs(tmp_path: Path) -> tuple[Path, str]:
    picture = tmp_path / "Jane Doe.JPG"
    picture.write_bytes(b"\xff\xd8 a face")
    return picture, "Jane, 45, bleeds."


def test_without_being_asked_neither_inputs_nor_their_names_are_kept(
    log: ResultsLog, prediction: Make, folder: Path, inputs: tuple[Path, str]
) -> None:
    picture, note = inputs
    given = read_given(b"k" * 32, picture, note, note_file="notes/Jane Doe.txt")
    said = ["notes/Jane Doe.txt is not UTF-8 (byte 1).", f"{picture} was decoded at 1/2."]
    log.store(prediction(image=str(picture), notes=said), given)
    record = log.record(1)
    assert record.answer["image"] is None
    assert record.answer["notes"] == ["the note is not UTF-8 (byte 1).", "the picture was decoded at 1/2."]
    assert (record.kept_picture, record.kept_note) == (None, None)
    content = b"".join(path.read_bytes() for path in files(folder))
    assert b"Jane" not in content
    assert b"a face" not in content


def test_hashes_tell_the_same_inputs_to_who_has_the_key(inputs: tuple[Path, str]) -> None:
    picture, note = inputs
    key, other = b"k" * 32, b"l" * 32
    given = read_given(key, picture, note)
    assert given == read_given(key, picture, f" {note}\n")
    assert given.picture_hash != read_given(other, picture, note).picture_hash
    assert given.note_hash != read_given(other, picture, note).note_hash
    picture.write_bytes(picture.read_bytes() + b".")
    assert given.picture_hash != read_given(key, picture, note).picture_hash
    assert given.note_hash != read_given(key, picture, note + ".").note_hash
    assert read_given(key, None, None) == Given()
    without_key = read_given(None, picture, note)
    assert (without_key.picture_hash, without_key.note_hash) == (None, None)


def test_asked_to_both_are_kept_for_the_owner(
    log: ResultsLog, prediction: Make, folder: Path, inputs: tuple[Path, str]
) -> None:
    picture, note = inputs
    log.store(prediction(image=str(picture)), read_given(b"k" * 32, picture, note, keep=True))
    record = log.record(1)
    assert record.kept_note == note
    assert record.answer["image"] == str(picture)
    assert record.kept_picture is not None
    kept = Path(record.kept_picture)
    assert kept.read_bytes() == picture.read_bytes()
    assert (kept.parent, kept.suffix) == (folder / "pictures", ".jpg")


def test_a_picture_that_cannot_be_kept_costs_only_itself(
    log: ResultsLog, prediction: Make, folder: Path, inputs: tuple[Path, str]
) -> None:
    folder.mkdir()
    (folder / "pictures").write_text("in the way")
    with pytest.raises(NotStored, match="stored without its picture") as refused:
        log.store(prediction(), read_given(b"k" * 32, *inputs, keep=True))
    assert refused.value.number == 1
    record = log.record(1)
    assert (record.kept_picture, record.kept_note) == (None, inputs[1])


# Purging


def test_what_is_purged_is_in_no_file_any_more(log: ResultsLog, prediction: Make, folder: Path) -> None:
    for number in range(400):
        given = Given(kept_note=f"SECRET-{number:03} " + "x" * (number * 37 % 900), kept_picture=b"%d" % number)
        log.store(prediction(label=f"LABEL-{number:03}"), given, case=f"CASE-{number % 4}")
    pictures = [Path(record.kept_picture or "") for record in log.records()]
    assert log.purge(Wanted(case="CASE-1")) == 100
    content = b"".join(path.read_bytes() for path in files(folder))
    gone = [f"{word}-{number:03}".encode() for number in range(1, 400, 4) for word in ("SECRET", "LABEL")]
    assert [word for word in [*gone, b"CASE-1"] if word in content] == []
    assert [path.exists() for path in pictures] == [number % 4 != 1 for number in range(400)]
    assert [record.number for record in log.records()] == [n for n in range(1, 401) if n % 4 != 2]


def test_purging_all_takes_what_was_set_aside_and_lost_pictures(
    log: ResultsLog, prediction: Make, folder: Path
) -> None:
    log.store(prediction(), Given(kept_picture=b"a"))
    (folder / "pictures" / "of-a-lost-log.jpg").write_bytes(b"b")
    (folder / "results.sqlite.corrupt-1").write_bytes(b"c")
    (folder / "results.sqlite.corrupt-1-wal").write_bytes(b"d")
    assert log.purge_all() == 1
    assert list((folder / "pictures").iterdir()) == log.set_aside == []
    assert log.store(prediction(), Given()) == 2


def test_nothing_is_purged_while_another_process_has_the_log_open(
    log: ResultsLog, prediction: Make, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgefuse.results.log_file.WAIT_S", 0.2)
    log.store(prediction(), Given())
    with ResultsLog.open(folder) as other:
        other.store(prediction(), Given())
        with pytest.raises(BadInput, match="another edgefuse has it open; let that one finish first"):
            other.purge(Wanted())
    assert log.count(Wanted()) == 2


def test_answers_are_read_while_another_one_is_stored(log: ResultsLog, prediction: Make, folder: Path) -> None:
    for _ in range(3):
        log.store(prediction(), Given())
    records = log.records()
    first = next(records)
    with ResultsLog.open(folder) as other:
        other.store(prediction(), Given())
    assert [first.number, *(record.number for record in records)] == [1, 2, 3]


def test_a_log_that_another_program_keeps_locked_is_not_damaged(
    log: ResultsLog, prediction: Make, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgefuse.results.log_file.WAIT_S", 0.1)
    log.store(prediction(), Given())
    other = sqlite3.connect(folder / "results.sqlite", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with ResultsLog.open(folder) as late, pytest.raises(NotStored, match="another program keeps it locked"):
        late.store(prediction(), Given())
    other.execute("ROLLBACK")
    other.close()
    assert log.store(prediction(), Given()) == 2


@pytest.fixture
def copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where copies of a log that cannot be opened are made."""
    (tmp_path / "copies").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "copies"))
    return tmp_path / "copies"


def read_only(log: log_file.LogFile) -> sqlite3.Connection:
    raise OSError(errno.EROFS, "Read-only file system", str(log.path))


def test_the_copy_goes_away_as_soon_as_the_log_can_be_written_again(
    log: ResultsLog, prediction: Make, copies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.store(prediction(), Given())
    log.close()
    with monkeypatch.context() as while_read_only:
        while_read_only.setattr(log_file.LogFile, "_connected", read_only)
        assert log.count(Wanted()) == 1
        assert len(list(copies.iterdir())) == 1
    assert log.store(prediction(), Given()) == 2
    assert list(copies.iterdir()) == []
    assert log.count(Wanted()) == 2


def test_a_copy_that_cannot_be_brought_up_to_date_is_not_read(
    log: ResultsLog, prediction: Make, copies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(connection: sqlite3.Connection) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    log.store(prediction(), Given())
    log.close()
    monkeypatch.setattr(log_file.LogFile, "_connected", read_only)
    monkeypatch.setattr(log_file, "bring_up", fail)
    for _ in range(2):
        with pytest.raises(BadInput, match="cannot be read"):
            log.count(Wanted())
        assert list(copies.iterdir()) == []
