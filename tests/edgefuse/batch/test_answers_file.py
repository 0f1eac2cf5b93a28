"""The file of a batch's answers: lines that are whole, of one kit, and nobody else's."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgefuse.batch.answers_file import AnswersFile
from edgefuse_runtimes.errors import BadInput

DIGEST = "d" * 64
ANSWER: dict[str, Any] = {"label": "nv", "kit": {"name": "my", "version": "1", "digest": DIGEST}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "answers.jsonl"


def fill(path: Path, *ids: str) -> bytes:
    with AnswersFile(path, DIGEST) as answers:
        for name in ids:
            answers.append(name, ANSWER)
    return path.read_bytes()


def test_a_line_is_an_id_and_its_answer(path: Path) -> None:
    lines = fill(path, "a.jpg", 'b "ü" \n.jpg').splitlines()
    assert [json.loads(line) for line in lines] == [{"id": name, **ANSWER} for name in ("a.jpg", 'b "ü" \n.jpg')]


def test_it_is_for_its_owner_only(path: Path) -> None:
    fill(path, "a")
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_regular_file_is_refused(path: Path, make: Callable[[Path], None]) -> None:
    make(path)
    with pytest.raises(BadInput, match="is no regular file"):
        AnswersFile(path, DIGEST)


def test_it_is_gone_on_with(path: Path) -> None:
    before = fill(path, "a", "b")
    with AnswersFile(path, DIGEST) as answers:
        assert (answers.answered, answers.was_torn) == ({"a", "b"}, False)
        answers.append("c", ANSWER)
        assert answers.answered == {"a", "b", "c"}
    assert path.read_bytes().startswith(before)
    assert path.read_bytes().count(b"\n") == 3


@settings(max_examples=60)
@given(st.data())
def test_whatever_part_of_the_last_line_is_there_the_whole_ones_stay(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("torn") / "answers.jsonl"
    whole = fill(path, "a", "b")
    last = json.dumps({"id": "c", **ANSWER}).encode()
    part = last[: data.draw(st.integers(1, len(last) - 1))] + bytes(data.draw(st.integers(0, 5)))
    path.write_bytes(whole + part)
    with AnswersFile(path, DIGEST) as answers:
        assert (answers.answered, answers.was_torn) == ({"a", "b"}, True)
        answers.append("c", ANSWER)
    assert path.read_bytes() == whole + last + b"\n"


@pytest.mark.parametrize("zeros", [0, 5])
def test_a_whole_answer_without_its_newline_is_kept_and_ended(path: Path, zeros: int) -> None:
    whole = fill(path, "a", "b")
    path.write_bytes(whole[:-1] + bytes(zeros))
    with AnswersFile(path, DIGEST) as answers:
        assert (answers.answered, answers.was_torn) == ({"a", "b"}, False)
    assert path.read_bytes() == whole


def test_zeros_that_a_power_cut_left_are_removed(path: Path) -> None:
    whole = fill(path, "a")
    path.write_bytes(whole + bytes(700))
    assert fill(path) == whole


@pytest.mark.parametrize(
    "content",
    [
        b"My notes, which are dear to me.",
        b"My notes, which are dear to me.\n",
        b'{"name": "half',
        b'{"id": 7, "patient": "dear to me"}',
        b'{"id": "7", "patient": "dear to me"}',
        b'{"id": 7, "patient": "dear',
        b'{"id": "7", "kit": {"digest": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
        b'{"id": 7, "kit": {"digest": "' + DIGEST.encode() + b'"}}\n',
        b'{"id": "a"}\n',
        b"[1, 2]\n",
        b"7\n",
        b"\n",
        b"\xff\xfe\n",
    ],
)
def test_a_file_of_something_else_is_left_as_it_is(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"Line 1 of .* is no answer of edgefuse; choose another --output"):
        AnswersFile(path, DIGEST)
    assert path.read_bytes() == content


def test_answers_of_another_kit_are_left_as_they_are(path: Path) -> None:
    before = fill(path, "a")
    with pytest.raises(BadInput, match=r"is an answer of another kit \(my 1, digest dddddddddddd\)"):
        AnswersFile(path, "e" * 64)
    assert path.read_bytes() == before


def test_an_answer_of_another_kit_without_a_newline_is_left_as_it_is(path: Path) -> None:
    before = fill(path, "a")[:-1]
    path.write_bytes(before)
    with pytest.raises(BadInput, match="is an answer of another kit"):
        AnswersFile(path, "e" * 64)
    assert path.read_bytes() == before


def test_two_processes_do_not_write_one_file(path: Path) -> None:
    with AnswersFile(path, DIGEST), pytest.raises(BadInput, match="Another edgefuse is writing"):
        AnswersFile(path, DIGEST)
    fill(path, "a")


@pytest.mark.parametrize("failing", ["write", "fsync"])
def test_a_full_disk_leaves_the_file_as_it_was(path: Path, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    before, write = fill(path, "a"), os.write

    def full(handle: int, *data: bytes) -> int:
        if failing == "write":
            return write(handle, data[0][:7])
        raise OSError(28, "No space left on device")

    with AnswersFile(path, DIGEST) as answers:
        monkeypatch.setattr(os, failing, full)
        with pytest.raises(OSError, match="No space left"):
            answers.append("b", ANSWER)
        monkeypatch.undo()
        assert path.read_bytes() == before
        answers.append("b", ANSWER)
        assert answers.answered == {"a", "b"}
