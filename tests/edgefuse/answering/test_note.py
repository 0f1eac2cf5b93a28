"""Notes are read from files and standard input, whatever their bytes are."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefuse.answering.note import _decode, read_note
from edgefuse_runtimes.errors import BadInput


def test_a_text_file(tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    path.write_bytes("\ufeffÂge : 45 ans.\n".encode())
    assert read_note(str(path)) == ("Âge : 45 ans.\n", [])


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a note")))
    assert read_note("-") == ("a note", [])


def test_bytes_that_are_not_utf8_are_replaced_and_remarked(tmp_path: Path) -> None:
    path = tmp_path / "latin1.txt"
    path.write_bytes("Läsion".encode("latin-1"))
    text, remarks = read_note(str(path))
    assert text == "L\ufffdsion"
    assert len(remarks) == 1
    assert "not UTF-8 (byte 1)" in remarks[0]


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="There is no note at"):
        read_note(str(tmp_path / "missing.txt"))
    with pytest.raises(BadInput, match="is a folder"):
        read_note(str(tmp_path))


@given(st.binary(max_size=200))
def test_any_bytes_give_a_text_and_a_remark_when_some_were_replaced(data: bytes) -> None:
    _, remarks = _decode(data, "it")
    try:
        data.decode()
        assert remarks == []
    except UnicodeDecodeError:
        assert len(remarks) == 1
