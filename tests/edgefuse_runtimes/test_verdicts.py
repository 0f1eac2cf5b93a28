"""What probes found, kept from one start to the next."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
from pathlib import Path

import pytest

from edgefuse_runtimes import verdicts
from edgefuse_runtimes.verdicts import MOST, Record, Verdict, forget, recall, records, remember, verdicts_folder

pytestmark = pytest.mark.field

RECORD = Record(
    engine="llama.cpp",
    library="llama-cpp-python 0.3.36",
    file="/media/stick/ham.kit/text.gguf",
    sha256="ab" * 32,
    threads=4,
    memory="low",
    processor="model name: Old Laptop",
    python="3.11.7",
    trusted=False,
    reason="the engine process llama.cpp on text.gguf was ended by signal SIGILL",
    info={},
)


def record(number: int) -> Record:
    return dataclasses.replace(RECORD, threads=number)


def test_what_is_remembered_is_recalled(tmp_path: Path) -> None:
    assert (recall("key"), records()) == (None, [])
    remember("key", RECORD)
    assert recall("key") == Verdict(trusted=False, reason=RECORD.reason, info={})
    assert records() == [RECORD]
    remember("key", dataclasses.replace(RECORD, trusted=True, reason=""))
    assert recall("key") == Verdict(trusted=True, reason="")


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000, b"{}",
        json.dumps(dataclasses.asdict(RECORD) | {"trusted": "yes"}).encode(),
        json.dumps(dataclasses.asdict(RECORD) | {"reason": None}).encode(),
        json.dumps(dataclasses.asdict(RECORD) | {"another": 1}).encode(),
    ],
)  # fmt: skip
def test_a_file_that_holds_something_else_is_unknown(content: bytes) -> None:
    verdicts_folder().mkdir(parents=True)
    (verdicts_folder() / "key.json").write_bytes(content)
    assert (recall("key"), records()) == (None, [])
    remember("key", RECORD)
    assert recall("key") == RECORD.verdict


def _remember_many(process: int) -> None:
    for number in range(20):
        remember(f"{process}-{number}", record(100 * process + number))
        remember("of all", RECORD)


def test_processes_that_write_at_once_lose_nothing() -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_remember_many, args=(process,)) for process in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    known = records()
    assert {one.threads for one in known} - {RECORD.threads} == {
        100 * process + number for process in range(4) for number in range(20)
    } - {RECORD.threads}
    assert recall("of all") == RECORD.verdict
    assert len(list(verdicts_folder().iterdir())) == 81  # no file half written is left


def test_no_more_than_so_many_are_kept_and_the_oldest_go(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST >= 100  # some kits, engines, thread counts and library versions
    monkeypatch.setattr(verdicts, "MOST", 5)
    (verdicts_folder()).mkdir(parents=True)
    half_written = verdicts_folder() / ".0.json.x1.part"
    half_written.write_text("{")
    os.utime(half_written, ns=(0, 0))
    for number in range(9):
        remember(str(number), record(number))
        os.utime(verdicts_folder() / f"{number}.json", ns=(number + 1, number + 1))
    assert [one.threads for one in records()] == [4, 5, 6, 7, 8]
    assert not half_written.exists()


def test_some_or_all_are_forgotten() -> None:
    for number in range(4):
        remember(str(number), record(number))
    assert forget(lambda one: one.threads == 2) == [record(2)]
    assert recall("2") is None
    assert len(forget(lambda one: True)) == 3
    assert (records(), forget(lambda one: True)) == ([], [])


def test_a_folder_that_cannot_be_written_is_no_fault() -> None:
    verdicts_folder().parent.mkdir(parents=True)
    verdicts_folder().write_text("a file")
    remember("key", RECORD)
    assert (recall("key"), records(), forget(lambda one: True)) == (None, [], [])


def test_a_user_without_a_home_remembers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", _no_home)
    remember("key", RECORD)
    assert (recall("key"), records(), forget(lambda one: True)) == (None, [], [])


def _no_home() -> Path:
    raise RuntimeError("Could not determine home directory.")
