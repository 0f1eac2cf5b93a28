"""A damaged log is set aside with a sentence, and the answer at hand is stored in a new one."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from edgefuse.answering.prediction import Prediction
from edgefuse.results.copies import salvaged
from edgefuse.results.inputs import Given
from edgefuse.results.log import ResultsLog
from edgefuse.results.log_file import LogFile
from edgefuse.results.records import Wanted
from edgefuse.results.set_aside import FILE
from edgefuse_runtimes.errors import BadInput

Make = Callable[..., Prediction]


def store(folder: Path, prediction: Prediction, count: int = 1) -> tuple[list[int], list[str]]:
    """The numbers of answers that are stored by an opened log, and its remarks."""
    with ResultsLog.open(folder) as log:
        numbers = [log.store(prediction, Given()) for _ in range(count)]
        return numbers, log.take_remarks()


def change(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.commit()
    connection.close()


def no_database(path: Path) -> None:
    path.write_bytes(b"Dear doctor, here is the list. " * 200)


def newer(path: Path) -> None:
    change(path, "PRAGMA user_version = 99")


def foreign(path: Path) -> None:
    path.unlink()
    change(path, "CREATE TABLE recipes (name TEXT)")


def header_gone(path: Path) -> None:
    path.write_bytes(bytes(100) + path.read_bytes()[100:])


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


@pytest.mark.parametrize(
    ("spoil", "said", "goes_on"),
    [
        (no_database, "file is not a database", False),
        (newer, "a newer edgefuse wrote it, with schema 99, and this one knows up to 1", True),
        (foreign, "it is no results log", False),
        (header_gone, "file is not a database", False),
        (cut, "malformed", False),
    ],
)
def test_it_is_set_aside_and_the_answer_is_stored(
    folder: Path, prediction: Make, spoil: Callable[[Path], None], said: str, goes_on: bool
) -> None:
    store(folder, prediction(), 8)
    path = folder / FILE
    spoil(path)
    before = path.read_bytes()
    numbers, remarks = store(folder, prediction())
    assert numbers == [9 if goes_on else 1]  # numbers stand on paper, so they go on wherever the last one can be read
    assert len(remarks) == 1
    assert said in remarks[0]
    assert f"it was set aside as {FILE}.corrupt-1, nothing of it was deleted, and a new one begins" in remarks[0]
    assert (folder / f"{FILE}.corrupt-1").read_bytes() == before
    assert store(folder, prediction()) == ([numbers[0] + 1], [])


def test_what_was_set_aside_is_never_overwritten(folder: Path, prediction: Make) -> None:
    contents = [b"first " * 100, b"second " * 100]
    folder.mkdir()
    for content in contents:
        (folder / FILE).write_bytes(content)
        store(folder, prediction())
    assert [(folder / f"{FILE}.corrupt-{number}").read_bytes() for number in (1, 2)] == contents
    (folder / f"{FILE}.corrupt-3-wal").write_bytes(b"left")
    (folder / FILE).write_bytes(b"third " * 100)
    store(folder, prediction())
    assert (folder / f"{FILE}.corrupt-4").exists()


def left_open(folder: Path, prediction: Prediction, count: int) -> None:
    """A log as a power cut leaves it: its last answers are in the journal only."""
    with ResultsLog.open(folder) as log:
        for _ in range(count):
            log.store(prediction, Given())
        left = {path: path.read_bytes() for path in folder.glob(f"{FILE}*")}
    for path, content in left.items():
        path.write_bytes(content)


def test_answers_in_the_journal_are_found_after_a_power_cut(folder: Path, prediction: Make) -> None:
    left_open(folder, prediction(), 5)
    assert (folder / f"{FILE}-wal").stat().st_size > 0
    with ResultsLog.open(folder) as log:
        assert log.count(Wanted()) == 5
    assert store(folder, prediction()) == ([6], [])


def test_a_torn_end_of_the_journal_costs_no_answer_before_it(folder: Path, prediction: Make) -> None:
    left_open(folder, prediction(), 5)
    wal = folder / f"{FILE}-wal"
    wal.write_bytes(wal.read_bytes() + b"torn" * 700)
    assert store(folder, prediction()) == ([6], [])


def test_after_a_power_cut_every_page_is_looked_at(folder: Path, prediction: Make) -> None:
    store(folder, prediction(), 60)
    left_open(folder, prediction(), 1)
    path = folder / FILE
    content = bytearray(path.read_bytes())
    content[3 * 4096 : 4 * 4096] = b"\x77" * 4096  # of old answers, which a new one does not touch
    path.write_bytes(content)
    journals = [folder / f"{FILE}-wal", folder / f"{FILE}-shm"]
    wal = journals[0].read_bytes()
    numbers, remarks = store(folder, prediction())
    assert numbers == [62]
    assert f"set aside as {FILE}.corrupt-1" in remarks[0]
    assert (folder / f"{FILE}.corrupt-1").exists()
    assert len(wal) > 0


def test_a_journal_without_its_log_is_no_journal_of_the_next(folder: Path, prediction: Make) -> None:
    left_open(folder, prediction(), 3)
    (folder / FILE).unlink()
    wal = (folder / f"{FILE}-wal").read_bytes()
    numbers, remarks = store(folder, prediction())
    assert numbers == [1]
    assert "its file is gone and its journal is left" in remarks[0]
    assert (folder / f"{FILE}.corrupt-1-wal").read_bytes() == wal


def test_a_damage_that_reading_meets_is_told_once(folder: Path, prediction: Make) -> None:
    store(folder, prediction(), 60)
    content = bytearray((folder / FILE).read_bytes())
    content[3 * 4096 : 4 * 4096] = b"\x77" * 4096
    (folder / FILE).write_bytes(content)
    with ResultsLog.open(folder) as log:
        with pytest.raises(BadInput, match="it was set aside as"):
            list(log.records())
        assert list(log.records()) == []
    assert store(folder, prediction()) == ([61], [])


def test_a_damaged_log_that_is_in_use_is_left_in_its_place(
    folder: Path, prediction: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgefuse.results.log_file.WAIT_S", 0.2)
    with ResultsLog.open(folder) as other:
        other.store(prediction(), Given())
        newer(folder / FILE)
        with ResultsLog.open(folder) as log, pytest.raises(Exception, match="another edgefuse has it open"):
            log.store(prediction(), Given())
        assert not list(folder.glob("*corrupt*"))
        assert other.store(prediction(), Given()) == 2


def test_two_processes_that_meet_one_damage_set_one_log_aside(
    folder: Path, prediction: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(folder, prediction())
    no_database(folder / FILE)
    real = LogFile._set_aside

    def late(self: LogFile, error: Exception) -> None:
        monkeypatch.setattr(LogFile, "_set_aside", real)
        assert store(folder, prediction())[0] == [1]  # the other one comes first
        real(self, error)

    monkeypatch.setattr(LogFile, "_set_aside", late)
    assert store(folder, prediction()) == ([2], [])
    assert [path.name for path in folder.glob("*corrupt*")] == [f"{FILE}.corrupt-1"]


def test_what_can_still_be_read_of_a_damaged_log_is(folder: Path, prediction: Make) -> None:
    with ResultsLog.open(folder) as log:
        for number in range(60):
            log.store(prediction(label=f"label {number + 1}"), Given(), case="odd" if number % 2 == 0 else None)
    path = folder / FILE
    content = bytearray(path.read_bytes())
    content[6 * 4096 : 7 * 4096] = b"\x77" * 4096
    path.write_bytes(content)
    aside = path.rename(folder / f"{FILE}.corrupt-1")
    said: list[str] = []
    found = list(salvaged(aside, Wanted(), said.append))
    assert 40 < len(found) < 60
    assert all(record.answer["label"] == f"label {record.number}" for record in found)
    assert said == [f"{60 - len(found)} of 60 numbers of {aside} cannot be read any more."]
    odd = [record.number for record in salvaged(aside, Wanted(case="odd"), said.append)]
    assert odd == [record.number for record in found if record.number % 2]
    assert aside.read_bytes() == content


def test_answers_in_the_journal_of_a_log_that_was_set_aside_are_read(folder: Path, prediction: Make) -> None:
    left_open(folder, prediction(), 3)
    assert len(list(salvaged(folder / FILE, Wanted(), print))) == 3


@pytest.mark.parametrize("content", [b"", b"no database " * 900])
def test_of_what_is_no_log_nothing_is_read(folder: Path, content: bytes) -> None:
    folder.mkdir()
    (folder / FILE).write_bytes(content)
    with pytest.raises(BadInput, match="Nothing can be read of the log"):
        list(salvaged(folder / FILE, Wanted(), print))
    with pytest.raises(BadInput, match="There is no log at"):
        list(salvaged(folder / "no.sqlite", Wanted(), print))


@pytest.mark.parametrize(
    "damage",
    [
        "answer = '{}'",
        "answer = 'null'",
        "answer = substr(answer, 1, 90)",
        "answer = json_set(answer, '$.probabilities', json('{}'))",
        "answer = json_set(answer, '$.referred', 'perhaps')",
        "answer = json_set(answer, '$.timings_ms.load', 'long')",
        "time = 'yesterday'",
        "time = '2026-11-28'",
        "since_boot_s = 'x'",
    ],
)
def test_an_answer_that_a_turned_bit_spoiled_costs_no_other_one(folder: Path, prediction: Make, damage: str) -> None:
    store(folder, prediction(), 3)
    change(folder / FILE, f"UPDATE answers SET {damage} WHERE number = 2")
    with ResultsLog.open(folder) as log:
        assert [record.number for record in log.records()] == [1, 3]
        assert log.take_remarks() == [
            f"In the results log {folder / FILE} these answers are damaged and were left out: 2."
        ]
        with pytest.raises(BadInput, match="is damaged; check the disk"):
            log.record(2)
    told: list[str] = []
    assert [record.number for record in salvaged(folder / FILE, Wanted(), told.append)] == [1, 3]
    assert told == [f"1 of 3 numbers of {folder / FILE} cannot be read any more."]
